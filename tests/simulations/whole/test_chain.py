"""The ledger that stands in for a chain does what the TVM does, for payers and payees."""

import importlib.util
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from cocoon.payments.ownership import public_key
from cocoon.payments.payee import open_payee
from cocoon.payments.payer import open_payer
from contracts.channel_client import read_channel
from contracts.errors import MessageRejected
from contracts.units import NanoTon, parse_coins
from contracts.wallet import Transfer, Wallet, send_transfers
from simulations.whole.chain import LedgerChain
from simulations.whole.virtual import run_virtual

START_UNIX_S = 1_780_000_000
CHALLENGE_S = 600
FEES_MAX = 20_000_000


def _payments_conftest():
    path = Path(__file__).parents[2] / "cocoon" / "payments" / "conftest.py"
    spec = importlib.util.spec_from_file_location("payments_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_payments = _payments_conftest()
emulator = _payments.emulator


class Scene:
    """One payer and one payee on some chain; what they have at the end."""

    def __init__(self, chain, wallet, balance, pass_time) -> None:
        self.chain, self.wallet = chain, wallet
        self.balance, self.pass_time = balance, pass_time


def ledger_scene() -> Scene:
    jump = [0.0]

    def clock() -> float:
        return START_UNIX_S + trio.current_time() + jump[0]

    chain = LedgerChain(clock)
    wallet = Wallet(b"\x01" * 32, network_id=chain.network_id)
    chain.mint(wallet.address, parse_coins("10"))
    return Scene(
        chain,
        wallet,
        lambda address: chain.ledger.wallets.get(address, 0),
        lambda seconds: jump.__setitem__(0, jump[0] + seconds),
    )


def tvm_scene(emulator) -> Scene:
    from contracts.embedded import EmbeddedChain

    chain = EmbeddedChain(emulator, unix_s=START_UNIX_S)
    wallet = Wallet(b"\x01" * 32, network_id=chain.network_id)
    chain.faucet(wallet.address, parse_coins("10"))

    def pass_time(seconds: int) -> None:
        chain.warp(seconds)

    return Scene(
        _payments.InProcess(chain),
        wallet,
        lambda address: chain.account(address).balance_nanoton,
        pass_time,
    )


PAYEE_SEED = b"\x02" * 32


async def settled(scene: Scene, folder: Path, *, alone: bool) -> dict[str, int]:
    """Open a channel, pay 0.3 in two jobs, and leave; say who has what."""
    payee_address = Wallet(b"\x03" * 32, network_id=scene.chain.network_id).address
    async with AsyncExitStack() as stack:
        payee = await stack.enter_async_context(
            open_payee(
                chain=scene.chain,
                payee_seed=PAYEE_SEED,
                payee_address=payee_address,
                journal_path=folder / "payee.journal",
                clock=lambda: float(START_UNIX_S),
                challenge_s_min=CHALLENGE_S,
                watch_interval_s=1.0,
            )
        )
        payer = await stack.enter_async_context(
            open_payer(
                chain=scene.chain,
                wallet=scene.wallet,
                journal_path=folder / "payer.journal",
                clock=lambda: float(START_UNIX_S),
                challenge_s=CHALLENGE_S,
                watch_interval_s=1.0,
            )
        )
        channel = await payer.ensure_channel(
            payee_address,
            public_key(PAYEE_SEED),
            spendable_min=parse_coins("0.5"),
            deposit=parse_coins("0.5"),
        )
        for job, total in (("one", "0.1"), ("two", "0.3")):
            await channel.start_job(job, "provider")
            transcript = job.encode().ljust(32, b"!")
            admitted = await payee.admit(
                channel.ref,
                transcript,
                channel.sign_transcript(transcript),
                spendable_min=NanoTon(1),
            )
            with admitted:
                await admitted.receive(await channel.pay(parse_coins(total), job))
            await channel.end_job(job)
        if alone:
            await payer.exit_alone(channel)
            await trio.sleep(30)  # the payee sees it, and claims
            scene.pass_time(CHALLENGE_S + 60)
            await trio.sleep(30)  # the payer's watcher finishes
            settlement = await payer.settlement(channel)
        else:
            settlement = await payer.close(channel, payee.release)
        assert await read_channel(scene.chain, channel.address) is None
        await payee.settle_all()
        return {
            "paid": settlement.paid,
            "refunded": settlement.refunded,
            "payee": scene.balance(payee_address),
            "payer": scene.balance(scene.wallet.address),
            "earned": payee.earnings().settled,
        }


@pytest.mark.parametrize("alone", [False, True], ids=["together", "alone"])
def test_a_channels_money_goes_where_the_tvm_sends_it(emulator, tmp_path, alone) -> None:
    found = {}
    for name, make in (("ledger", ledger_scene), ("tvm", lambda: tvm_scene(emulator))):
        folder = tmp_path / name
        folder.mkdir()

        async def main(make=make, folder=folder):
            return await settled(make(), folder, alone=alone)

        found[name] = run_virtual(main, seed=1)
    assert found["ledger"].keys() == found["tvm"].keys()
    for key, amount in found["tvm"].items():
        assert found["ledger"][key] == pytest.approx(amount, abs=FEES_MAX), key
    assert found["ledger"]["earned"] == found["ledger"]["payee"] == found["ledger"]["paid"]
    assert found["ledger"]["paid"] == pytest.approx(parse_coins("0.3"), abs=FEES_MAX)


def test_money_is_conserved_and_a_forged_order_moves_nothing() -> None:
    async def main():
        scene = ledger_scene()
        ledger, other = scene.chain.ledger, Wallet(b"\x09" * 32, network_id=-1)
        transfer = Transfer(destination=other.address, value_nanoton=parse_coins("1"), bounce=False)
        await send_transfers(scene.chain, scene.wallet, [transfer], timeout_s=30)
        assert ledger.wallets[other.address] == parse_coins("1")
        forged = bytearray(
            scene.wallet.transfer_message(1, [transfer], START_UNIX_S + 10_000, nonce=1)
        )
        forged_wallet = Wallet(b"\x01" * 32, network_id=scene.chain.network_id)
        forged_wallet._key = other._key  # signs with another key
        message = forged_wallet.transfer_message(1, [transfer], START_UNIX_S + 10_000, nonce=1)
        with pytest.raises(MessageRejected, match="not the wallet's signature"):
            await scene.chain.send(message)
        assert ledger.wallets[other.address] == parse_coins("1")
        await scene.chain.send(bytes(forged))
        with pytest.raises(MessageRejected, match="another seqno"):
            await scene.chain.send(bytes(forged))
        assert ledger.wallets[other.address] == parse_coins("2")
        assert ledger.total() == ledger.minted

    run_virtual(main, seed=1)
