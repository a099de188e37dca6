import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytoniq_core import Cell as OracleCell  # noqa: TID251 - the oracle
from pytoniq_core.tlb.transaction import Transaction as OracleTransaction  # noqa: TID251

from contracts import channel, embedded, tlb
from contracts.cells import EMPTY, Builder, encode_boc
from contracts.embedded import EMPTY_STACK, EmbeddedChain
from contracts.emulator import DEVNET_NETWORK_ID, Emulator, open_emulator
from contracts.errors import InvalidData, LocalContractError, MessageRejected
from contracts.rehearsal import COIN, PAYEE, PAYER, STRANGER, Rehearsal, rehearsal_params
from contracts.units import NanoTon

START_UNIX_S = 1_780_000_000


def lively(chain: EmbeddedChain) -> Rehearsal:
    """Do a bit of everything."""
    rig = Rehearsal(chain)
    chain.faucet(PAYER, NanoTon(COIN))
    rig.open(COIN)
    chain.advance_to(chain.now_unix_s + 3)
    rig.external(rig.claim(COIN // 4))
    return rig


def test_the_faucet_makes_coins_and_nothing_else_does(chain: EmbeddedChain) -> None:
    chain.faucet(PAYER, NanoTon(5 * COIN))
    account = chain.account(PAYER)
    assert (account.status, account.balance_nanoton) == ("uninit", 5 * COIN)
    assert chain.supply() == chain.minted_nanoton == 5 * COIN
    with pytest.raises(LocalContractError):
        chain.faucet(PAYER, NanoTon(0))


def test_the_network_has_its_own_global_id(chain: EmbeddedChain) -> None:
    assert chain.network_id == DEVNET_NETWORK_ID not in (-239, -3)
    rig = Rehearsal(chain)
    rig.open()
    with pytest.raises(InvalidData, match="another network"):
        EmbeddedChain(open_emulator(network_id=-3), unix_s=1).restore(chain.snapshot())


def test_an_account_that_nobody_used_does_not_exist(chain: EmbeddedChain) -> None:
    account = chain.account(STRANGER)
    assert (account.status, account.balance_nanoton, account.code_hash) == ("nonexist", 0, None)
    assert chain.transactions(STRANGER) == []
    with pytest.raises(InvalidData, match="no contract"):
        chain.run_get_method(STRANGER, "channel", EMPTY_STACK)


def test_blocks_have_growing_numbers_times_and_logical_times(chain: EmbeddedChain) -> None:
    lively(chain)
    blocks = [chain.block(seqno) for seqno in range(1, chain.last_block.seqno + 1)]
    assert chain.block(0) is None
    assert chain.block(chain.last_block.seqno + 1) is None
    for before, after in itertools.pairwise(blocks):
        assert before is not None
        assert after is not None
        assert before.seqno + 1 == after.seqno
        assert before.end_lt < after.start_lt <= after.end_lt
        assert before.unix_s <= after.unix_s
        assert before.root_hash != after.root_hash


def test_a_cascade_is_one_block_in_order(chain: EmbeddedChain) -> None:
    rig = lively(chain)
    claim, payout = rig.last, chain.transactions(PAYEE)[-1]
    assert chain.last_block.transactions == 2
    assert chain.last_block.start_lt < claim.lt < payout.lt <= chain.last_block.end_lt
    assert payout.source == rig.address
    assert payout.value_nanoton == claim.out_messages[0].value_nanoton
    assert claim.out_messages[0].destination == PAYEE


def test_records_agree_with_an_independent_parser(chain: EmbeddedChain) -> None:
    rig = lively(chain)
    rig.internal(COIN, encode_boc(Builder().uint(0xDEAD, 32).end()))
    rig.external(rig.close(COIN // 2))
    for address in (rig.address, PAYER, PAYEE, STRANGER):
        for item in chain.stored_transactions(address):
            record, cell = item.record, OracleCell.one_from_boc(item.boc)
            oracle = OracleTransaction.deserialize(cell.begin_parse())
            assert (record.lt, record.hash) == (oracle.lt, cell.hash)
            assert record.fees_nanoton == oracle.total_fees.grams
            assert record.aborted == oracle.description.aborted
            assert record.message_hash == cell.refs[0].refs[0].hash
            phase = oracle.description.compute_ph
            assert record.exit_code == getattr(phase, "exit_code", None)
            assert record.gas_used == (getattr(phase, "gas_used", 0) or 0)
            assert [out.value_nanoton for out in record.out_messages] == [
                message.info.value.grams for message in oracle.out_msgs
            ]


def test_transactions_are_listed_oldest_first_and_from_where_one_stopped(
    chain: EmbeddedChain,
) -> None:
    for _ in range(5):
        chain.faucet(PAYER, NanoTon(COIN))
    every = chain.transactions(PAYER)
    assert [record.lt for record in every] == sorted(record.lt for record in every)
    assert chain.transactions(PAYER, since_lt=every[1].lt, limit=2) == every[2:4]
    assert chain.transactions(PAYER, since_lt=every[-1].lt) == []


def test_the_history_of_an_account_is_bounded(emulator: Emulator) -> None:
    chain = EmbeddedChain(emulator, unix_s=START_UNIX_S, history_per_account=3)
    for _ in range(5):
        chain.faucet(PAYER, NanoTon(COIN))
    assert len(chain.transactions(PAYER)) == 3
    assert chain.account(PAYER).balance_nanoton == 5 * COIN


def test_a_rejected_message_changes_nothing(chain: EmbeddedChain) -> None:
    rig = lively(chain)
    before = chain.snapshot()
    with pytest.raises(MessageRejected):
        rig.external(channel.finish_body())
    assert chain.snapshot() == before


def test_the_clock_goes_forward_only(chain: EmbeddedChain) -> None:
    chain.advance_to(START_UNIX_S + 10)
    chain.advance_to(START_UNIX_S)
    assert chain.now_unix_s == START_UNIX_S + 10 == chain.account(PAYER).block_unix_s
    with pytest.raises(LocalContractError):
        chain.warp(-1)


@given(data=st.binary(max_size=100))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_from_outside_is_refused(chain: EmbeddedChain, data: bytes) -> None:
    for boc in (data, encode_boc(Builder().raw(data).end())):
        with pytest.raises((InvalidData, MessageRejected)):
            chain.send_external(boc)


def test_only_external_messages_come_from_outside(chain: EmbeddedChain) -> None:
    forged = tlb.internal_message(
        PAYER, STRANGER, COIN, bounce=False, created_lt=0, created_unix_s=0
    )
    with pytest.raises(InvalidData, match="not an external message"):
        chain.send_external(encode_boc(forged))
    assert chain.supply() == 0


def test_the_size_of_external_messages_is_bounded(chain: EmbeddedChain) -> None:
    body = EMPTY
    for number in range(600):
        body = Builder().uint(number, 1000).ref(body).end() if number % 400 else EMPTY
    with pytest.raises(InvalidData, match="more than"):
        chain.send_external(encode_boc(body) + bytes(embedded.EXTERNAL_MESSAGE_BYTES_MAX))


def test_the_same_calls_give_the_same_hashes(emulator: Emulator) -> None:
    chains = [EmbeddedChain(emulator, unix_s=START_UNIX_S, seed=b"s" * 32) for _ in range(2)]
    for chain in chains:
        lively(chain)
    assert chains[0].snapshot() == chains[1].snapshot()
    other = EmbeddedChain(emulator, unix_s=START_UNIX_S, seed=b"t" * 32)
    assert other.last_block.root_hash != chains[0].block(1)


def test_a_snapshot_brings_everything_back(chain: EmbeddedChain) -> None:
    rig = lively(chain)
    here = chain.snapshot()
    rig.external(rig.close(COIN // 2))
    chain.warp(1000)
    assert chain.snapshot() != here
    chain.restore(here)
    assert chain.snapshot() == here
    rig.external(rig.claim(COIN // 2))
    assert chain.supply() == chain.minted_nanoton


def test_a_restart_loses_nothing(chain: EmbeddedChain, emulator: Emulator, tmp_path: Path) -> None:
    rig = lively(chain)
    path = tmp_path / "chain"
    chain.save(path)
    again = EmbeddedChain.load(emulator, path)
    assert again.snapshot() == chain.snapshot()
    for world in (rig, Rehearsal(again, rig.params)):
        world.external(world.claim(COIN // 2))
    assert again.snapshot() == chain.snapshot()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"\x81" + data, lambda _: b""]
)
def test_a_damaged_file_is_refused(
    chain: EmbeddedChain, emulator: Emulator, tmp_path: Path, damage: object
) -> None:
    path = tmp_path / "chain"
    chain.save(path)
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InvalidData, match="does not hold a chain"):
        EmbeddedChain.load(emulator, path)


def test_a_full_block_leaves_the_rest_to_the_next(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "TRANSACTIONS_PER_BLOCK_MAX", 1)
    chain = EmbeddedChain(emulator, unix_s=START_UNIX_S)
    rig = Rehearsal(chain)
    rig.open()
    rig.external(rig.claim(COIN // 4))
    assert chain.account(PAYEE).balance_nanoton == 0
    assert chain.supply() == chain.minted_nanoton
    saved = chain.snapshot()
    chain.warp(1)
    assert chain.account(PAYEE).balance_nanoton > 0
    assert chain.supply() == chain.minted_nanoton
    chain.restore(saved)
    chain.warp(1)
    assert chain.account(PAYEE).balance_nanoton > 0


def test_get_methods_have_the_numbers_that_the_world_expects() -> None:
    assert embedded.method_id("seqno") == 85143
    assert embedded.method_id("get_wallet_data") == 97026


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "faucet",
                "open",
                "top up",
                "claim",
                "close",
                "start",
                "finish",
                "warp",
                "dust",
                "junk",
            ]
        ),
        st.integers(1, 3 * COIN),
        st.integers(0, 2),
    ),
    max_size=14,
)


def perform(rig: Rehearsal, name: str, amount: int) -> None:
    opened = rig.chain.account(rig.address).status == "active" and rig.state.opened_lt
    match name:
        case "faucet":
            rig.chain.faucet(PAYER, NanoTon(amount))
        case "open":
            rig.open(amount)
        case "top up":
            rig.internal(amount, bounce=amount % 2 == 0)
        case "warp":
            rig.chain.warp(amount % (3 * 365 * 86_400))
        case "dust":
            rig.internal(amount % 1000, channel.finish_body(), init=True)
        case "junk":
            rig.internal(amount, encode_boc(Builder().uint(amount, 64).end()))
        case "finish":
            rig.external(channel.finish_body())
        case _ if opened:
            bodies = {"claim": rig.claim, "close": rig.close}
            rig.external(bodies[name](amount) if name in bodies else rig.start_close())


@given(operations=OPERATIONS)
@settings(max_examples=60, deadline=None)
def test_no_nanoton_is_lost_or_made(emulator: Emulator, operations: list[tuple[str, int, int]]):
    chain = EmbeddedChain(emulator, unix_s=START_UNIX_S)
    rigs = [Rehearsal(chain, rehearsal_params(START_UNIX_S, salt)) for salt in range(3)]
    for name, amount, which in operations:
        try:
            perform(rigs[which], name, amount)
        except MessageRejected:
            pass
        assert chain.supply() == chain.minted_nanoton
