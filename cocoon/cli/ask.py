"""Commands of a requester: ask, transcribe, quotes, explain, receipts."""

import argparse
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import trio
from rich.live import Live

from cocoon.cli.output import Output, make_table
from cocoon.cli.settings import Commands, add_command, load
from cocoon.config import NodeConfig
from cocoon.directory import Directory
from cocoon.errors import BadReceipt, ConfigError
from cocoon.market.explain import HEADER, Explanation, render
from cocoon.messages import Kind, SamplingSettings, Turn, resource_class
from cocoon.node import open_buyer, open_node
from cocoon.nursery import open_private_nursery
from cocoon.receipts import verify_file
from cocoon.requester.events import JobProgress, JobResult, OutputCame
from cocoon.requester.inputs import CHAT_MODEL, SPEECH_MODEL, model_id, speech_request
from cocoon.requester.plan import ChatRequest, JobRequest
from cocoon.words import progress_words, quote_rows, result_json, result_words
from contracts.units import TICKER, format_coins
from kernels.models import catalog

T = TypeVar("T")

QUOTES_REFRESH_S = 1.0


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add this module's commands."""
    ask = add_command(commands, common, "ask", ask_command, "buy an answer, streamed as it is made")
    ask.add_argument("prompt", help="the question; - reads it from standard input")
    ask.add_argument("--model", default=CHAT_MODEL, help=f"name of the model ({CHAT_MODEL})")
    ask.add_argument("--system", help="a system prompt")
    ask.add_argument("--tokens", type=int, default=256, help="longest answer, in tokens (256)")
    ask.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest token")
    ask.add_argument("--seed", type=int, default=0, help="seed of the choice above temperature 0")
    hear = add_command(
        commands, common, "transcribe", transcribe_command, "have a voice note written down"
    )
    hear.add_argument("file", type=Path, help="OGG/Opus, WAV, FLAC or MP3")
    hear.add_argument("--model", default=SPEECH_MODEL, help=f"name of the model ({SPEECH_MODEL})")
    quotes = add_command(commands, common, "quotes", quotes_command, "watch what is for sale")
    quotes.add_argument("--model", help="only this model")
    quotes.add_argument("--once", action="store_true", help="print one table and stop")
    for parser in (ask, hear, quotes):
        parser.add_argument("--bootstrap", action="append", help="peer to join through")
        parser.add_argument("--chain-url", help="HTTP API of the chain")
        parser.add_argument("--network", help="name of the swarm")
    why = add_command(
        commands, common, "explain", explain_command, "why each provider won or lost a job"
    )
    why.add_argument("job", nargs="?", help="job id, as `cocoon ask` prints it (default: the last)")
    receipts = add_command(
        commands, common, "receipts", receipts_command, "list or verify receipts"
    )
    receipts.add_argument("action", choices=["list", "verify"])
    receipts.add_argument("files", nargs="*", type=Path, help="receipt files to verify, offline")


def settings(parsed: argparse.Namespace) -> NodeConfig:
    """Return the settings, with what the command line says about network and chain on top."""
    config = load(parsed)
    network, chain = config.network, config.chain
    if parsed.bootstrap:
        network = msgspec.structs.replace(network, bootstrap=tuple(parsed.bootstrap))
    if parsed.network:
        network = msgspec.structs.replace(network, name=parsed.network)
    if parsed.chain_url:
        chain = msgspec.structs.replace(chain, url=parsed.chain_url)
    # A buyer only dials out; a fixed port would clash with a provider on this machine.
    listening = tuple(a.rsplit("/", 1)[0] + "/0" for a in network.listen_addresses)
    network = msgspec.structs.replace(network, listen_addresses=listening)
    return msgspec.structs.replace(config, network=network, chain=chain)


def run_interruptible(work: Callable[[], Awaitable[T]]) -> T:
    """Run *work*; Ctrl-C cancels it in an orderly way: the device stops, what came is paid."""

    async def main() -> T:
        interrupted = False
        async with open_private_nursery() as nursery:

            async def watch() -> None:
                nonlocal interrupted
                with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    async for _ in signals:
                        interrupted = True
                        nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            result = await work()
            nursery.cancel_scope.cancel()
            return result
        if interrupted:
            raise KeyboardInterrupt
        raise AssertionError("unreachable: the nursery returns or was cancelled")

    return trio.run(main)


async def _buy(config: NodeConfig, request: JobRequest, output: Output) -> JobResult:
    async def listen(event: JobProgress) -> None:
        if isinstance(event, OutputCame):
            separator = "" if isinstance(request, ChatRequest) else "\n"
            output.write(event.text.lstrip() + separator if separator else event.text)
        elif words := progress_words(event):
            output.note(words)

    async with open_buyer(config) as (_, requester):
        for job in requester.payer.interrupted_jobs():
            risk = format_coins(job.at_risk_nanoton)
            output.note(
                f"an earlier run was cut off in job {job.job_id}: "
                f"{format_coins(job.paid_nanoton)} {TICKER} paid, {risk} of it perhaps for nothing"
            )
            await requester.payer.acknowledge(job.job_id)
        return await requester.run(request, listen)


def _finish(result: JobResult, output: Output) -> int:
    output.say("")
    for line in result_words(result):
        output.note(line)
    output.result(result_json(result))
    return 0


def ask_command(parsed: argparse.Namespace, output: Output) -> int:
    """Buy one answer."""
    prompt = sys.stdin.read() if parsed.prompt == "-" else parsed.prompt
    if not prompt.strip():
        raise ConfigError("the question is empty")
    turns = [Turn(role="system", content=parsed.system)] if parsed.system else []
    sampling = SamplingSettings(
        temperature_milli=round(parsed.temperature * 1000), seed=parsed.seed
    )
    request = ChatRequest(
        model_id=model_id(parsed.model, "chat"),
        turns=(*turns, Turn(role="user", content=prompt)),
        output_tokens_max=parsed.tokens,
        sampling=sampling,
    )
    return _finish(run_interruptible(partial(_buy, settings(parsed), request, output)), output)


def transcribe_command(parsed: argparse.Namespace, output: Output) -> int:
    """Buy one transcript."""
    request = speech_request(parsed.file, parsed.model)
    return _finish(run_interruptible(partial(_buy, settings(parsed), request, output)), output)


def _classes(name: str | None) -> list[str]:
    kinds = {"chat": Kind.CHAT, "speech": Kind.TRANSCRIBE}
    found = [m for m in catalog.models() if name in (None, m.name)]
    if not found:
        raise ConfigError(f"no model is called {name!r}")
    return [resource_class(kinds[m.kind], m.model_id) for m in found]


async def _watch_quotes(
    config: NodeConfig, output: Output, name: str | None, *, once: bool
) -> None:
    classes = _classes(name)
    async with open_node(config, must_join=True) as node:
        for one in classes:
            await node.directory.discover(one)
        if once or output.as_json:
            _show_quotes(node.directory, classes, int(node.clock()), output)
            return
        with Live(console=output.people, refresh_per_second=4) as live:
            while True:
                rows = quote_rows(node.directory, classes, int(node.clock()))
                live.update(make_table(f"{len(rows)} quotes; Ctrl-C stops", QUOTE_COLUMNS, rows))
                with trio.move_on_after(QUOTES_REFRESH_S):
                    await node.directory.wait_for_news()


QUOTE_COLUMNS = ("provider", "model", "out/1000 tok", "audio/1000 s", "speed", "free", "tier", "")


def _show_quotes(directory: Directory, classes: list[str], now_unix_s: int, output: Output) -> None:
    output.table("", QUOTE_COLUMNS, quote_rows(directory, classes, now_unix_s))
    found = [x for one in classes for x in directory.book.candidates(one, now_unix_s)]
    output.result([{"quote": x.quote, "faults": list(x.reasons)} for x in found])


def quotes_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show what is for sale."""
    run_interruptible(
        partial(_watch_quotes, settings(parsed), output, parsed.model, once=parsed.once)
    )
    return 0


def explain_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show why each provider won or lost."""
    directory = load(parsed).home / "jobs"
    wanted = f"{parsed.job}-*.json" if parsed.job else "*.json"
    paths = sorted(directory.glob(wanted), key=lambda path: path.stat().st_mtime)
    if not paths:
        raise ConfigError(f"no record of job {parsed.job or '(any)'} in {directory}")
    chosen = paths if parsed.job else paths[-1:]
    records = [msgspec.json.decode(path.read_bytes(), type=Explanation) for path in chosen]
    for record in records:
        output.table(f"job {record.job_id}", HEADER, render(record)[1:])
    output.result(records)
    return 0


def receipts_command(parsed: argparse.Namespace, output: Output) -> int:
    """List our receipts, or verify files without any network."""
    config = load(parsed)
    files = parsed.files or sorted(config.receipts.glob("*.receipt"))
    if parsed.action == "list":
        for path in files:
            output.say(str(path))
        output.result([str(path) for path in files])
        return 0
    if not files:
        raise BadReceipt(f"no receipts in {config.receipts}")
    reports = {str(path): verify_file(path) for path in files}
    for name, found in reports.items():
        rows = [("ok" if b.ok else "BROKEN", b.name, b.detail) for b in found.bindings]
        output.table(f"{name}: {'verified' if found.ok else 'NOT verified'}", ("", "", ""), rows)
    output.result({name: {"ok": r.ok, "bindings": r.bindings} for name, r in reports.items()})
    return 0 if all(found.ok for found in reports.values()) else 8
