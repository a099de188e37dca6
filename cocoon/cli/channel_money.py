"""The verbs of `cocoon channels` that move money with a chain and no swarm."""

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from cocoon.cli.amounts import read_amount
from cocoon.cli.output import Output
from cocoon.cli.progress import Steps
from cocoon.config import NodeConfig
from cocoon.errors import PaymentError
from cocoon.messages import CloseRequest
from cocoon.node import open_account, open_purse, open_till, payee_seed
from cocoon.payments.notes import PayeeNote, ReleaseNote, VoucherNote, read_note, write_note
from cocoon.payments.ownership import public_key
from cocoon.payments.payee import PayeeService
from cocoon.payments.payer import PayerChannel, PayerService
from contracts.units import TICKER, NanoTon, format_coins

SIGNED_BY_HAND: Final = "by hand"
"""The job id of a voucher that no job is behind."""

Verb = Callable[[NodeConfig, argparse.Namespace, Output, Steps], Awaitable[int]]


async def run_verb(config: NodeConfig, parsed: argparse.Namespace, output: Output) -> int:
    """Do what ``parsed.action`` says, with a line that tells what is being waited for."""
    with Steps(output, quiet=output.as_json) as steps:
        return await VERBS[parsed.action](config, parsed, output, steps)


# --- we pay ---


@asynccontextmanager
async def _purse(config: NodeConfig, steps: Steps) -> AsyncIterator[PayerService]:
    steps.step("asking the chain")
    async with open_account(config) as account, open_purse(config, account) as payer:
        yield payer


def _channel(payer: PayerService, start: str) -> PayerChannel:
    """Return the one channel whose address begins with *start*.

    Raises:
        PaymentError: there is none, or several.
    """
    found = [each.address for each in payer.list_channels() if each.address.startswith(start)]
    if len(found) != 1:
        raise PaymentError(f"{len(found) or 'no'} channels begin with {start}")
    return payer.channel(found[0])


async def _open(
    config: NodeConfig, parsed: argparse.Namespace, output: Output, steps: Steps
) -> int:
    note, deposit = read_note(parsed.to, PayeeNote), read_amount(parsed.amount)
    async with _purse(config, steps) as payer:
        if note.chain_network_id != payer.network_id:
            raise PaymentError(
                f"that payee is on network {note.chain_network_id}, this chain is "
                f"{payer.network_id}"
            )
        if note.challenge_s_min > config.requester.challenge_s:
            raise PaymentError(
                f"that payee wants {note.challenge_s_min} s to object when we leave: "
                "set requester.challenge_s to that or more"
            )
        steps.step(f"opening a channel with {format_coins(deposit)} {TICKER}")
        channel = await payer.open_channel(note.payee_address, note.payee_key, deposit)
        _tell_channel(channel, output, "open")
    return 0


async def _top_up(
    config: NodeConfig, parsed: argparse.Namespace, output: Output, steps: Steps
) -> int:
    amount = read_amount(parsed.amount)
    async with _purse(config, steps) as payer:
        channel = _channel(payer, parsed.channel)
        steps.step(f"adding {format_coins(amount)} {TICKER} to {channel.address}")
        await payer.top_up(channel, amount)
        _tell_channel(channel, output, "topped up")
    return 0


def _tell_channel(channel: PayerChannel, output: Output, done: str) -> None:
    left = channel.spendable_left
    output.say(f"{channel.address}: {done}, {format_coins(left)} {TICKER} to spend")
    output.result(
        {
            "channel": channel.address,
            "spendable_nanoton": left,
            "signed_total_nanoton": channel.signed_total,
        }
    )


async def _pay(config: NodeConfig, parsed: argparse.Namespace, output: Output, steps: Steps) -> int:
    amount = read_amount(parsed.amount)
    async with _purse(config, steps) as payer:
        channel = _channel(payer, parsed.channel)
        total = NanoTon(channel.signed_total + amount)
        voucher = await channel.pay(total, SIGNED_BY_HAND)
        await channel.end_job(SIGNED_BY_HAND)
        note = write_note(VoucherNote(payment=channel.ref, voucher=voucher))
        output.say(note)
        output.note(
            f"{format_coins(total)} {TICKER} in all on {channel.address}; the payee keeps it "
            "with: cocoon channels accept VOUCHER"
        )
        output.result({"channel": channel.address, "total_nanoton": total, "voucher": note})
    return 0


async def _ask_close(
    config: NodeConfig, parsed: argparse.Namespace, output: Output, steps: Steps
) -> int:
    async with _purse(config, steps) as payer:
        channel = _channel(payer, parsed.channel)
        request = await payer.close_request(channel)
        note = write_note(request)
        output.say(note)
        output.note(
            f"{channel.address} pays no more; the payee agrees with: cocoon channels release "
            "REQUEST; then: cocoon channels close --release RELEASE"
        )
        output.result({"channel": channel.address, "request": note})
    return 0


async def _recover(
    config: NodeConfig, parsed: argparse.Namespace, output: Output, steps: Steps
) -> int:
    del parsed
    async with _purse(config, steps) as payer:
        steps.step("looking through the wallet's transactions")
        found = await payer.recover()
        for channel in found:
            output.say(f"{channel.address}: found; get the money back: cocoon channels exit")
        if not found:
            output.say("every channel of this wallet that the chain shows is in the journal")
        output.result({"found": [channel.address for channel in found]})
    return 0


# --- we are paid ---


@asynccontextmanager
async def _till(config: NodeConfig, steps: Steps) -> AsyncIterator[PayeeService]:
    steps.step("asking the chain")
    async with open_account(config) as account, open_till(config, account) as payee:
        yield payee


async def _payee(
    config: NodeConfig, parsed: argparse.Namespace, output: Output, steps: Steps
) -> int:
    del parsed
    steps.step("asking the chain")
    async with open_account(config) as account:
        note = PayeeNote(
            chain_network_id=account.chain.network_id,
            payee_address=account.wallet.address,
            payee_key=public_key(payee_seed(account.seed)),
            challenge_s_min=config.provider.challenge_s_min,
        )
    output.say(write_note(note))
    output.note("others open a channel to us with: cocoon channels open AMOUNT --to THIS")
    output.result({"payee": write_note(note), "address": note.payee_address})
    return 0


async def _accept(
    config: NodeConfig, parsed: argparse.Namespace, output: Output, steps: Steps
) -> int:
    note = read_note(parsed.voucher, VoucherNote)
    async with _till(config, steps) as payee:
        steps.step("checking the channel on the chain")
        added = await payee.keep(note.payment, note.voucher)
        total = NanoTon(note.voucher.total_nanoton)
        address = note.payment.channel_address
        output.say(f"{address}: {format_coins(added)} {TICKER} more, {format_coins(total)} in all")
        output.result({"channel": address, "added_nanoton": added, "total_nanoton": total})
    return 0


async def _claim(
    config: NodeConfig, parsed: argparse.Namespace, output: Output, steps: Steps
) -> int:
    async with _till(config, steps) as payee:
        held = [
            each
            for each in payee.list_channels()
            if each.unclaimed and each.address.startswith(parsed.channel or "")
        ]
        if not held:
            raise PaymentError("nothing to claim: no voucher grants more than the chain has paid")
        before = payee.earnings()
        for each in held:
            steps.step(f"claiming {format_coins(each.unclaimed)} {TICKER} from {each.address}")
            await payee.settle_all(each.address)
        after = payee.earnings()
    came = NanoTon(after.settled - before.settled)
    output.say(
        f"{format_coins(came)} {TICKER} came to the wallet; "
        f"{format_coins(after.unclaimed)} are not claimed"
    )
    output.result({"claimed_nanoton": came, "unclaimed_nanoton": after.unclaimed})
    return 0


async def _release(
    config: NodeConfig, parsed: argparse.Namespace, output: Output, steps: Steps
) -> int:
    request = read_note(parsed.request, CloseRequest)
    async with _till(config, steps) as payee:
        release = await payee.release(request)
        note = write_note(ReleaseNote(channel_address=request.channel_address, release=release))
        output.say(note)
        output.note(f"{request.channel_address} pays us no more; the payer closes it with this")
        output.result({"channel": request.channel_address, "release": note})
    return 0


VERBS: Final[dict[str, Verb]] = {
    "open": _open,
    "top-up": _top_up,
    "pay": _pay,
    "ask-close": _ask_close,
    "recover": _recover,
    "payee": _payee,
    "accept": _accept,
    "claim": _claim,
    "release": _release,
}
