from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core import Address as OracleAddress  # noqa: TID251 - the oracle
from pytoniq_core import Cell as OracleCell  # noqa: TID251 - the oracle
from pytoniq_core import begin_cell  # noqa: TID251 - the oracle

from contracts.cells import (
    EMPTY,
    Builder,
    Cell,
    decode_boc,
    encode_boc,
    join_address,
    split_address,
)
from contracts.errors import InvalidData, LocalContractError

leaves = st.integers(0, 1023).flatmap(
    lambda size: st.builds(lambda bits: Cell(bits, size), st.integers(0, (1 << size) - 1))
)
cells = st.recursive(
    leaves,
    lambda children: st.builds(
        lambda leaf, refs: Cell(leaf.bits, leaf.size_bits, tuple(refs)),
        leaves,
        st.lists(children, max_size=4),
    ),
    max_leaves=12,
)


def oracle(cell: Cell) -> OracleCell:
    bits = f"{cell.bits:0{cell.size_bits}b}" if cell.size_bits else ""
    builder = begin_cell().store_bits(bits)
    for ref in cell.refs:
        builder = builder.store_ref(oracle(ref))
    return builder.end_cell()


@given(cells)
def test_hashes_are_those_of_an_independent_implementation(cell: Cell) -> None:
    assert cell.hash == oracle(cell).hash


def by_the_book(cell: Cell) -> bytes:
    """Return the hash as TON's paper defines it (3.1.5); the library is now what we stand on."""
    whole, rest = divmod(cell.size_bits, 8)
    bits = f"{cell.bits:0{cell.size_bits}b}" if cell.size_bits else ""
    bits += "1".ljust(8 - rest, "0") if rest else ""
    data = bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8))
    depths = b"".join(ref.depth.to_bytes(2) for ref in cell.refs)
    hashes = b"".join(by_the_book(ref) for ref in cell.refs)
    descriptors = bytes((len(cell.refs), 2 * whole + (rest > 0)))
    return sha256(descriptors + data + depths + hashes).digest()


@given(cells)
def test_hashes_are_those_of_the_paper(cell: Cell) -> None:
    assert cell.hash == by_the_book(cell)


@given(cells)
def test_what_we_write_the_other_implementation_reads(cell: Cell) -> None:
    assert OracleCell.one_from_boc(encode_boc(cell)).hash == cell.hash


@given(cells, st.booleans(), st.booleans())
def test_what_the_other_implementation_writes_we_read(cell: Cell, idx: bool, crc: bool) -> None:
    boc = oracle(cell).to_boc(has_idx=idx, hash_crc32=crc)
    assert decode_boc(boc) == cell


@given(cells)
def test_a_bag_of_cells_round_trips(cell: Cell) -> None:
    assert decode_boc(encode_boc(cell)) == cell


@given(st.binary(max_size=200))
def test_garbage_is_refused_with_one_type_of_error(data: bytes) -> None:
    for prefix in (b"", bytes.fromhex("b5ee9c72")):
        with pytest.raises(InvalidData):
            decode_boc(prefix + data)
            raise InvalidData("it happened to be a bag of cells")


@given(cells, st.data())
def test_a_damaged_bag_of_cells_is_refused_or_is_another_cell(cell: Cell, data: st.DataObject):
    boc = bytearray(encode_boc(cell))
    where = data.draw(st.integers(0, len(boc) - 1))
    boc[where] ^= data.draw(st.integers(1, 255))
    try:
        damaged = decode_boc(bytes(boc))
    except InvalidData:
        return
    assert damaged.hash != cell.hash or encode_boc(damaged) == encode_boc(cell)


def test_every_change_of_one_byte_in_a_small_bag_is_refused_or_is_another_cell():
    for cell in (Cell(0, 5), Cell(0, 5, (Cell(1, 1),))):
        good = encode_boc(cell)
        for where in range(len(good)):
            for value in range(256):
                boc = bytearray(good)
                boc[where] = value
                for check_sum in (True, False):
                    try:
                        damaged = decode_boc(bytes(boc), check_sum=check_sum)
                    except InvalidData:
                        continue
                    assert damaged.hash != cell.hash or encode_boc(damaged) == good


@given(cells, st.integers(1, 60))
def test_a_cut_bag_of_cells_is_refused(cell: Cell, cut: int) -> None:
    with pytest.raises(InvalidData):
        decode_boc(encode_boc(cell)[:-cut])


def test_a_long_chain_of_cells_needs_no_recursion() -> None:
    cell = EMPTY
    for number in range(500):
        cell = Cell(number, 10, (cell,))
    assert decode_boc(encode_boc(cell)) == cell


def test_cells_that_nest_too_deeply_are_refused() -> None:
    cell = EMPTY
    with pytest.raises(LocalContractError, match="deep"):
        for _ in range(1100):
            cell = Cell(0, 0, (cell,))


def test_a_tree_that_unfolds_to_millions_of_cells_stays_small() -> None:
    cell = EMPTY
    for _ in range(60):
        cell = Cell(0, 0, (cell,) * 4)
    assert decode_boc(encode_boc(cell)) == cell


def test_a_size_limit_is_kept_before_parsing() -> None:
    boc = encode_boc(Builder().raw(bytes(100)).end())
    with pytest.raises(InvalidData, match="more than 99 bytes"):
        decode_boc(boc, size_bytes_max=99)


def test_a_claimed_number_of_cells_allocates_nothing() -> None:
    boc = bytes.fromhex("b5ee9c72") + bytes((4, 4)) + b"\x7f\xff\xff\xff" + bytes(30)
    with pytest.raises(InvalidData, match="counts"):
        decode_boc(boc)


@given(st.integers(0, (1 << 120) - 1))
def test_coins_are_written_as_the_other_implementation_does(amount: int) -> None:
    ours = Builder().coins(amount).end()
    assert ours.hash == begin_cell().store_coins(amount).end_cell().hash
    assert ours.parse().coins() == amount


def test_coins_that_do_not_fit_are_our_mistake() -> None:
    for amount in (-1, 1 << 120):
        with pytest.raises(LocalContractError):
            Builder().coins(amount)


@given(st.integers(-128, 127), st.binary(min_size=32, max_size=32))
def test_addresses_are_written_as_the_other_implementation_does(wc: int, account: bytes) -> None:
    raw = join_address(wc, account)
    ours = Builder().address(raw).end()
    assert ours.hash == begin_cell().store_address(OracleAddress((wc, account))).end_cell().hash
    assert ours.parse().address() == raw
    assert split_address(raw) == (wc, account)


@pytest.mark.parametrize("text", ["", "0", "0:", "0:12", "x:" + "0" * 64, "128:" + "0" * 64])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(LocalContractError):
        split_address(text)


def test_reading_past_the_end_is_invalid_data() -> None:
    reader = Builder().uint(5, 3).end().parse()
    assert reader.uint(3) == 5
    for read in (lambda: reader.uint(1), reader.ref, reader.coins, reader.address):
        with pytest.raises(InvalidData):
            read()


def test_leftover_fields_are_invalid_data() -> None:
    with pytest.raises(InvalidData, match="more fields"):
        Builder().uint(1, 1).end().parse().end()


@given(st.integers(-(1 << 31), (1 << 31) - 1))
def test_signed_numbers_round_trip(value: int) -> None:
    assert Builder().sint(value, 32).end().parse().sint(32) == value
