"""What holds for every chain client: embedded, toncenter over HTTP, liteserver."""

import pytest
import trio
from lite_rig import LiteRig, open_rig

from contracts import wallet as wallet_module
from contracts.cells import Builder, decode_boc, join_address
from contracts.chain import Chain
from contracts.delivery import wait_for_delivery, wait_for_transaction
from contracts.embedded import EmbeddedChain
from contracts.emulator import DEVNET_NETWORK_ID, Emulator
from contracts.errors import InvalidData, LocalContractError, MessageRejected
from contracts.units import NanoTon
from contracts.vm_stack import StackSlice
from contracts.wallet import Transfer, Wallet, send_transfers, sign_transfers

COIN = NanoTon(10**9)
FRIEND = join_address(0, b"\x0f" * 32)
NOBODY = join_address(0, b"\xee" * 32)
START_UNIX_S = 1_780_000_000
KINDS = ("embedded", "toncenter", "liteserver")


@pytest.fixture(params=KINDS)
async def rig(request: pytest.FixtureRequest, emulator: Emulator):
    embedded = EmbeddedChain(emulator, unix_s=START_UNIX_S, real_blocks=True)
    async with open_rig(embedded) as made, made.client(request.param) as client:
        made.chain = client
        yield made


def wallet_of(rig: LiteRig, version: str = "v4r2") -> Wallet:
    return Wallet(b"\x05" * 32, version, network_id=rig.chain.network_id)


async def funded(rig: LiteRig, version: str = "v4r2") -> Wallet:
    wallet = wallet_of(rig, version)
    await rig.devnet.faucet(wallet.address, NanoTon(10 * COIN))
    return wallet


def gift(amount: int = COIN, destination: str = FRIEND) -> Transfer:
    return Transfer(destination=destination, value_nanoton=NanoTon(amount), bounce=False)


async def test_it_knows_its_network_and_the_time_of_the_newest_block(rig: LiteRig) -> None:
    assert rig.chain.network_id == DEVNET_NETWORK_ID
    before = await rig.chain.now_unix_s()
    await rig.devnet.warp(3600)
    assert await rig.chain.now_unix_s() >= before + 3600


async def test_accounts_that_are_not_there_and_that_only_have_money(rig: LiteRig) -> None:
    nobody = await rig.chain.account(NOBODY)
    assert (nobody.status, nobody.balance_nanoton, nobody.data) == ("nonexist", 0, None)
    wallet = await funded(rig)
    account = await rig.chain.account(wallet.friendly)
    assert (account.status, account.balance_nanoton) == ("uninit", 10 * COIN)
    assert account.address == wallet.address
    assert account.last_transaction_lt > 0


@pytest.mark.parametrize("version", ["v4r2", "v5r1"])
async def test_a_wallet_sends_and_everybody_sees_the_same(rig: LiteRig, version: str) -> None:
    wallet = await funded(rig, version)
    record = await send_transfers(rig.chain, wallet, [gift()], timeout_s=20)
    received = await wait_for_delivery(rig.chain, record, FRIEND)
    assert received.value_nanoton == COIN
    assert received.source == wallet.address
    account, direct = await rig.chain.account(wallet.address), await rig.direct(wallet.address)
    assert (account.code_hash, account.data) == (direct.code_hash, direct.data)
    assert account.balance_nanoton == direct.balance_nanoton < 9 * COIN - record.fees_nanoton


async def test_transactions_come_oldest_first_and_only_the_newer_ones(rig: LiteRig) -> None:
    wallet = await funded(rig)
    for _ in range(20):  # more than a liteserver gives at once
        await rig.devnet.faucet(wallet.address, COIN)
    found = await rig.chain.transactions(wallet.address)
    assert [record.lt for record in found] == sorted(record.lt for record in found)
    assert len(found) == 21
    assert found == [item.record for item in await rig.devnet.transactions(wallet.address)]
    later = await rig.chain.transactions(wallet.address, since_lt=found[4].lt)
    assert later == found[5:]
    assert await rig.chain.transactions(wallet.address, since_lt=found[4].lt, limit=2) == later[:2]
    assert await rig.chain.transactions(wallet.address, since_lt=found[-1].lt) == []
    assert await rig.chain.transactions(NOBODY) == []


@pytest.mark.parametrize("seen_alive", [True, False])
async def test_the_history_of_an_account_that_is_gone_can_be_read(
    rig: LiteRig, seen_alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = await funded(rig)
    for seqno in range(20):
        await rig.devnet.send(wallet.transfer_message(seqno, [gift(1000)], 2**32 - 1))
    if seen_alive:
        assert len(await rig.chain.transactions(wallet.address)) == 21
    for _ in range(5):
        await rig.devnet.warp(1)
    with monkeypatch.context() as patch:
        patch.setattr(wallet_module, "_SEND_MODE", 128 + 32)  # all that is left, and the end
        await rig.devnet.send(wallet.transfer_message(20, [gift(0)], 2**32 - 1))
    for _ in range(9):
        await rig.devnet.warp(1)
    assert (await rig.chain.account(wallet.address)).status == "nonexist"
    found = await rig.chain.transactions(wallet.address, heir=FRIEND)
    assert found == [item.record for item in await rig.devnet.transactions(wallet.address)]
    assert len(found) == 22
    assert (
        await rig.chain.transactions(wallet.address, since_lt=found[-2].lt, heir=FRIEND)
        == found[-1:]
    )
    assert await rig.chain.transactions(NOBODY) == []
    await rig.devnet.faucet(wallet.address, COIN)  # it begins anew
    again = await rig.chain.transactions(wallet.address, since_lt=found[-1].lt)
    assert [record.value_nanoton for record in again] == [COIN]


async def test_get_methods_take_and_return_values(rig: LiteRig) -> None:
    wallet = await funded(rig)
    await send_transfers(rig.chain, wallet, [gift()], timeout_s=20)
    seqno = await rig.chain.run_get_method(wallet.address, "seqno")
    assert (seqno.stack, seqno.exit_code) == ((1,), 0)
    key = await rig.chain.run_get_method(wallet.address, "get_public_key")
    assert key.stack == (int.from_bytes(wallet.public_key, "big"),)
    arguments = [0, int.from_bytes(b"\x0f" * 32, "big")]
    installed = await rig.chain.run_get_method(wallet.address, "is_plugin_installed", arguments)
    assert installed.stack == (0,)
    assert (await rig.chain.run_get_method(wallet.address, "nothing")).exit_code == 11
    with pytest.raises(InvalidData):
        await rig.chain.run_get_method(NOBODY, "seqno")
    with pytest.raises(InvalidData):
        await rig.chain.run_get_method(wallet.address, "seqno", [(1, 2)])
    slice_ = StackSlice(Builder().uint(1, 7).end())
    odd = await rig.chain.run_get_method(wallet.address, "seqno", [slice_, slice_.cell])
    assert odd.exit_code in (0, 1)


async def test_a_message_that_is_refused_says_why_and_costs_nothing(rig: LiteRig) -> None:
    wallet = await funded(rig)
    await send_transfers(rig.chain, wallet, [gift()], timeout_s=20)
    before = (await rig.chain.account(wallet.address)).balance_nanoton
    used = wallet.transfer_message(0, [gift()], 2**32 - 1)
    with pytest.raises(MessageRejected) as refused:
        await rig.chain.send(used)
    assert refused.value.exit_code == 33
    assert (await rig.chain.account(wallet.address)).balance_nanoton == before
    with pytest.raises(LocalContractError):
        await rig.chain.send(b"not a message")
    with pytest.raises(InvalidData):
        await rig.chain.account("0:zz")


async def test_the_transaction_of_a_message_can_be_waited_for(rig: LiteRig) -> None:
    wallet = await funded(rig)
    signed = await sign_transfers(rig.chain, wallet, [gift()])
    hash_ = decode_boc(signed.message).hash
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.chain.send, signed.message)
        found = await wait_for_transaction(
            rig.chain, wallet.address, hash_, since_lt=signed.since_lt, timeout_s=10
        )
    assert found.message_hash == hash_


def test_each_client_has_every_method_of_the_port() -> None:
    from contracts.liteserver import Liteserver
    from contracts.local_chain import LocalChain
    from contracts.toncenter import Toncenter

    methods = {name for name in vars(Chain) if not name.startswith("_")}
    assert {"network_id", "send", "run_get_method"} <= methods
    for client in (Liteserver, LocalChain, Toncenter):
        assert methods <= set(dir(client))
