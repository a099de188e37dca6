"""The command `cocoon demo`."""

import argparse
import shutil
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

import trio

from cocoon.cli.ask import run_interruptible
from cocoon.cli.output import Output
from cocoon.cli.settings import Commands, add_command, load
from cocoon.config import NodeConfig
from cocoon.demo.report import DemoReport
from cocoon.demo.stage import open_stage
from cocoon.demo.story import Story
from contracts.units import TICKER, format_coins

QUESTION = "List three fruits and say one sentence about each."


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add this module's command."""
    demo = add_command(
        commands, common, "demo", demo_command, "see a whole market of real nodes on this machine"
    )
    demo.add_argument("--question", default=QUESTION, help="what is asked")
    demo.add_argument("--voice-note", type=Path, help="an audio file to transcribe instead of ours")
    demo.add_argument("--keep", type=Path, help="keep homes, logs and receipts in this new folder")


def demo_command(parsed: argparse.Namespace, output: Output) -> int:
    """Run the demonstration and print its account."""
    report = run_interruptible(lambda: _play(parsed, load(parsed), output))
    tell(report, output)
    output.result(report)
    return 0


async def _play(parsed: argparse.Namespace, config: NodeConfig, output: Output) -> DemoReport:
    directory = parsed.keep or Path(tempfile.mkdtemp(prefix="cocoon-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    started_s = trio.current_time()
    try:
        with as_file(files("cocoon").joinpath("data/voice-note.ogg")) as voice_note:
            async with open_stage(directory.absolute(), config.assets, output.note) as stage:
                story = Story(
                    stage=stage,
                    question=parsed.question,
                    voice_note=parsed.voice_note or voice_note,
                    say=output.note,
                    write=output.write,
                    started_s=started_s,
                )
                story.timings_s["start"] = round(trio.current_time() - started_s, 3)
                return await story.play()
    finally:
        if parsed.keep is None:
            shutil.rmtree(directory, ignore_errors=True)


def tell(report: DemoReport, output: Output) -> None:
    """Print the account for people."""
    winner = report.winner[-8:]
    output.table(
        "what happened",
        ("", ""),
        [
            ("providers found", str(report.providers_found)),
            ("answer by", f"{winner} ({report.answer_tokens} tokens)"),
            ("price", f"{report.price_per_output_token_nanoton:.0f} nanoton per output token"),
            (
                "first token",
                f"{report.time_to_first_token_s:.2f} s, with the channel's opening",
            ),
            ("speed", f"{report.tokens_per_s:.1f} tokens/s"),
            ("fail-over", _failover(report)),
            ("transcript", report.transcript),
            ("at risk, at most", _coins(report.at_risk_max_nanoton)),
            ("vouchers", f"{report.vouchers}, in all {_coins(report.last_voucher_nanoton)}"),
            ("paid on chain", _coins(report.paid_nanoton)),
            ("gas by step", ", ".join(f"{step} {gas}" for step, gas in report.gas.items())),
            ("receipts verified", "yes" if report.receipts_verified else "NO"),
            ("value conserved", "yes, to the nanoton" if report.value_conserved else "NO"),
            ("time", f"{report.timings_s['total']:.0f} s"),
        ],
    )
    output.table(
        "wallets",
        ("", "before", "after", "change"),
        [
            (
                b.name,
                format_coins(b.before),
                format_coins(b.after),
                format_coins(b.after - b.before),
            )
            for b in report.balances
        ],
    )
    output.say(
        "Prices are 20,000 times the default ones here, so that one answer is worth settling.\n"
        "Payloads were encrypted from node to worker. Tier OPEN: the owner of a provider "
        "could read them."
    )


def _coins(nanoton: int) -> str:
    return f"{format_coins(nanoton)} {TICKER}"


def _failover(report: DemoReport) -> str:
    change = report.failover
    if change is None:
        return "none"
    return f"from {change.from_[-8:]} to {change.to[-8:]} at token {change.at_token}"
