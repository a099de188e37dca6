"""The command `cocoon devnet`: a TON chain on this machine, and the handles on its time."""

import argparse
import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import msgspec
import trio

from cocoon import assets
from cocoon.cli.nodes import CANNOT_BIND
from cocoon.cli.output import Output
from cocoon.cli.running import run_interruptible, run_until_stopped
from cocoon.cli.settings import load
from cocoon.clock import wall_clock
from cocoon.config import NodeConfig
from cocoon.errors import ConfigError
from contracts.devnet_file import Kept, owning, read_devnet
from contracts.durable_file import write_atomically
from contracts.embedded import EmbeddedChain
from contracts.emulator import is_compiled, open_emulator
from contracts.errors import InvalidData, LocalContractError
from contracts.toncenter import DevnetControl


def devnet_command(parsed: argparse.Namespace, output: Output) -> int:
    """Run the embedded chain, or do something to one that runs."""
    config = load(parsed)
    if parsed.action != "run":
        run_interruptible(partial(_control, parsed, config, output))
        return 0
    if parsed.liteserver is not None:
        _check_ipv4(parsed.host)
    with nullcontext() if parsed.state is None else _owning(parsed.state):
        chain, kept = _open_chain(parsed, config, output)
        serve = partial(_serve, parsed, chain, kept, output)
        try:
            run_until_stopped(serve, stop_with_stdin=parsed.stop_with_stdin)
        except OSError as error:
            if error.errno not in CANNOT_BIND:
                raise
            where = f"{parsed.host}:{parsed.port}"
            raise ConfigError(
                f"cannot listen on {where}: {os.strerror(error.errno)}; does a devnet run already? "
                "--port 0 takes a free one, which other commands need as --chain-url"
            ) from error
    return 0


@contextmanager
def _owning(path: Path) -> Iterator[None]:
    """Keep others from the file for the length of the block."""
    with ExitStack() as stack:
        try:
            stack.enter_context(owning(path))
        except LocalContractError as error:
            raise ConfigError(f"{error}: stop it, or name another file by --state") from error
        yield


def _check_ipv4(host: str) -> None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError as error:
        raise ConfigError(f"--liteserver needs an IPv4 address as --host, not {host!r}") from error


def _open_chain(
    parsed: argparse.Namespace, config: NodeConfig, output: Output
) -> tuple[EmbeddedChain, Mapping[int, Kept]]:
    directory = assets.require("ton-emulator", config.assets)
    if not is_compiled(directory):
        output.note("compiling the emulator for this machine: some seconds, this once ...")
    emulator = open_emulator(directory)
    real = parsed.liteserver is not None
    if parsed.state is not None and parsed.state.exists():
        return read_devnet(emulator, parsed.state, real_blocks=real)
    return EmbeddedChain(emulator, unix_s=int(wall_clock()), real_blocks=real), {}


async def _serve(
    parsed: argparse.Namespace, chain: EmbeddedChain, kept: Mapping[int, Kept], output: Output
) -> None:
    from contracts.devnet import serve_open_devnet  # noqa: PLC0415  (a web server)
    from contracts.devnet_service import open_devnet  # noqa: PLC0415

    clock = lambda: int(wall_clock())  # noqa: E731
    async with (
        open_devnet(chain, clock=clock, persist_path=parsed.state, kept=kept) as devnet,
        trio.open_nursery() as nursery,
    ):
        url: str = await nursery.start(partial(serve_open_devnet, devnet, parsed.host, parsed.port))
        ready: dict[str, object] = {"url": url, "network_id": devnet.network_id}
        output.say(f"a TON chain of your own: {url}\n  coins: cocoon wallet faucet 10")
        if parsed.liteserver is not None:
            from contracts.devnet_liteserver import serve_liteserver  # noqa: PLC0415

            serve_lite = partial(
                serve_liteserver, devnet, parsed.host, parsed.liteserver_port, seed=chain.seed
            )
            port: int = await nursery.start(serve_lite)
            _write_global_config(parsed.liteserver, chain, parsed.host, port)
            ready["liteserver"] = f"{parsed.host}:{port}"
            ready["global_config"] = str(parsed.liteserver)
            output.say(f"  liteserver: --chain-url {parsed.liteserver}")
        output.event("ready", **ready)


def _write_global_config(path: Path, chain: EmbeddedChain, host: str, port: int) -> None:
    from contracts.devnet_liteserver import global_config  # noqa: PLC0415

    written = global_config(chain.ledger, chain.seed, host, port)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(written), indent=2))


async def _control(parsed: argparse.Namespace, config: NodeConfig, output: Output) -> None:
    if config.chain.is_liteserver:
        raise ConfigError("time is turned on the devnet's HTTP port: --chain-url http://...")
    control = DevnetControl(config.chain.url)
    try:
        await _do(parsed, control, output)
    except (InvalidData, LocalContractError) as error:
        raise ConfigError(f"{config.chain.url}: {error}") from error


async def _do(parsed: argparse.Namespace, control: DevnetControl, output: Output) -> None:
    match parsed.action:
        case "warp":
            unix_s = await control.warp(_number(parsed, "SECONDS"))
            output.say(f"it is {unix_s} there (unix seconds)")
            output.result({"unix_s": unix_s})
        case "snapshot":
            number = await control.snapshot()
            output.say(f"snapshot {number}; back to it: cocoon devnet restore {number}")
            output.result({"snapshot": number})
        case "restore":
            await control.restore(_number(parsed, "NUMBER"))
            output.say("restored")
            output.result(await control.info())
        case "snapshots":
            found = await control.snapshots()
            rows = [(str(each.snapshot), str(each.seqno), str(each.unix_s)) for each in found]
            output.table("", ("number", "block", "unix seconds"), rows)
            output.result(found)
        case _:
            info = await control.info()
            output.say(f"network {info.network_id}, block {info.seqno}, {info.unix_s} there")
            output.result(info)


def _number(parsed: argparse.Namespace, what: str) -> int:
    if parsed.value is None:
        raise ConfigError(f"say it: cocoon devnet {parsed.action} {what}")
    value: int = parsed.value
    return value
