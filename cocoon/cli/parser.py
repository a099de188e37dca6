"""Every command and option. Light to import: a command's own module is loaded when it runs."""

import argparse
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from cocoon import __version__
from cocoon.cli.output import Output
from cocoon.errors import EXIT_MEANINGS

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

CHAT_MODEL: Final = "SmolLM2-135M-Instruct"
SPEECH_MODEL: Final = "whisper-tiny.en"
QUESTION: Final = "List three fruits and say one sentence about each."
DEVNET_PORT: Final = 8645
EXTENSIONS: Final = "cocoon.commands"
"""Entry points of packages that add commands: each is a function that takes an `Adder`."""
TOKENS_MAX: Final = 1 << 20
PORT_MAX: Final = 65_535
TEMPERATURE_MAX: Final = 10

EPILOG: Final = """\
first steps
  cocoon demo                      see a whole market work on this machine: no coins, no GPU
  cocoon doctor                    say what is missing, and the command that mends it
  cocoon init                      write a settings file, and make a node key and a wallet
  cocoon provide                   sell compute
  cocoon ask "List three fruits."  buy an answer

exit codes
{codes}

The contract is not audited yet: the default chain is a devnet on this machine.
"""


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds, for argparse."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text[:20]) <= high:
            raise argparse.ArgumentTypeError(f"a whole number from {low} to {high}, not {text!r}")
        return int(text)

    return read


def temperature(text: str) -> float:
    """Read a sampling temperature, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= TEMPERATURE_MAX:
        raise argparse.ArgumentTypeError(f"a number from 0 to {TEMPERATURE_MAX}, not {text!r}")
    return value


class Adder:
    """Adds commands that share the common options."""

    def __init__(self, commands: "Commands", common: argparse.ArgumentParser) -> None:
        self._commands = commands
        self._common = common

    def add(self, name: str, run: str, summary: str) -> argparse.ArgumentParser:
        """Add one command and return its parser for further options.

        Args:
            name: what people type.
            run: ``module:function`` below `cocoon.cli`, or ``package.module:function``;
                called with the parsed arguments and the `Output`, returns the exit code.
            summary: one line.
        """
        description = f"{summary[0].upper()}{summary[1:]}."
        parser = self._commands.add_parser(
            name, parents=[self._common], help=summary, description=description
        )
        parser.set_defaults(run=run)
        return parser


def run_command(parsed: argparse.Namespace, output: Output) -> int:
    """Load the module of the command that was chosen, run it, return the exit code."""
    module, _, function = parsed.run.partition(":")
    code: int = getattr(import_module(full_name(module)), function)(parsed, output)
    return code


def full_name(module: str) -> str:
    """Return the module of a command: below `cocoon.cli` unless it names its package."""
    return module if "." in module else f"cocoon.cli.{module}"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with every command in it."""
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_MEANINGS.items())
    parser = argparse.ArgumentParser(
        prog="cocoon",
        description="A peer-to-peer market for AI compute, paid in GRAM on TON. "
        "Not Telegram's Cocoon, and not compatible with it.",
        epilog=EPILOG.format(codes=codes),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cocoon {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    adder = Adder(commands, _common())
    _add_demo(adder)
    _add_prepare(adder)
    _add_init(adder)
    _add_nodes(adder)
    _add_jobs(adder)
    _add_records(adder)
    _add_money(adder)
    for extension in sorted(entry_points(group=EXTENSIONS), key=lambda each: each.name):
        extension.load()(adder)
    return parser


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("common options")
    group.add_argument("--home", type=Path, help="where keys, journals and receipts live")
    group.add_argument("--config", type=Path, help="settings file (default: HOME/config.toml)")
    group.add_argument("--json", action="store_true", help="print JSON for scripts on stdout")
    group.add_argument("-v", "--verbose", action="count", default=0, help="more log; twice: all")
    return common


def _add_network(*parsers: argparse.ArgumentParser) -> None:
    """Add what says which swarm and which chain; on top of the settings file."""
    for parser in parsers:
        group = parser.add_argument_group("swarm and chain (default: as the settings say)")
        group.add_argument("--bootstrap", action="append", help="multiaddress of a peer to join")
        group.add_argument("--chain-url", help="HTTP API of the chain")
        group.add_argument("--network", help="name of the swarm")


def _add_demo(adder: Adder) -> None:
    demo = adder.add(
        "demo", "demo:demo_command", "see a whole market of real nodes on this machine"
    )
    demo.add_argument("--question", default=QUESTION, help="what is asked")
    demo.add_argument("--voice-note", type=Path, help="an audio file to transcribe instead of ours")
    demo.add_argument("--keep", type=Path, help="keep homes, logs and receipts in this new folder")


def _add_prepare(adder: Adder) -> None:
    adder.add("doctor", "prepare:doctor_command", "say what is missing, and how to mend it")
    config = adder.add("config", "prepare:config_command", "show the settings in force")
    config.add_argument("--explain", action="store_true", help="every option, unit and default")
    assets = adder.add(
        "assets", "prepare:assets_command", "list or fetch model weights and the chain emulator"
    )
    assets.add_argument("action", choices=["list", "fetch", "path"], nargs="?", default="list")
    assets.add_argument("names", nargs="*", help="names, or groups: demo, provider, devnet, tests")


def _add_init(adder: Adder) -> None:
    init = adder.add("init", "init:init_command", "write settings, make a node key and a wallet")
    init.add_argument("--listen", action="append", help="multiaddress to listen on")
    init.add_argument("--model", action="append", help="model to serve when providing")
    init.add_argument("--set", action="append", metavar="OPTION=VALUE", help="any other option")
    init.add_argument("--import-wallet", action="store_true", help="type in 24 words you have")
    init.add_argument("--passphrase-file", type=Path, help="file with the wallet's passphrase")
    init.add_argument(
        "--devnet-wallet",
        action="store_true",
        help="an unencrypted wallet without passphrase: for devnets and trials only",
    )
    init.set_defaults(selling=True)
    _add_network(init)


def _add_nodes(adder: Adder) -> None:
    node = adder.add("node", "nodes:node_command", "run a node that helps others find each other")
    provide = adder.add("provide", "nodes:provide_command", "sell compute")
    provide.add_argument("--model", action="append", help="model to serve; can be repeated")
    provide.set_defaults(selling=True)
    devnet = adder.add(
        "devnet", "nodes:devnet_command", "run a TON chain on this machine, for trials"
    )
    devnet.add_argument(
        "--port", type=whole(0, PORT_MAX), default=DEVNET_PORT, help="0 takes a free one"
    )
    devnet.add_argument("--host", default="127.0.0.1", help="who can reach it can print money")
    devnet.add_argument("--state", type=Path, help="file that keeps the chain over restarts")
    for parser in (node, provide):
        parser.add_argument("--listen", action="append", help="multiaddress to listen on")
    for parser in (node, provide, devnet):
        parser.add_argument("--stop-with-stdin", action="store_true", help=argparse.SUPPRESS)
    _add_network(node, provide)


def _add_jobs(adder: Adder) -> None:
    ask = adder.add("ask", "ask:ask_command", "buy an answer, streamed as it is made")
    ask.add_argument("prompt", help="the question; - reads it from standard input")
    ask.add_argument("--model", default=CHAT_MODEL, help=f"name of the model ({CHAT_MODEL})")
    ask.add_argument("--system", help="a system prompt")
    ask.add_argument(
        "--tokens", type=whole(1, TOKENS_MAX), default=256, help="longest answer, in tokens (256)"
    )
    ask.add_argument(
        "--temperature", type=temperature, default=0.0, help="0 takes the likeliest token"
    )
    ask.add_argument(
        "--seed",
        type=whole(0, (1 << 32) - 1),
        default=0,
        help="seed of the choice above temperature 0",
    )
    hear = adder.add("transcribe", "ask:transcribe_command", "have a voice note written down")
    hear.add_argument("file", type=Path, help="OGG/Opus, WAV, FLAC or MP3")
    hear.add_argument("--model", default=SPEECH_MODEL, help=f"name of the model ({SPEECH_MODEL})")
    quotes = adder.add("quotes", "ask:quotes_command", "watch what is for sale")
    quotes.add_argument("--model", help="only this model")
    quotes.add_argument("--once", action="store_true", help="print one table and stop")
    _add_network(ask, hear, quotes)


def _add_records(adder: Adder) -> None:
    why = adder.add("explain", "records:explain_command", "why each provider won or lost a job")
    why.add_argument("job", nargs="?", help="job id, as `cocoon ask` prints it (default: the last)")
    receipts = adder.add("receipts", "records:receipts_command", "list or verify receipts")
    receipts.add_argument("action", choices=["list", "verify"], nargs="?", default="list")
    receipts.add_argument("files", nargs="*", type=Path, help="receipt files to verify, offline")


def _add_money(adder: Adder) -> None:
    wallet = adder.add("wallet", "money:wallet_command", "address, balance, sending")
    wallet.add_argument(
        "action", choices=["show", "address", "send", "faucet"], nargs="?", default="show"
    )
    wallet.add_argument("amount", nargs="?", help="in GRAM, for send and faucet")
    wallet.add_argument("--to", help="address to send to")
    channels = adder.add(
        "channels", "channels:channels_command", "payment channels: list, close, leave, back up"
    )
    actions = ["list", "close", "exit", "backup", "restore"]
    channels.add_argument("action", choices=actions, nargs="?", default="list")
    channels.add_argument(
        "address",
        nargs="?",
        help="close, exit: a channel, default all that are open; backup, restore: a folder",
    )
    _add_network(wallet, channels)
