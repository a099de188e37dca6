import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core import Cell as TheirCell  # noqa: TID251 - the independent library
from pytoniq_core.tlb.vm_stack import VmStack, VmTuple  # noqa: TID251 - the independent library

from contracts.cells import Builder, Cell, decode_boc, encode_boc
from contracts.errors import InvalidData, LocalContractError
from contracts.vm_stack import StackSlice, StackValue, decode_stack, encode_stack

numbers = st.integers(-(1 << 256), (1 << 256) - 1)
cells = st.binary(max_size=40).map(lambda data: Builder().raw(data).end())
values = st.none() | numbers | cells | cells.map(StackSlice)


@given(st.lists(values, max_size=12))
def test_a_stack_survives_the_round_trip(stack: list[StackValue]) -> None:
    assert decode_stack(encode_stack(stack)) == stack


@given(st.lists(numbers, max_size=6))
def test_an_independent_library_reads_our_numbers(stack: list[int]) -> None:
    boc = encode_boc(encode_stack(stack))
    assert VmStack.deserialize(TheirCell.one_from_boc(boc).begin_parse()) == stack


nested = st.recursive(numbers, lambda inner: st.lists(inner, max_size=5), max_leaves=12)


@given(nested)
def test_we_read_the_tuples_of_an_independent_library(value: int | list) -> None:
    theirs = VmStack.serialize([_theirs(value)]).to_boc()
    assert decode_stack(decode_boc(theirs)) == [_ours(value)]


def _ours(value: int | list) -> StackValue:
    return tuple(_ours(each) for each in value) if isinstance(value, list) else value


def _theirs(value: int | list) -> int | VmTuple:
    return VmTuple([_theirs(each) for each in value]) if isinstance(value, list) else value


@given(st.binary(max_size=100), st.lists(cells, max_size=4))
def test_garbage_is_refused(data: bytes, refs: list[Cell]) -> None:
    cell = Cell(int.from_bytes(data, "big"), 8 * len(data), tuple(refs))
    try:
        decode_stack(cell)
    except InvalidData:
        return
    assert data[:3] == bytes(3) or refs


def test_nesting_is_bounded() -> None:
    cell = Builder().uint(0, 8).end()
    for _ in range(200):
        cell = Builder().uint(7, 8).uint(1, 16).ref(cell).end()
    stack = Builder().uint(1, 24).ref(Builder().end()).inline(cell).end()
    with pytest.raises(InvalidData, match="deep"):
        decode_stack(stack)


def test_tuples_that_share_their_elements_do_not_unfold() -> None:
    value = Builder().uint(0, 8).end()
    for _ in range(30):
        value = Builder().uint(7, 8).uint(2, 16).ref(value).ref(value).end()
    stack = Builder().uint(1, 24).ref(Builder().end()).inline(value).end()
    with pytest.raises(InvalidData, match="hold too much"):
        decode_stack(stack)


@pytest.mark.parametrize("size_bits", [257, 300])
def test_a_number_that_does_not_fit_is_our_mistake(size_bits: int) -> None:
    with pytest.raises(LocalContractError):
        encode_stack([1 << size_bits])


def test_a_slice_beyond_its_cell_is_refused() -> None:
    value = Builder().uint(4, 8).ref(Builder().uint(5, 8).end())
    value.uint(0, 10).uint(9, 10).uint(0, 6)
    stack = Builder().uint(1, 24).ref(Builder().end()).inline(value.end()).end()
    with pytest.raises(InvalidData, match="beyond"):
        decode_stack(stack)


@pytest.mark.parametrize("kind", [0x06, 0x08, 0x99, 0xFF])
def test_an_unknown_kind_of_value_is_refused(kind: int) -> None:
    stack = Builder().uint(1, 24).ref(Builder().end()).uint(kind, 8).end()
    with pytest.raises(InvalidData, match="unsupported kind"):
        decode_stack(stack)
