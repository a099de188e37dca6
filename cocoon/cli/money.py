"""Commands about money: wallet and channels."""

import argparse
from functools import partial

import msgspec
import trio

from cocoon.cli.ask import settings
from cocoon.cli.output import Output
from cocoon.cli.settings import Commands, add_command
from cocoon.config import NodeConfig
from cocoon.errors import ConfigError, PaymentError
from cocoon.node import open_account, open_buyer, open_purse
from cocoon.payments.journal import read_records
from cocoon.payments.payee_book import PayeeBook, PayeeRecord
from contracts.keystore import read_public
from contracts.toncenter import DevnetControl
from contracts.units import TICKER, format_coins, parse_coins
from contracts.wallet import Transfer, send_transfers

SEND_TIMEOUT_S = 60.0


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add this module's commands."""
    wallet = add_command(commands, common, "wallet", wallet_command, "address, balance, sending")
    wallet.add_argument(
        "action", choices=["show", "address", "send", "faucet"], nargs="?", default="show"
    )
    wallet.add_argument("amount", nargs="?", help=f"in {TICKER}, for send and faucet")
    wallet.add_argument("--to", help="address to send to")
    channels = add_command(
        commands, common, "channels", channels_command, "payment channels: list, close, leave"
    )
    channels.add_argument("action", choices=["list", "close", "exit"], nargs="?", default="list")
    channels.add_argument("address", nargs="?", help="a channel; default: all that are open")
    for parser in (wallet, channels):
        parser.add_argument("--bootstrap", action="append", help="peer to join through")
        parser.add_argument("--chain-url", help="HTTP API of the chain")
        parser.add_argument("--network", help="name of the swarm")


# --- wallet ---


def wallet_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show the wallet, or move coins."""
    config = settings(parsed)
    if not config.wallet_keyfile.exists():
        raise ConfigError(f"there is no wallet at {config.wallet_keyfile}; run: cocoon init")
    public = read_public(config.wallet_keyfile)
    if parsed.action == "address":
        output.say(public.address)
        output.result({"address": public.address})
    elif parsed.action == "faucet":
        trio.run(_faucet, config, public.address, parsed.amount or "10", output)
    elif parsed.action == "send":
        if not (parsed.amount and parsed.to):
            raise ConfigError("say how much and where to: cocoon wallet send AMOUNT --to ADDRESS")
        trio.run(_send, config, parsed.to, parsed.amount, output)
    else:
        trio.run(_show, config, output)
    return 0


def _amount(text: str) -> int:
    try:
        return parse_coins(text)
    except ValueError as error:
        raise ConfigError(str(error)) from error


async def _faucet(config: NodeConfig, address: str, amount: str, output: Output) -> None:
    await DevnetControl(config.chain.url).faucet(address, parse_coins(str(amount)))
    output.say(f"{amount} {TICKER} of this devnet's play money for {address}")
    output.result({"address": address, "amount_nanoton": _amount(amount)})


async def _show(config: NodeConfig, output: Output) -> None:
    async with open_account(config) as account:
        state = await account.chain.account(account.wallet.address)
        output.say(f"address  {account.wallet.friendly}\n         {account.wallet.address}")
        output.say(f"balance  {format_coins(state.balance_nanoton)} {TICKER}")
        output.result(
            {
                "address": account.wallet.address,
                "friendly": account.wallet.friendly,
                "balance_nanoton": state.balance_nanoton,
                "network_id": account.chain.network_id,
            }
        )


async def _send(config: NodeConfig, to: str, amount: str, output: Output) -> None:
    value = parse_coins(amount)
    transfer = Transfer(destination=to, value_nanoton=value, bounce=False)
    async with open_account(config) as account:
        record = await send_transfers(
            account.chain, account.wallet, [transfer], timeout_s=SEND_TIMEOUT_S
        )
    output.say(f"sent {amount} {TICKER}; fees {format_coins(record.fees_nanoton)}")
    output.result({"fees_nanoton": record.fees_nanoton, "lt": record.lt})


# --- channels ---


def channels_command(parsed: argparse.Namespace, output: Output) -> int:
    """List channels, close one together, or leave it alone."""
    work = {"list": _list, "close": _close, "exit": _exit}[parsed.action]
    trio.run(partial(work, settings(parsed), parsed.address, output))
    return 0


async def _list(config: NodeConfig, address: str | None, output: Output) -> None:
    del address
    async with open_account(config) as account, open_purse(config, account) as payer:
        paying = payer.list_channels()
    earned = await trio.to_thread.run_sync(_earnings, config)
    output.table("we pay", ("channel", "state"), [(c.address, c.words) for c in paying])
    output.say(
        f"we earned: {format_coins(earned['settled_nanoton'])} {TICKER} settled, "
        f"{format_coins(earned['unclaimed_nanoton'])} in vouchers not claimed yet"
    )
    output.result({"paying": paying, "earned": earned})


def _earnings(config: NodeConfig) -> dict[str, int]:
    """Read what a provider earned from its journal; works while the provider runs."""
    if not config.payee_journal.exists():
        return {"settled_nanoton": 0, "unclaimed_nanoton": 0}
    earned = PayeeBook(read_records(config.payee_journal, PayeeRecord)).earnings()
    return {"settled_nanoton": earned.settled, "unclaimed_nanoton": earned.unclaimed}


async def _close(config: NodeConfig, address: str | None, output: Output) -> None:
    settled = {}
    async with open_buyer(config) as (_, requester):
        for status in requester.payer.list_channels():
            if status.phase.value != "open" or address not in (None, status.address):
                continue
            result = await requester.close_channel(status.address)
            settled[status.address] = result
            output.say(
                f"{status.address}: {format_coins(result.paid)} {TICKER} to the provider, "
                f"{format_coins(result.refunded)} back, fees {format_coins(result.fees)}"
            )
    if not settled:
        raise PaymentError("no open channel to close")
    output.result(
        {a: {"paid": s.paid, "refunded": s.refunded, "fees": s.fees} for a, s in settled.items()}
    )


async def _exit(config: NodeConfig, address: str | None, output: Output) -> None:
    started = {}
    async with open_account(config) as account, open_purse(config, account) as payer:
        for status in payer.list_channels():
            if status.phase.value == "open" and address in (None, status.address):
                started[status.address] = await payer.exit_alone(payer.channel(status.address))
        words = {s.address: s.words for s in payer.list_channels()}
    if not started:
        raise PaymentError("no open channel to leave")
    for one in started:
        output.say(f"{one}: {words[one]}; finished by the next cocoon command after that")
    output.result({"money_back_unix_s": started, "states": msgspec.to_builtins(words)})
