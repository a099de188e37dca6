import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.cells import Builder, Cell
from contracts.errors import InvalidData
from contracts.toncenter_stack import read_entry, stack_argument, stack_entry, write_argument
from contracts.vm_stack import StackSlice, StackValue

CELL = Builder().uint(5, 9).ref(Builder().uint(1, 1).end()).end()
PLAIN = st.integers(-(1 << 256), (1 << 256) - 1) | st.sampled_from([CELL, StackSlice(CELL)])
VALUES = st.recursive(
    PLAIN | st.none(), lambda each: st.lists(each, max_size=3).map(tuple), max_leaves=8
)


@given(VALUES)
def test_what_is_written_is_read_again(value: StackValue) -> None:
    kind, written = json.loads(json.dumps(stack_entry(value)))
    assert read_entry(kind, written) == value


@given(PLAIN)
def test_arguments_arrive_as_they_were_given(value: StackValue) -> None:
    kind, written = write_argument(value)
    assert stack_argument(kind, written) == value


@pytest.mark.parametrize("value", [None, (1,), ()])
def test_what_nothing_takes_as_an_argument_is_refused(value: StackValue) -> None:
    with pytest.raises(InvalidData):
        write_argument(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("num", "0x" + "f" * 100),
        ("num", "seven"),
        ("num", None),
        ("cell", {"bytes": "!"}),
        ("cell", {}),
        ("cell", "AAAA"),
        ("slice", {"bytes": "AAAA"}),
        ("tuple", {"elements": [5]}),
        ("tuple", {"elements": [{"@type": "tvm.stackEntryNumber", "number": {}}]}),
        ("list", {"elements": [1]}),
        ("cont", {}),
    ],
)
def test_a_malformed_entry_is_refused(kind: str, value: object) -> None:
    with pytest.raises(InvalidData):
        read_entry(kind, value)


def test_tuples_nest_so_deep_and_no_deeper() -> None:
    value: dict = {"@type": "tvm.stackEntryList", "list": {"elements": []}}
    for _ in range(100):
        value = {"@type": "tvm.stackEntryTuple", "tuple": {"elements": [value]}}
    with pytest.raises(InvalidData, match="nest"):
        read_entry("tuple", {"elements": [value]})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(st.sampled_from(["@type", "bytes", "elements", "number"]), each)
    ),
    max_leaves=10,
)


@given(st.sampled_from(["num", "cell", "slice", "tuple", "list", "null", "builder"]), ANYTHING)
def test_no_json_does_more_than_be_refused(kind: str, value: object) -> None:
    try:
        read = read_entry(kind, value)
    except InvalidData:
        return
    assert read is None or isinstance(read, int | Cell | StackSlice | tuple)
