"""Commands of a requester: ask, transcribe, quotes."""

import argparse
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from rich.live import Live

from cocoon.cli.amounts import read_amount
from cocoon.cli.output import Output, make_table
from cocoon.cli.running import Stop, run_interruptible
from cocoon.cli.settings import load
from cocoon.config import NodeConfig
from cocoon.directory import Directory
from cocoon.errors import ConfigError
from cocoon.kernel_profiles import PROFILES
from cocoon.messages import SamplingSettings, Turn
from cocoon.node import Node, open_buyer, open_node
from cocoon.payments.payer_book import InterruptedJob
from cocoon.requester.bill import Bill
from cocoon.requester.events import JobProgress, JobResult, OutputCame
from cocoon.requester.inputs import model_classes, model_id, speech_request
from cocoon.requester.plan import ChatRequest, JobRequest
from cocoon.words import interrupted_words, progress_words, quote_rows, result_json, result_words
from contracts.units import TICKER, NanoTon, format_coins

QUOTES_REFRESH_S = 1.0
QUOTE_COLUMNS = ("provider", "model", f"{TICKER} for 1000", "speed", "free", "tier", "")


Choose = Callable[[Node], Awaitable[JobRequest]]
"""Makes a request, once it can be seen what is for sale."""
Hear = Callable[[JobProgress], None]


async def _buy(
    config: NodeConfig,
    choose: Choose,
    hear: Hear,
    output: Output,
    *,
    bill: Bill,
    stop: Stop,
    spend_max: NanoTon | None,
) -> tuple[JobResult, list[InterruptedJob]]:
    async def listen(event: JobProgress) -> None:
        bill.note(event)
        hear(event)

    async with open_buyer(config) as (node, requester):
        interrupted = requester.payer.interrupted_jobs()
        for job in interrupted:
            output.note(interrupted_words(job))
        with stop.first():
            request = await choose(node)
            result = await requester.run(request, listen, bill, spend_max=spend_max)
            for job in interrupted:
                await requester.payer.acknowledge(job.job_id)
            return result, interrupted
    raise KeyboardInterrupt


def buy(
    parsed: argparse.Namespace, choose: Choose, hear: Hear, output: Output
) -> tuple[JobResult, list[InterruptedJob]]:
    """Buy one job; return it, and what earlier runs were cut off in.

    Raises:
        KeyboardInterrupt: it was interrupted; the message says what was paid.
    """
    bill, stop, given = Bill(), Stop(), parsed.spend_max
    spend_max = None if given is None else read_amount(given, option="--spend-max")
    buying = partial(_buy, load(parsed), choose, hear, output)
    work = partial(buying, bill=bill, stop=stop, spend_max=spend_max)
    try:
        return run_interruptible(work, stop)
    except KeyboardInterrupt:
        output.write("\n")
        paid = f"{format_coins(bill.paid_nanoton)} {TICKER} paid for {bill.got()}"
        raise KeyboardInterrupt(paid) from None


def _run_job(parsed: argparse.Namespace, request: JobRequest, output: Output) -> int:
    def hear(event: JobProgress) -> None:
        if isinstance(event, OutputCame):
            chat = isinstance(request, ChatRequest)
            output.write(event.text if chat else event.text.lstrip() + "\n")
        elif words := progress_words(event):
            output.note(words)

    async def choose(_: Node) -> JobRequest:
        await trio.lowlevel.checkpoint()
        return request

    result, interrupted = buy(parsed, choose, hear, output)
    output.say("")
    for line in result_words(result):
        output.note(line)
    output.result(result_json(result, interrupted))
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
    return _run_job(parsed, request, output)


def transcribe_command(parsed: argparse.Namespace, output: Output) -> int:
    """Buy one transcript."""
    request = speech_request(parsed.file, parsed.model)
    return _run_job(parsed, request, output)


def _classes(name: str | None) -> list[str]:
    sold = model_classes() | {each.resource_class: each.name for each in PROFILES.values()}
    found = [one for one, called in sold.items() if name in (None, called)]
    if not found:
        raise ConfigError(f"no model is called {name!r}")
    return found


async def _watch_quotes(
    config: NodeConfig, output: Output, name: str | None, *, once: bool
) -> None:
    classes = _classes(name)
    async with open_node(config, must_join=True) as node:
        async with trio.open_nursery() as nursery:
            for one in classes:
                nursery.start_soon(node.directory.discover, one)
        if once or output.as_json:
            _show_quotes(node.directory, classes, int(node.clock()), output)
            return
        with Live(console=output.people, refresh_per_second=4) as live:
            while True:
                rows = quote_rows(node.directory, classes, int(node.clock()))
                live.update(make_table(f"{len(rows)} quotes; Ctrl-C stops", QUOTE_COLUMNS, rows))
                with trio.move_on_after(QUOTES_REFRESH_S):
                    await node.directory.wait_for_news()


def _show_quotes(directory: Directory, classes: list[str], now_unix_s: int, output: Output) -> None:
    rows = quote_rows(directory, classes, now_unix_s)
    output.table("", QUOTE_COLUMNS, rows)
    if not rows:
        output.say("nobody sells anything here yet")
    found = [x for one in classes for x in directory.book.candidates(one, now_unix_s)]
    output.result([{"quote": x.quote, "faults": list(x.reasons)} for x in found])


def quotes_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show what is for sale."""
    run_interruptible(partial(_watch_quotes, load(parsed), output, parsed.model, once=parsed.once))
    return 0
