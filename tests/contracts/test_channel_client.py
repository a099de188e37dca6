from hashlib import sha256

import pytest
import trio

from contracts import channel
from contracts.cells import join_address
from contracts.chain import TransactionRecord
from contracts.channel import ChannelParams, ChannelState, deposit_needed
from contracts.channel_client import (
    ChannelStep,
    claim,
    claim_locked,
    cooperative_close,
    finish,
    finish_top_up,
    open_channel,
    read_channel,
    start_close,
    top_up,
)
from contracts.embedded import EmbeddedChain
from contracts.errors import (
    ChainUnavailable,
    InvalidData,
    LocalContractError,
    MessageRejected,
)
from contracts.locks import HashLock, KeyLock, LockedVoucher, Preimage, sign_key_payment
from contracts.toncenter import DevnetControl, Toncenter
from contracts.units import NanoTon
from contracts.voucher import (
    ChannelRef,
    sign_locked_voucher,
    sign_release,
    sign_start_close,
    sign_voucher,
)
from contracts.wallet import SignedTransfer, Transfer, Wallet, send_transfers

COIN = NanoTon(10**9)
PAYER_SEED = b"\x21" * 32
PAYEE_SEED = b"\x22" * 32
CHALLENGE_S = 3600
WAIT_S = 20.0


@pytest.fixture
def payer(chain: EmbeddedChain) -> Wallet:
    made = Wallet(PAYER_SEED, "v5r1", chain.network_id)
    chain.faucet(made.address, NanoTon(20 * COIN))
    return made


@pytest.fixture
def payee() -> Wallet:
    return Wallet(PAYEE_SEED)


@pytest.fixture
def params(chain: EmbeddedChain, payer: Wallet, payee: Wallet) -> ChannelParams:
    return ChannelParams(
        payer_key=payer.public_key,
        payer_address=payer.address,
        payee_key=payee.public_key,
        payee_address=payee.address,
        challenge_s=CHALLENGE_S,
        open_by_unix_s=chain.now_unix_s + 600,
        salt=7,
    )


async def opened(
    toncenter: Toncenter, payer: Wallet, params: ChannelParams, spendable: int = 3 * COIN
) -> tuple[ChannelState, ChannelRef]:
    deposit = deposit_needed(NanoTon(spendable))
    step = await open_channel(toncenter, payer, params, deposit, timeout_s=WAIT_S)
    return step.state, step.state.ref(toncenter.network_id)


async def balance(toncenter: Toncenter, wallet: Wallet) -> int:
    return (await toncenter.account(wallet.address)).balance_nanoton


async def test_a_channels_whole_life_over_http(
    devnet_url: str, toncenter: Toncenter, payer: Wallet, payee: Wallet, params: ChannelParams
) -> None:
    records: list[TransactionRecord] = []

    def keep(step: ChannelStep) -> ChannelState | None:
        assert step.records
        records.extend(step.records)
        return step.state

    deposit = deposit_needed(NanoTon(3 * COIN))
    before = await balance(toncenter, payer)
    state = keep(await open_channel(toncenter, payer, params, deposit, timeout_s=WAIT_S))
    assert state is not None
    assert state.opened_lt > 0
    assert state.voucher_total_max_nanoton >= 3 * COIN
    ref, address = state.ref(toncenter.network_id), state.address

    first = sign_voucher(PAYER_SEED, ref, COIN)
    second = sign_voucher(PAYER_SEED, ref, NanoTon(2 * COIN))
    state = keep(await claim(toncenter, address, NanoTon(2 * COIN), second, timeout_s=WAIT_S))
    assert state is not None
    assert state.paid_nanoton == 2 * COIN
    with pytest.raises(InvalidData, match="no channel"):
        await claim(toncenter, payee.address, COIN, first, timeout_s=WAIT_S)

    state = keep(await top_up(toncenter, payer, address, COIN, timeout_s=WAIT_S))
    assert state is not None
    assert state.voucher_total_max_nanoton >= 4 * COIN - 20_000_000

    total = NanoTon(5 * COIN // 2)
    voucher = sign_voucher(PAYER_SEED, ref, total)
    release = sign_release(PAYEE_SEED, ref, total)
    step = await cooperative_close(toncenter, address, total, voucher, release, timeout_s=WAIT_S)
    assert keep(step) is None
    assert await read_channel(toncenter, address) is None

    assert all(record.exit_code == 0 for record in records)
    assert all(record.gas_used > 0 for record in records)
    earned = await balance(toncenter, payee)
    assert total - 10_000_000 < earned <= total
    spent = before - await balance(toncenter, payer)
    assert total < spent < total + 30_000_000
    supply = await DevnetControl(devnet_url).supply()
    assert supply.conserved
    assert spent - earned == int(supply.fees_nanoton)


async def test_the_payer_leaves_alone_when_the_payee_is_dead(
    devnet_url: str, toncenter: Toncenter, payer: Wallet, params: ChannelParams
) -> None:
    before = await balance(toncenter, payer)
    state, ref = await opened(toncenter, payer, params)
    with pytest.raises(MessageRejected) as caught:
        await finish(toncenter, state.address, timeout_s=WAIT_S)
    assert caught.value.exit_code not in (None, 0)
    signature = sign_start_close(PAYER_SEED, ref)
    step = await start_close(toncenter, state.address, signature, timeout_s=WAIT_S)
    assert step.state is not None
    assert step.state.close_at_unix_s >= params.open_by_unix_s - 600 + CHALLENGE_S
    with pytest.raises(MessageRejected):
        await finish(toncenter, state.address, timeout_s=WAIT_S)
    control = DevnetControl(devnet_url)
    await control.warp(CHALLENGE_S + 1)
    step = await finish(toncenter, state.address, timeout_s=WAIT_S)
    assert step.state is None
    assert before - await balance(toncenter, payer) < 30_000_000
    assert (await control.supply()).conserved


async def test_the_payee_claims_while_the_payer_is_leaving(
    toncenter: Toncenter, payer: Wallet, payee: Wallet, params: ChannelParams
) -> None:
    state, ref = await opened(toncenter, payer, params)
    await start_close(toncenter, state.address, sign_start_close(PAYER_SEED, ref), timeout_s=WAIT_S)
    voucher = sign_voucher(PAYER_SEED, ref, COIN)
    step = await claim(toncenter, state.address, COIN, voucher, timeout_s=WAIT_S)
    assert step.state is not None
    assert step.state.paid_nanoton == COIN
    assert await balance(toncenter, payee) > COIN - 10_000_000


async def test_every_step_can_be_repeated_and_costs_nothing_then(
    toncenter: Toncenter, payer: Wallet, payee: Wallet, params: ChannelParams
) -> None:
    state, ref = await opened(toncenter, payer, params)
    address, voucher = state.address, sign_voucher(PAYER_SEED, ref, COIN)
    leave = sign_start_close(PAYER_SEED, ref)
    release = sign_release(PAYEE_SEED, ref, COIN)
    deposit = deposit_needed(COIN)

    async def same_again() -> list[ChannelStep]:
        return [
            await open_channel(toncenter, payer, params, deposit, timeout_s=WAIT_S),
            await claim(toncenter, address, COIN, voucher, timeout_s=WAIT_S),
            await start_close(toncenter, address, leave, timeout_s=WAIT_S),
        ]

    assert [len(step.records) for step in await same_again()] == [0, 1, 1]
    payer_has, payee_has = await balance(toncenter, payer), await balance(toncenter, payee)
    assert [len(step.records) for step in await same_again()] == [0, 0, 0]
    assert await balance(toncenter, payer) == payer_has
    assert await balance(toncenter, payee) == payee_has
    closing = (toncenter, address, COIN, None, release)
    assert len((await cooperative_close(*closing, timeout_s=WAIT_S)).records) == 1
    assert (await cooperative_close(*closing, timeout_s=WAIT_S)).records == ()
    assert (await finish(toncenter, address, timeout_s=WAIT_S)).records == ()


async def test_a_second_open_bounces_with_the_money(
    toncenter: Toncenter, payer: Wallet, params: ChannelParams
) -> None:
    state, _ = await opened(toncenter, payer, params)
    again = Transfer(
        destination=state.address,
        value_nanoton=NanoTon(5 * COIN),
        body=channel.open_body(),
        state_init=channel.state_init(params),
    )
    before = await balance(toncenter, payer)
    await send_transfers(toncenter, payer, [again], timeout_s=WAIT_S)
    assert before - await balance(toncenter, payer) < 20_000_000
    assert await read_channel(toncenter, state.address) == state


async def test_a_late_open_is_refused_and_the_money_comes_back(
    devnet_url: str, toncenter: Toncenter, payer: Wallet, params: ChannelParams
) -> None:
    await DevnetControl(devnet_url).warp(601)
    before = await balance(toncenter, payer)
    with pytest.raises(MessageRejected, match="not opened") as caught:
        await open_channel(toncenter, payer, params, deposit_needed(COIN), timeout_s=WAIT_S)
    assert caught.value.exit_code not in (None, 0)
    assert before - await balance(toncenter, payer) < 20_000_000


async def test_an_under_funded_claim_pays_what_is_there_and_the_rest_after_a_top_up(
    toncenter: Toncenter, payer: Wallet, payee: Wallet, params: ChannelParams
) -> None:
    state, ref = await opened(toncenter, payer, params, COIN)
    total = NanoTon(3 * COIN)
    voucher = sign_voucher(PAYER_SEED, ref, total)
    step = await claim(toncenter, state.address, total, voucher, timeout_s=WAIT_S)
    assert step.state is not None
    assert COIN <= step.state.paid_nanoton < total
    await top_up(toncenter, payer, state.address, NanoTon(3 * COIN), timeout_s=WAIT_S)
    step = await claim(toncenter, state.address, total, voucher, timeout_s=WAIT_S)
    assert step.state is not None
    assert step.state.paid_nanoton == total
    assert await balance(toncenter, payee) > total - 20_000_000


async def test_a_locked_claim_is_done_once_and_may_be_repeated(
    toncenter: Toncenter, payer: Wallet, params: ChannelParams
) -> None:
    state, ref = await opened(toncenter, payer, params)
    preimage = b"\x05" * 32
    locks = (
        HashLock(
            digest=sha256(preimage).digest(),
            amount_nanoton=COIN,
            deadline_unix_s=params.open_by_unix_s,
        ),
    )
    signature = sign_locked_voucher(PAYER_SEED, ref, COIN, locks)
    held = LockedVoucher(total_nanoton=COIN, locks=locks, signature=signature)
    witnesses = (Preimage(preimage),)
    step = await claim_locked(toncenter, state.address, held, witnesses, timeout_s=WAIT_S)
    assert step.state is not None
    assert step.state.paid_nanoton == 2 * COIN
    assert step.state.settled_nanoton == {locks[0].digest: COIN}
    again = await claim_locked(toncenter, state.address, held, witnesses, timeout_s=WAIT_S)
    assert again == ChannelStep(step.state, ())


def beside(key: bytes, count: int) -> list[bytes]:
    """Return secrets whose digests have 0, 1, 2, ... bits in common with *key*."""
    found: dict[int, bytes] = {}
    for number in range(1 << 20):
        secret = number.to_bytes(32)
        differs = int.from_bytes(sha256(secret).digest()) ^ int.from_bytes(key)
        found.setdefault(256 - differs.bit_length(), secret)
        if set(range(count)) <= set(found):
            break
    return [found[bits] for bits in range(count)]


async def test_a_claim_that_the_payer_made_too_dear_for_an_external_message_goes_by_wallet(
    chain: EmbeddedChain, toncenter: Toncenter, payer: Wallet, payee: Wallet, params: ChannelParams
) -> None:
    """A dozen locks of its own, beside the one that matters, make each look at that a long way."""
    state, ref = await opened(toncenter, payer, params)
    deadline = chain.now_unix_s + 600
    payment = sign_key_payment(PAYER_SEED, toncenter.network_id, COIN)
    lock = KeyLock(key=payer.public_key, amount_nanoton=COIN, deadline_unix_s=deadline)
    secrets = beside(lock.key, 12)
    dust = [
        HashLock(digest=sha256(each).digest(), amount_nanoton=NanoTon(1), deadline_unix_s=deadline)
        for each in secrets
    ]

    def held(total: int, locks: list) -> LockedVoucher:
        signature = sign_locked_voucher(PAYER_SEED, ref, NanoTon(total), locks)
        return LockedVoucher(total_nanoton=NanoTon(total), locks=tuple(locks), signature=signature)

    body = channel.locked_claim_body(held(COIN, dust), [Preimage(each) for each in secrets])
    fee = channel.locked_claim_fee(len(dust))
    message = Transfer(destination=state.address, value_nanoton=fee, body=body)
    await send_transfers(toncenter, payer, [message], timeout_s=WAIT_S)
    chain.faucet(payee.address, COIN)
    voucher = held(COIN, [lock])
    with pytest.raises(MessageRejected) as refused:
        await claim_locked(toncenter, state.address, voucher, [payment], timeout_s=WAIT_S)
    assert refused.value.exit_code == -14
    had = await balance(toncenter, payee)
    for _ in range(2):  # and again, for nothing
        step = await claim_locked(
            toncenter, state.address, voucher, [payment], timeout_s=WAIT_S, wallet=payee
        )
        assert step.state is not None
        assert step.state.paid_nanoton == 2 * COIN
    assert await balance(toncenter, payee) > had + COIN * 9 // 10


async def test_a_top_up_that_was_journaled_is_finished_once_after_a_crash(
    toncenter: Toncenter, payer: Wallet, params: ChannelParams
) -> None:
    state, _ = await opened(toncenter, payer, params)
    journaled: list[SignedTransfer] = []

    class CrashError(Exception):
        """The process dies between the journal and the wire."""

    async def journal(signed: SignedTransfer) -> None:
        await trio.lowlevel.checkpoint()
        journaled.append(signed)
        raise CrashError

    with pytest.raises(CrashError):
        await top_up(toncenter, payer, state.address, COIN, timeout_s=WAIT_S, journal=journal)
    for _ in range(3):
        step = await finish_top_up(toncenter, journaled[0], state.address, timeout_s=WAIT_S)
    assert step.state is not None
    gained = step.state.balance_nanoton - state.balance_nanoton
    assert COIN - 1_000_000 < gained <= COIN


async def test_forged_and_foreign_vouchers_are_refused(
    toncenter: Toncenter, payer: Wallet, params: ChannelParams
) -> None:
    state, ref = await opened(toncenter, payer, params)
    elsewhere = ChannelRef(-239, state.address, state.opened_lt)
    for signature in (
        sign_voucher(PAYEE_SEED, ref, COIN),
        sign_voucher(PAYER_SEED, elsewhere, COIN),
        sign_voucher(PAYER_SEED, ref, NanoTon(COIN - 1)),
    ):
        with pytest.raises(MessageRejected) as caught:
            await claim(toncenter, state.address, COIN, signature, timeout_s=WAIT_S)
        assert caught.value.exit_code not in (None, 0)
    assert await read_channel(toncenter, state.address) == state


async def test_a_poor_payer_is_told_before_anything_is_sent(
    toncenter: Toncenter, payer: Wallet, params: ChannelParams
) -> None:
    with pytest.raises(LocalContractError, match="needs more"):
        await open_channel(toncenter, payer, params, NanoTon(50 * COIN), timeout_s=WAIT_S)
    assert await read_channel(toncenter, channel.channel_address(params)) is None


async def test_another_contract_is_not_taken_for_a_channel(
    toncenter: Toncenter, payer: Wallet, params: ChannelParams
) -> None:
    await opened(toncenter, payer, params)
    with pytest.raises(InvalidData):
        await read_channel(toncenter, payer.address)
    with pytest.raises(InvalidData):
        await top_up(toncenter, payer, payer.address, COIN, timeout_s=WAIT_S)
    nobody = join_address(0, b"\x0e" * 32)
    with pytest.raises(InvalidData):
        await top_up(toncenter, payer, nobody, COIN, timeout_s=WAIT_S)


async def test_a_chain_that_stands_still_is_said_to_be_unavailable(
    payer: Wallet, params: ChannelParams, toncenter: Toncenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, ref = await opened(toncenter, payer, params)

    async def swallow(message_boc: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return bytes(32)

    monkeypatch.setattr(toncenter, "send", swallow)
    voucher = sign_voucher(PAYER_SEED, ref, COIN)
    with pytest.raises(ChainUnavailable, match="no effect"):
        await claim(toncenter, state.address, COIN, voucher, timeout_s=0.5)
