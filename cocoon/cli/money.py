"""The command `cocoon wallet`: address, balance, sending, and a devnet's play money."""

import argparse
from functools import partial

from cocoon.cli.output import Output
from cocoon.cli.running import run_interruptible
from cocoon.cli.settings import load
from cocoon.config import NodeConfig
from cocoon.errors import ConfigError
from cocoon.node import open_account, open_chain
from contracts.address import friendly_address, parse_address
from contracts.errors import InvalidData
from contracts.keystore import read_public
from contracts.toncenter import DevnetControl
from contracts.units import TICKER, NanoTon, format_coins, parse_coins
from contracts.wallet import MAINNET_ID, Transfer, send_transfers

SEND_TIMEOUT_S = 60.0
FAUCET_COINS = "10"


def wallet_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show the wallet, or move coins."""
    config = load(parsed)
    if not config.wallet_keyfile.exists():
        raise ConfigError(f"there is no wallet at {config.wallet_keyfile}; run: cocoon init")
    address = read_public(config.wallet_keyfile).address
    match parsed.action:
        case "address":
            output.say(address)
            output.result({"address": address})
        case "faucet":
            amount = _amount(parsed.amount or FAUCET_COINS)
            run_interruptible(partial(_faucet, config, address, amount, output))
        case "send":
            transfer = _transfer(parsed.amount, parsed.to)
            run_interruptible(partial(_send, config, transfer, output))
        case _:
            run_interruptible(partial(_show, config, address, output))
    return 0


def _amount(text: str) -> NanoTon:
    try:
        amount = parse_coins(text)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not amount:
        raise ConfigError("nothing is not an amount to send")
    return amount


def _transfer(amount: str | None, to: str | None) -> Transfer:
    if not (amount and to):
        raise ConfigError("say how much and where to: cocoon wallet send AMOUNT --to ADDRESS")
    try:
        destination = parse_address(to)
    except InvalidData as error:
        raise ConfigError(f"--to: {error}") from error
    return Transfer(destination=destination, value_nanoton=_amount(amount), bounce=False)


async def _faucet(config: NodeConfig, address: str, amount: NanoTon, output: Output) -> None:
    try:
        await DevnetControl(config.chain.url).faucet(address, amount)
    except InvalidData as error:
        raise ConfigError(f"{config.chain.url} gives no play money: {error}") from error
    output.say(f"{format_coins(amount)} {TICKER} of this devnet's play money for {address}")
    output.result({"address": address, "amount_nanoton": amount})


async def _show(config: NodeConfig, address: str, output: Output) -> None:
    """Ask the chain; the key stays in its file, so no passphrase is needed."""
    async with open_chain(config) as chain:
        state = await chain.account(address)
        friendly = friendly_address(
            address, bounceable=False, test_only=chain.network_id != MAINNET_ID
        )
        output.say(f"address  {friendly}\n         {address}")
        output.say(f"balance  {format_coins(state.balance_nanoton)} {TICKER}")
        output.result(
            {
                "address": address,
                "friendly": friendly,
                "balance_nanoton": state.balance_nanoton,
                "network_id": chain.network_id,
            }
        )


async def _send(config: NodeConfig, transfer: Transfer, output: Output) -> None:
    async with open_account(config) as account:
        record = await send_transfers(
            account.chain, account.wallet, [transfer], timeout_s=SEND_TIMEOUT_S
        )
    sent, fees = format_coins(transfer.value_nanoton), format_coins(record.fees_nanoton)
    output.say(f"sent {sent} {TICKER}; fees {fees}")
    output.result({"fees_nanoton": record.fees_nanoton, "lt": record.lt})
