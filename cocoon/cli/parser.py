"""Every command and option. Light to import: a command's own module is loaded when it runs."""

import argparse
import re
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from cocoon import __version__
from cocoon.cli.lessons import LESSONS
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
WARP_MAX: Final = 316_224_000
TEMPERATURE_MAX: Final = 5
KERNEL_MS_MAX: Final = 600_000

FAUCET_COINS: Final = "10"
API_ADDRESS: Final = "127.0.0.1:8646"
API_COINS: Final = "1"
API_JOBS_MAX: Final = 256

EPILOG: Final = """\
first steps
  cocoon demo                      see a whole market work: no coins, no GPU
  cocoon doctor                    what is missing, and what mends it
  cocoon init                      settings, a node key and a wallet
  cocoon provide                   sell compute
  cocoon ask "List three fruits."  buy an answer
`cocoon COMMAND --help` shows how each is used; README.md is the tour.

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

    def add(
        self, name: str, run: str, summary: str, *, aliases: tuple[str, ...] = (), epilog: str = ""
    ) -> argparse.ArgumentParser:
        """Add one command and return its parser for further options.

        Args:
            name: what people type.
            run: ``module:function`` below `cocoon.cli`, or ``package.module:function``;
                called with the parsed arguments and the `Output`, returns the exit code.
            summary: one line.
            aliases: other names of the same command.
            epilog: what `--help` teaches below the options (default: what `LESSONS` has).
        """
        description = f"{summary[0].upper()}{summary[1:]}."
        parser = self._commands.add_parser(
            name,
            parents=[self._common],
            help=summary,
            description=description,
            aliases=aliases,
            epilog=epilog or LESSONS.get(name, ""),
            formatter_class=Lessons,
        )
        parser.set_defaults(run=run)
        return parser


class Verbs:
    """Adds the verbs of one command; each has its own help and the common options."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._command = parser.prog.rpartition(" ")[2]
        parser.set_defaults(action=None)
        self._verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="action")

    def add(self, name: str, summary: str) -> argparse.ArgumentParser:
        """Add one verb and return its parser; its lesson says what happens, and to whose money."""
        lesson = LESSONS.get(f"{self._command} {name}", "")
        description = f"{summary[0].upper()}{summary[1:]}." + (f"\n\n{lesson}" if lesson else "")
        return self._verbs.add_parser(
            name,
            parents=[_common(inner=True)],
            argument_default=argparse.SUPPRESS,
            help=summary,
            description=description,
            formatter_class=Lessons,
        )


class Lessons(argparse.HelpFormatter):
    """Fits the sentences of a lesson to the terminal, and leaves what is indented as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = []
        for is_prose, group in groupby(text.splitlines(), key=_is_prose):
            lines = list(group)
            parts += wrap(" ".join(lines), width, break_on_hyphens=False) if is_prose else lines
        return "\n".join(indent + part for part in parts)


def _is_prose(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(" ")


class _Parser(argparse.ArgumentParser):
    """Says what was meant, when a word is almost one that there is."""

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        known = re.findall(r"[\w-]+", wrong[2]) if wrong else []
        close = get_close_matches(wrong[1], known, n=1) if wrong else []
        super().error(f"{message}; did you mean {close[0]!r}?" if close else message)


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
    parser: argparse.ArgumentParser = _Parser(
        prog="cocoon",
        description="A peer-to-peer market for AI compute, paid in GRAM on TON.\n"
        "Not Telegram's Cocoon, and not compatible with it.",
        epilog=EPILOG.format(codes=codes),
        formatter_class=Lessons,
    )
    parser.add_argument("--version", action="version", version=f"cocoon {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    adder = Adder(commands, _common())
    _add_demo(adder)
    _add_prepare(adder)
    _add_init(adder)
    _add_nodes(adder)
    _add_jobs(adder)
    _add_kernels(adder)
    _add_records(adder)
    _add_money(adder)
    for extension in sorted(entry_points(group=EXTENSIONS), key=lambda each: each.name):
        extension.load()(adder)
    return parser


def _common(*, inner: bool = False) -> argparse.ArgumentParser:
    """Return the common options; *inner* ones leave what stands before the verb as it is."""
    nothing = argparse.SUPPRESS if inner else None
    common = argparse.ArgumentParser(add_help=False, argument_default=nothing)
    group = common.add_argument_group("common options")
    group.add_argument("--home", type=Path, help="where keys, journals and receipts live")
    group.add_argument("--config", type=Path, help="settings file (default: HOME/config.toml)")
    json_help = "print JSON for scripts on stdout"
    off = argparse.SUPPRESS if inner else False
    group.add_argument("--json", action="store_true", help=json_help, default=off)
    none = argparse.SUPPRESS if inner else 0
    group.add_argument("-v", "--verbose", action="count", default=none, help="more log; twice: all")
    group.add_argument(
        "--log-json", action="store_true", help="log one JSON object a line", default=off
    )
    return common


def _add_network(*parsers: argparse.ArgumentParser) -> None:
    """Add what says which swarm and which chain; on top of the settings file.

    Of a command and its verbs, whatever is said before the verb holds too.
    """
    for parser in parsers:
        group = parser.add_argument_group("swarm and chain (default: as the settings say)")
        nothing = argparse.SUPPRESS if parser.argument_default == argparse.SUPPRESS else None
        group.add_argument(
            "--bootstrap",
            action="append",
            default=nothing,
            help="multiaddress of a peer to join",
        )
        group.add_argument(
            "--chain-url",
            default=nothing,
            help="HTTP API of the chain, or a liteserver configuration (.json)",
        )
        group.add_argument("--network", default=nothing, help="name of the swarm")


def _add_demo(adder: Adder) -> None:
    demo = adder.add(
        "demo", "demo:demo_command", "see a whole market of real nodes on this machine"
    )
    demo.add_argument("--question", default=QUESTION, help="what is asked")
    demo.add_argument("--voice-note", type=Path, help="an audio file to transcribe instead of ours")
    demo.add_argument("--keep", type=Path, help="keep homes, logs and receipts in this new folder")


def _add_prepare(adder: Adder) -> None:
    doctor = adder.add(
        "doctor", "prepare:doctor_command", "say what is missing, and how to mend it"
    )
    doctor.add_argument(
        "about",
        nargs="?",
        choices=["network"],
        help="network: how others reach this node, and what would help",
    )
    _add_network(doctor)
    config = adder.add("config", "prepare:config_command", "show the settings in force")
    config.add_argument("--explain", action="store_true", help="every option, unit and default")
    config.add_argument(
        "--set", action="append", metavar="OPTION=VALUE", help="change it in the settings file"
    )
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
    provide.add_argument(
        "--kernels",
        nargs="?",
        const="auto",
        choices=["auto", "cpu", "cuda"],
        help="run strangers' CUDA kernels too, confined (provider.kernels has the limits)",
    )
    provide.set_defaults(selling=True)
    _add_devnet(adder)
    adder.add("peers", "swarm:peers_command", "list the peers of the node that runs on this home")
    swarm = adder.add(
        "swarm", "swarm:swarm_command", "watch the node that runs on this home, and its market"
    )
    swarm.add_argument("--once", action="store_true", help="print one picture and stop")
    for parser in (node, provide):
        parser.add_argument("--listen", action="append", help="multiaddress to listen on")
    for parser in (node, provide):
        parser.add_argument("--stop-with-stdin", action="store_true", help=argparse.SUPPRESS)
    _add_network(node, provide)


DEVNET_ACTIONS: Final = ("run", "info", "warp", "snapshot", "snapshots", "restore")


def _add_devnet(adder: Adder) -> None:
    devnet = adder.add(
        "devnet", "devnet:devnet_command", "run a TON chain on this machine, for trials"
    )
    devnet.add_argument(
        "action",
        choices=DEVNET_ACTIONS,
        nargs="?",
        default="run",
        help="run one (the default), or turn the time of one that runs, found by --chain-url",
    )
    devnet.add_argument(
        "value", type=whole(1, WARP_MAX), nargs="?", help="seconds to warp, snapshot to restore"
    )
    devnet.add_argument(
        "--port", type=whole(0, PORT_MAX), default=DEVNET_PORT, help="0 takes a free one"
    )
    devnet.add_argument("--host", default="127.0.0.1", help="who can reach it can print money")
    devnet.add_argument("--state", type=Path, help="file that keeps the chain over restarts")
    devnet.add_argument(
        "--liteserver",
        type=Path,
        metavar="FILE",
        help="serve the liteserver protocol too, with proofs; its configuration goes to FILE",
    )
    devnet.add_argument(
        "--liteserver-port", type=whole(0, PORT_MAX), default=0, help="0 takes a free one"
    )
    devnet.add_argument("--stop-with-stdin", action="store_true", help=argparse.SUPPRESS)
    devnet.add_argument("--chain-url", help="the running devnet's HTTP API")


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
    _add_spend_max(ask, hear)
    _add_network(ask, hear, quotes)
    _add_api(adder)


def _add_spend_max(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument(
            "--spend-max",
            metavar="COINS",
            default=None,
            help="most that this job may cost; whoever could come to more is passed over",
        )


def _add_api(adder: Adder) -> None:
    api = adder.add(
        "api",
        "api:api_command",
        "let programs written for OpenAI's API buy from the swarm",
    )
    api.add_argument(
        "--address", default=API_ADDRESS, help=f"host:port to listen on ({API_ADDRESS})"
    )
    api.add_argument(
        "--spend-max",
        default=API_COINS,
        help=f"coins that all jobs together may cost until it is started again ({API_COINS})",
    )
    api.add_argument(
        "--jobs", type=whole(1, API_JOBS_MAX), default=8, help="most jobs at the same time (8)"
    )
    api.add_argument("--stop-with-stdin", action="store_true", help=argparse.SUPPRESS)
    _add_network(api)


def _add_kernels(adder: Adder) -> None:
    kernel = adder.add(
        "kernel",
        "kernels:kernel_command",
        "run a CUDA kernel of your own, here or at a provider",
    )
    verbs = Verbs(kernel)
    run = verbs.add("run", "compile, check and run what a manifest describes, here")
    submit = verbs.add("submit", "have a provider run it, and pay for it")
    for parser in (run, submit):
        parser.add_argument("manifest", type=Path, help="a job.toml, or the folder that holds one")
        parser.add_argument(
            "--device", choices=["auto", "cpu", "cuda"], default="auto", help="what runs it (auto)"
        )
    run.add_argument("--out", type=Path, default=None, help="save the outputs here, as .npy files")
    submit.add_argument(
        "--out", type=Path, default=None, help="folder for the outputs (default: kernel-JOB)"
    )
    submit.add_argument(
        "--ms",
        type=whole(1, KERNEL_MS_MAX),
        default=None,
        help="most that is paid for, in metered milliseconds (default: limits.time_ms)",
    )
    submit.add_argument(
        "--dry-run", action="store_true", default=False, help="show what it would cost where"
    )
    _add_spend_max(submit)
    _add_network(submit)


def _add_records(adder: Adder) -> None:
    why = adder.add("explain", "records:explain_command", "why each provider won or lost a job")
    why.add_argument("job", nargs="?", help="job id, as `cocoon ask` prints it (default: the last)")
    receipts = adder.add("receipts", "records:receipts_command", "list or verify receipts")
    receipts.add_argument("action", choices=["list", "verify"], nargs="?", default="list")
    receipts.add_argument("files", nargs="*", type=Path, help="receipt files to verify, offline")


def _add_money(adder: Adder) -> None:
    wallet = adder.add("wallet", "money:wallet_command", "make a wallet, show it, send")
    verbs = Verbs(wallet)
    _add_network(wallet, *_wallet_verbs(verbs))
    channels = adder.add(
        "channels",
        "channels:channels_command",
        "payment channels: list, open, close, leave, back up",
        aliases=("channel",),
    )
    verbs = Verbs(channels)
    paying, earning = _paying_verbs(verbs), _earning_verbs(verbs)
    _add_network(channels, *paying, *earning, *_copying_verbs(verbs))


def _wallet_verbs(verbs: Verbs) -> list[argparse.ArgumentParser]:
    show = verbs.add("show", "address and balance (this is the default)")
    address = verbs.add("address", "only the address; asks no chain")
    create = verbs.add("create", "make a new wallet and show its 24 words once")
    import_ = verbs.add("import", "make a wallet from 24 words that you have")
    for parser in (create, import_):
        parser.add_argument(
            "--passphrase-file", type=Path, default=None, help="file with the passphrase to be"
        )
        parser.add_argument(
            "--devnet-wallet",
            action="store_true",
            default=False,
            help="unencrypted, without passphrase: for devnets and trials only",
        )
    send = verbs.add("send", "send coins")
    send.add_argument("amount", nargs="?", default=None, help="in GRAM, such as 0.25")
    send.add_argument("--to", default=None, metavar="ADDRESS", help="who gets it")
    faucet = verbs.add("faucet", "take a devnet's play money")
    faucet.add_argument("amount", nargs="?", default=FAUCET_COINS, help="in GRAM (10)")
    return [show, address, create, import_, send, faucet]


def _paying_verbs(verbs: Verbs) -> list[argparse.ArgumentParser]:
    list_ = verbs.add("list", "channels, money at risk, when funds are back (the default)")
    open_ = verbs.add("open", "open a channel to somebody")
    open_.add_argument("amount", help="what vouchers can spend, in GRAM")
    open_.add_argument(
        "--to", required=True, metavar="PAYEE", help="what `cocoon channels payee` printed for them"
    )
    top_up = verbs.add("top-up", "add to a channel")
    pay = verbs.add("pay", "write a voucher by hand, as text")
    for parser in (top_up, pay):
        parser.add_argument("channel", help="its address, or how that begins")
        parser.add_argument("amount", help="how much more, in GRAM")
    close = verbs.add("close", "close together with the payee")
    close.add_argument("channel", nargs="?", default=None, help="its address (default: all)")
    said = "what the payee's `release` printed"
    close.add_argument("--release", default=None, metavar="TEXT", help=said)
    ask_close = verbs.add("ask-close", "write the wish to close, as text, for `release`")
    ask_close.add_argument("channel", help="its address, or how that begins")
    exit_ = verbs.add("exit", "leave alone: works with the payee dead")
    exit_.add_argument("channel", nargs="?", default=None, help="its address (default: all)")
    recover = verbs.add("recover", "find channels of this wallet on the chain")
    return [list_, open_, top_up, pay, close, ask_close, exit_, recover]


def _earning_verbs(verbs: Verbs) -> list[argparse.ArgumentParser]:
    payee = verbs.add("payee", "print what others need to open a channel to us")
    accept = verbs.add("accept", "keep a voucher that came as text")
    accept.add_argument("voucher", help="what the payer's `pay` printed")
    claim = verbs.add("claim", "cash vouchers on the chain now")
    claim.add_argument("channel", nargs="?", default=None, help="its address (default: all)")
    release = verbs.add("release", "agree to close a channel that pays us")
    release.add_argument("request", help="what the payer's `ask-close` printed")
    return [payee, accept, claim, release]


def _copying_verbs(verbs: Verbs) -> list[argparse.ArgumentParser]:
    backup = verbs.add("backup", "copy the journals into a folder, also while a node runs")
    restore = verbs.add("restore", "fill a new home's journals from a folder")
    for parser in (backup, restore):
        parser.add_argument("folder", nargs="?", default=None, help="where the copies are")
    return [backup, restore]
