"""What pytoniq-core lets through, or hangs on, and this package does not."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core.boc.cell import Cell as LibraryCell  # noqa: TID251 - an oracle

import contracts
from contracts import _pytoniq
from contracts.cells import EMPTY, Builder, Cell, decode_boc, encode_boc
from contracts.errors import InvalidData, LocalContractError

ADAPTERS = {
    "_merkle.py",
    "_proof_cells.py",
    "_pytoniq.py",
    "address.py",
    "adnl.py",
    "cells.py",
    "config.py",
    "mnemonic.py",
    "tlb.py",
    "vm_stack.py",
}
LIBRARY_REFERENCE = Cell(2 << 256, 264, exotic=True)


def bag(*cells: bytes, roots: int = 1, absent: int = 0, root: int = 0, count: int = 0) -> bytes:
    body = b"".join(cells)
    counts = bytes((count or len(cells), roots, absent))
    header = bytes.fromhex("b5ee9c72") + bytes((1, 2)) + counts
    return header + len(body).to_bytes(2) + bytes((root,)) + body


def fork(left: Cell, right: Cell) -> Cell:
    """Return an edge of a dictionary with an empty label."""
    return Builder().uint(0, 2).ref(left).ref(right).end()


HOSTILE_BAGS = {
    "padding of a whole byte": (bag(b"\x00\x01\x80"), "padding"),
    "padding without an end": (bag(b"\x00\x01\x00"), "padding"),
    "a cell that refers to itself": (bag(b"\x01\x00\x00"), "order"),
    "a cell that refers backwards": (bag(b"\x01\x00\x01", b"\x01\x00\x00"), "order"),
    "a cell that refers to none": (bag(b"\x01\x00\x07", b"\x00\x00"), "order"),
    "five references": (bag(b"\x05\x00\x01\x01\x01\x01\x01", b"\x00\x00"), "descriptor"),
    "a level": (bag(b"\x20\x00"), "descriptor"),
    "stored hashes": (bag(b"\x10\x00" + bytes(34)), "descriptor"),
    "an absent cell": (bag(b"\x17\x00"), "descriptor"),
    "no cells": (bag(b"\x00\x00")[:6] + bytes((0,)) + bag(b"\x00\x00")[7:], "counts"),
    "two roots": (bag(b"\x00\x00", roots=2), "counts"),
    "absent cells": (bag(b"\x00\x00", absent=1), "counts"),
    "a root that is not there": (bag(b"\x00\x00", root=1), "root"),
    "fewer cells than there are bytes": (bag(b"\x00\x00", b"\x00\x00", count=1), "length"),
    "cut in a descriptor": (bag(b"\x00\x00", b"\x00"), "range"),
    "sizes of nothing": (bytes.fromhex("b5ee9c72") + bytes(30), "sizes"),
    "a pruned branch": (bag(b"\x08\x02\x01"), "exotic"),
    "a Merkle proof": (bag(b"\x09\x46\x03" + bytes(34) + b"\x01", b"\x00\x00"), "exotic"),
    "an exotic cell without a type": (bag(b"\x08\x00"), "range"),
    "an exotic cell of a type that passes for ordinary": (bag(b"\x08\x02\xff"), "exotic"),
}


@pytest.mark.parametrize(("data", "why"), HOSTILE_BAGS.values(), ids=HOSTILE_BAGS)
def test_a_hostile_bag_of_cells_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(InvalidData, match=why):
        decode_boc(data)


@pytest.mark.parametrize("first_byte", [0, 1, 3, 4, 0xFF])
def test_no_other_exotic_cell_can_be_made(first_byte: int) -> None:
    with pytest.raises(LocalContractError):
        Cell(first_byte << 256, 264, exotic=True)


def test_a_library_reference_is_read_and_written() -> None:
    cell = Builder().ref(LIBRARY_REFERENCE).end()
    assert decode_boc(encode_boc(cell)) == cell
    assert cell.refs[0].exotic
    assert not cell.exotic


def test_more_cells_than_we_take_are_refused_by_their_count() -> None:
    count = _pytoniq.BOC_CELLS_MAX + 1
    body = bytes(2 * count)
    header = bytes.fromhex("b5ee9c72") + bytes((3, 4)) + count.to_bytes(3) + b"\0\0\1\0\0\0"
    with pytest.raises(InvalidData, match="counts"):
        decode_boc(header + len(body).to_bytes(4) + bytes(3) + body)


def dictionary(values: dict[int, Cell], key_bits: int) -> Cell:
    """Return a ``Hashmap key_bits ^Cell`` with full paths and empty labels."""
    if not key_bits:
        return Builder().uint(0, 2).ref(values[0]).end()
    half = 1 << (key_bits - 1)
    left = {key: value for key, value in values.items() if key < half}
    right = {key - half: value for key, value in values.items() if key >= half}
    return fork(dictionary(left, key_bits - 1), dictionary(right, key_bits - 1))


@given(st.lists(st.integers(0, 99), min_size=8, max_size=8))
def test_a_dictionary_within_bounds_is_read(numbers: list[int]) -> None:
    values = {key: Builder().uint(number, 8).end() for key, number in enumerate(numbers)}
    holder = Builder().maybe_ref(dictionary(values, 3)).end()
    found = holder.inner.begin_parse().load_dict(3)
    assert found is not None
    assert {key: Cell.of(each.load_ref()) for key, each in found.items()} == values


def test_an_empty_dictionary_is_none() -> None:
    assert Builder().maybe_ref(None).end().inner.begin_parse().load_dict(32) is None


def full(key_bits: int, leaf: Cell) -> Cell:
    for _ in range(key_bits):
        leaf = fork(leaf, leaf)
    return leaf


LONG_LABEL = Builder().uint(0b10, 2).uint(33, 6).uint(0, 33)
HOSTILE_DICTIONARIES = {
    "a full dictionary that shares its children": full(32, Builder().uint(0, 2).end()),
    "a full dictionary without an end": full(200, LIBRARY_REFERENCE),
    "a label longer than its key": LONG_LABEL.ref(EMPTY).ref(EMPTY).end(),
    "a library reference where an edge belongs": LIBRARY_REFERENCE,
    "an edge without children": Builder().uint(0, 2).end(),
    "an empty edge": EMPTY,
}


@pytest.mark.parametrize("root", HOSTILE_DICTIONARIES.values(), ids=HOSTILE_DICTIONARIES)
def test_a_hostile_dictionary_is_refused(root: Cell) -> None:
    reader = Builder().maybe_ref(root).end().inner.begin_parse()
    with pytest.raises(InvalidData), _pytoniq.refusing("a dictionary"):
        reader.load_dict(32)


@given(st.binary(max_size=127), st.integers(0, 7), st.integers(0, 4), st.integers(0, 3))
def test_our_hashes_are_the_library_s(data: bytes, cut: int, refs: int, nesting: int) -> None:
    size_bits = max(0, 8 * len(data) - cut)
    bits = int.from_bytes(data, "big") >> (8 * len(data) - size_bits)
    cell = Cell(bits, size_bits)
    for _ in range(nesting):
        cell = Cell(bits, size_bits, (cell,) * refs)
    theirs = LibraryCell.one_from_boc(encode_boc(cell))
    assert (cell.hash, cell.depth) == (theirs.hash, theirs.get_depth())


def test_only_the_adapters_import_the_library() -> None:
    package = Path(contracts.__file__).parent
    found = {path.name for path in package.glob("*.py") if "pytoniq_core" in _imports(path)}
    assert found == ADAPTERS


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
    return names
