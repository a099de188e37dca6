"""The command `cocoon wallet`: make one, address, balance, sending, a devnet's play money."""

import argparse
from functools import partial

from cocoon.cli.amounts import read_amount
from cocoon.cli.init import make_wallet
from cocoon.cli.output import Output
from cocoon.cli.progress import Steps
from cocoon.cli.running import run_interruptible
from cocoon.cli.settings import load, write_private
from cocoon.config import NodeConfig, config_template
from cocoon.errors import ConfigError
from cocoon.node import open_account, open_chain
from contracts.address import friendly_address, parse_address
from contracts.errors import ChainUnavailable, InvalidData
from contracts.keystore import read_public
from contracts.toncenter import DevnetControl
from contracts.units import TICKER, NanoTon, format_coins
from contracts.wallet import MAINNET_ID, TRANSFER_VALID_S, Transfer, send_transfers

SEND_TIMEOUT_S = 60.0


def wallet_command(parsed: argparse.Namespace, output: Output) -> int:
    """Make a wallet, show it, or move coins."""
    config = load(parsed)
    action = parsed.action or "show"
    if action in {"create", "import"}:
        return _make(parsed, config, output)
    if not config.wallet_keyfile.exists():
        raise ConfigError(
            f"there is no wallet at {config.wallet_keyfile}; run: cocoon wallet create"
        )
    address = read_public(config.wallet_keyfile).address
    match action:
        case "address":
            output.say(address)
            output.result({"address": address})
        case "faucet":
            amount = read_amount(parsed.amount)
            run_interruptible(partial(_faucet, config, address, amount, output))
        case "send":
            transfer = _transfer(parsed.amount, parsed.to)
            run_interruptible(partial(_send, config, transfer, output))
        case _:
            run_interruptible(partial(_show, config, address, output))
    return 0


def _make(parsed: argparse.Namespace, config: NodeConfig, output: Output) -> int:
    """Write a new keyfile; a wallet that exists is never touched."""
    path = config.wallet_keyfile
    if path.exists():
        raise ConfigError(
            f"there is a wallet at {path} already, and it stays; another one: --home FOLDER"
        )
    parsed.import_wallet = parsed.action == "import"
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    address = make_wallet(parsed, config, None, output)
    _keep_passphrase_file(parsed, config, output)
    output.say(f"wallet   {path}\naddress  {address}")
    output.note("next: cocoon devnet (in another terminal), then cocoon wallet faucet 10")
    output.result({"address": address, "keyfile": str(path)})
    return 0


def _keep_passphrase_file(parsed: argparse.Namespace, config: NodeConfig, output: Output) -> None:
    """Have later commands find the passphrase, where no settings say anything yet."""
    settings = config.home / "config.toml"
    if parsed.passphrase_file is None or config.passphrase_file is not None:
        return
    file = str(parsed.passphrase_file.absolute())
    if parsed.config is not None or settings.exists():
        output.note(f"put wallet.passphrase_file = {file!r} into the settings")
        return
    text = {"paths.home": str(config.home.absolute()), "wallet.passphrase_file": file}
    write_private(settings, config_template(text))
    output.note(f"settings: {settings}, with wallet.passphrase_file")


def _transfer(amount: str | None, to: str | None) -> Transfer:
    if not (amount and to):
        raise ConfigError("say how much and where to: cocoon wallet send AMOUNT --to ADDRESS")
    try:
        destination = parse_address(to)
    except InvalidData as error:
        raise ConfigError(f"--to: {error}") from error
    return Transfer(destination=destination, value_nanoton=read_amount(amount), bounce=False)


async def _faucet(config: NodeConfig, address: str, amount: NanoTon, output: Output) -> None:
    if config.chain.is_liteserver:
        raise ConfigError("the faucet is on the devnet's HTTP port: --chain-url http://...")
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
    with Steps(output, quiet=output.as_json) as steps:
        async with open_account(config) as account:
            steps.step(f"sending {format_coins(transfer.value_nanoton)} {TICKER}")
            try:
                record = await send_transfers(
                    account.chain, account.wallet, [transfer], timeout_s=SEND_TIMEOUT_S
                )
            except ChainUnavailable as error:
                raise ChainUnavailable(
                    f"{error}; it may still go through in the next {TRANSFER_VALID_S} s: look at "
                    "cocoon wallet show before you send again"
                ) from error
    sent, fees = format_coins(transfer.value_nanoton), format_coins(record.fees_nanoton)
    output.say(f"sent {sent} {TICKER}; fees {fees}")
    output.result({"fees_nanoton": record.fees_nanoton, "lt": record.lt})
