"""The same services against a served chain, as a node uses them."""

from functools import partial

import trio

from cocoon.payments.channel import Phase
from cocoon.payments.ownership import public_key
from cocoon.payments.payee import open_payee
from cocoon.payments.payer import open_payer
from contracts.devnet import serve_devnet
from contracts.embedded import EmbeddedChain
from contracts.toncenter import DevnetControl, open_toncenter
from contracts.units import parse_coins
from contracts.wallet import Wallet

START_UNIX_S = 1_780_000_000
TRANSCRIPT = b"\x07" * 32


async def test_jobs_are_paid_and_both_ways_out_work_over_http(emulator, tmp_path, until):
    chain = EmbeddedChain(emulator, unix_s=START_UNIX_S)
    payer_wallet = Wallet(b"\x11" * 32, network_id=chain.network_id)
    payee_wallet = Wallet(b"\x12" * 32, network_id=chain.network_id)
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(serve_devnet, chain, clock=lambda: START_UNIX_S))
        control = DevnetControl(url)
        await control.faucet(payer_wallet.address, parse_coins("5"))
        async with (
            open_toncenter(url) as payer_chain,
            open_toncenter(url) as payee_chain,
            open_payee(
                chain=payee_chain,
                payee_seed=b"\x13" * 32,
                payee_address=payee_wallet.address,
                journal_path=tmp_path / "payee.journal",
                clock=lambda: START_UNIX_S,
                watch_interval_s=0.1,
            ) as payee,
            open_payer(
                chain=payer_chain,
                wallet=payer_wallet,
                journal_path=tmp_path / "payer.journal",
                clock=lambda: START_UNIX_S,
                watch_interval_s=0.1,
            ) as payer,
        ):
            tenth = parse_coins("0.1")

            async def one_job():
                channel = await payer.ensure_channel(
                    payee_wallet.address,
                    public_key(b"\x13" * 32),
                    spendable_min=tenth,
                    deposit=3 * tenth,
                )
                await channel.start_job("job", "peer")
                signature = channel.sign_transcript(TRANSCRIPT)
                with await payee.admit(
                    channel.ref, TRANSCRIPT, signature, spendable_min=tenth
                ) as till:
                    await till.receive(await channel.pay(tenth, "job"))
                await channel.end_job("job")
                return channel

            together = await payer.close(await one_job(), payee.release)
            assert together.paid > parse_coins("0.099")
            alone = await one_job()
            await payer.exit_alone(alone)
            await until(lambda: payee.earnings().unclaimed == 0)
            await control.warp(3601)
            await until(lambda: payer.phase(alone.address) is Phase.CLOSED)
            settled = await payer.settlement(alone)
            assert settled.paid > parse_coins("0.095")
            balance = (await payee_chain.account(payee_wallet.address)).balance_nanoton
            assert balance == together.paid + settled.paid
            await until(lambda: payee.earnings().settled == balance)
        supply = await control.supply()
        assert supply.total_nanoton == supply.minted_nanoton
        nursery.cancel_scope.cancel()
    assert chain.supply() == chain.minted_nanoton
