import base64
from contextlib import suppress
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.cells import EMPTY, Builder, Cell, decode_boc, join_address
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.errors import InvalidData
from contracts.fees import parse_fees
from contracts.records import read_transaction
from contracts.rehearsal import Rehearsal
from contracts.tlb import (
    NO_ACCOUNT,
    internal_message,
    parse_message,
    parse_shard_account,
    parse_transaction,
)

HERE, THERE = join_address(0, b"\x01" * 32), join_address(-1, b"\x02" * 32)
COIN = 10**9
START_UNIX_S = 1_780_000_000

PARSERS = (
    parse_message,
    parse_transaction,
    parse_shard_account,
    parse_fees,
    lambda cell: read_transaction(0, cell),
)


@given(
    st.integers(0, 1 << 119), st.booleans(), st.integers(0, (1 << 64) - 1), st.binary(max_size=9)
)
def test_an_internal_message_reads_as_it_was_built(
    value: int, bounce: bool, lt: int, text: bytes
) -> None:
    body = Builder().raw(text).end()
    cell = internal_message(
        HERE, THERE, value, body=body, bounce=bounce, created_lt=lt, created_unix_s=7
    )
    message = parse_message(cell)
    assert (message.source, message.destination) == (HERE, THERE)
    assert (message.value_nanoton, message.created_lt, message.fees_nanoton) == (value, lt, 0)
    assert message.body == body
    assert message.cell == cell
    assert not message.bounced
    assert not message.external


def external(source: Builder, *, init: bool = False) -> Cell:
    header = source.address(HERE).coins(5)
    header = header.uint(0b10, 2).uint(0, 5) if init else header.uint(0, 1)
    return header.uint(1, 1).ref(EMPTY).end()


@pytest.mark.parametrize("init", [False, True])
def test_an_external_message_may_name_its_source(init: bool) -> None:
    for source in (Builder().uint(0b1000, 4), Builder().uint(0b1001, 4).uint(3, 9).uint(5, 3)):
        message = parse_message(external(source, init=init))
        assert (message.source, message.destination) == ("", HERE)
        assert message.external


def test_an_external_message_does_not_come_from_an_account() -> None:
    with pytest.raises(InvalidData, match="external one belongs"):
        parse_message(external(Builder().uint(0b10, 2).address(THERE)))


def test_a_log_has_no_destination() -> None:
    cell = Builder().uint(0b11, 2).address(HERE).uint(0, 2).uint(9, 64).uint(8, 32).uint(0, 2).end()
    message = parse_message(cell)
    assert (message.source, message.destination, message.created_lt) == (HERE, "", 9)


def test_an_address_to_be_rewritten_is_refused() -> None:
    anycast = Builder().uint(0b101, 3).uint(1, 5).uint(0, 1).sint(0, 8).raw(bytes(32)).end()
    cell = Builder().uint(0b1000, 4).inline(anycast).coins(0).uint(0, 1).uint(0, 1).end()
    with pytest.raises(InvalidData, match="unsupported kind"):
        parse_message(cell)


def test_extra_currencies_that_unfold_without_an_end_are_refused() -> None:
    library = Cell(2 << 256, 264, exotic=True)
    edge = reduce(
        lambda cell, _: Builder().uint(0, 2).ref(cell).ref(cell).end(), range(60), library
    )
    for root in (edge, Builder().uint(0b10, 2).uint(33, 6).uint(0, 33).ref(edge).ref(edge).end()):
        header = Builder().uint(0b0110, 4).address(HERE).address(THERE).coins(1)
        cell = header.maybe_ref(root).coins(0).coins(0).uint(0, 96).uint(0, 2).end()
        with pytest.raises(InvalidData, match="dictionary"):
            parse_message(cell)


def _fork(below: Cell) -> Cell:
    return Builder().uint(0, 2).ref(below).ref(below).end()


def test_nothing_is_known_of_an_account_that_is_not_there() -> None:
    info = parse_shard_account(NO_ACCOUNT)
    assert (info.status, info.balance_nanoton, info.code, info.data) == ("nonexist", 0, None, None)


@pytest.fixture(scope="module")
def real(emulator: Emulator) -> list[Cell]:
    """Give transactions, messages and accounts that a chain has made."""
    rig = Rehearsal(EmbeddedChain(emulator, unix_s=START_UNIX_S))
    rig.open()
    rig.external(rig.claim(COIN // 4))
    rig.external(rig.close(COIN // 2))
    snapshot = rig.chain.snapshot()
    stored = rig.chain.stored_transactions(rig.address)
    cells = [decode_boc(each.boc) for each in stored]
    cells += [message.cell for cell in cells for message in parse_transaction(cell).out_messages]
    return cells + [decode_boc(base64.b64decode(boc)) for boc in snapshot.shards.values()]


def test_a_transaction_reads_as_the_chain_recorded_it(rig: Rehearsal) -> None:
    rig.open()
    record = rig.external(rig.close(COIN // 2))
    stored = rig.chain.stored_transactions(rig.address)
    cell = next(decode_boc(each.boc) for each in stored if each.record.hash == record.hash)
    info = parse_transaction(cell)
    assert (info.lt, info.fees_nanoton, info.exit_code) == (record.lt, record.fees_nanoton, 0)
    assert info.gas_used > 0
    assert len(info.out_messages) == len(record.out_messages) == 2
    assert {message.source for message in info.out_messages} == {rig.address}
    assert read_transaction(0, cell).record == record
    assert parse_fees(cell).total == record.fees_nanoton


def test_a_transaction_that_miscounts_its_messages_is_refused(real: list[Cell]) -> None:
    cell = next(each for each in real if _sends(each))
    count_ends_at = 4 + 256 + 64 + 256 + 64 + 32 + 15
    wrong = cell.bits ^ (1 << (cell.size_bits - count_ends_at))
    with pytest.raises(InvalidData, match="miscounts"):
        parse_transaction(Cell(wrong, cell.size_bits, cell.refs))


def _sends(cell: Cell) -> bool:
    try:
        return bool(parse_transaction(cell).out_messages)
    except InvalidData:
        return False


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_cell_is_refused_with_one_type_of_error(
    real: list[Cell], data: st.DataObject
) -> None:
    cell = data.draw(st.sampled_from(real))
    for _ in range(data.draw(st.integers(1, 3))):
        cell = damaged(cell, real, data)
    for parse in PARSERS:
        with suppress(InvalidData):
            parse(cell)


def damaged(cell: Cell, others: list[Cell], data: st.DataObject) -> Cell:
    """Return *cell* with one thing changed, somewhere in it."""
    refs = list(cell.refs)
    kinds = ["flip", "cut", "library"] + ["below", "below", "drop", "swap"] * bool(refs)
    match data.draw(st.sampled_from(kinds)):
        case "library":
            return Cell(2 << 256, 264, exotic=True)
        case "flip" if cell.size_bits and not cell.exotic:
            where = data.draw(st.integers(0, cell.size_bits - 1))
            return Cell(cell.bits ^ (1 << where), cell.size_bits, tuple(refs))
        case "cut" | "flip":
            size = data.draw(st.integers(0, cell.size_bits))
            return Cell(cell.bits >> (cell.size_bits - size), size, tuple(refs))
        case "drop":
            refs.pop()
        case "swap":
            refs[-1] = data.draw(st.sampled_from(others))
        case _:
            refs[0] = damaged(refs[0], others, data)
    return Cell(cell.bits, cell.size_bits, tuple(refs))
