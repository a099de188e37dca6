"""The command `cocoon demo`."""

import argparse
import shutil
import tempfile
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

import trio

from cocoon.cli.output import Output
from cocoon.cli.progress import Steps
from cocoon.cli.running import run_interruptible
from cocoon.cli.settings import load
from cocoon.config import NodeConfig
from cocoon.demo.report import DemoReport
from cocoon.demo.stage import check_assets, open_stage
from cocoon.demo.story import Story
from cocoon.errors import ConfigError
from contracts.units import TICKER, format_coins


def demo_command(parsed: argparse.Namespace, output: Output) -> int:
    """Run the demonstration and print its account."""
    config = load(parsed)
    if parsed.voice_note is not None and not parsed.voice_note.is_file():
        raise ConfigError(f"there is no file {parsed.voice_note}")
    check_assets(config.assets)
    directory = _directory(parsed.keep)
    try:
        report = run_interruptible(partial(_play, parsed, config, directory, output))
    except Exception as error:
        error.add_note(f"homes and logs (one NAME.log per process) are kept in {directory}")
        raise
    except KeyboardInterrupt:
        _tidy(parsed.keep, directory)
        raise
    _tidy(parsed.keep, directory)
    tell(report, output)
    output.result(report)
    return 0


def _directory(keep: Path | None) -> Path:
    """Make the folder for homes and logs.

    Raises:
        ConfigError: the one that was named is in use.
    """
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="cocoon-demo-"))
    try:
        keep.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(keep.iterdir()):
            raise ConfigError(f"--keep wants a new folder; {keep} is not empty")
    except OSError as error:
        raise ConfigError(f"--keep {keep}: {error.strerror}") from error
    return keep.absolute()


def _tidy(keep: Path | None, directory: Path) -> None:
    if keep is None:
        shutil.rmtree(directory, ignore_errors=True)


async def _play(
    parsed: argparse.Namespace, config: NodeConfig, directory: Path, output: Output
) -> DemoReport:
    started_s = trio.current_time()
    with (
        as_file(files("cocoon").joinpath("data/voice-note.ogg")) as voice_note,
        Steps(output) as steps,
    ):
        async with open_stage(directory, config.assets, steps.step) as stage:
            story = Story(
                stage=stage,
                question=parsed.question,
                voice_note=parsed.voice_note or voice_note,
                narrator=steps,
                started_s=started_s,
            )
            story.timings_s["start"] = round(trio.current_time() - started_s, 3)
            try:
                report = await story.play()
            except Exception as error:
                for child in stage.dead():
                    error.add_note(f"{child.name} had ended by then; read {child.log}")
                raise
            steps.step("stopping all processes")
        return report


def tell(report: DemoReport, output: Output) -> None:
    """Print the account for people."""
    output.table(
        "what happened",
        ("", ""),
        [
            ("providers found", str(report.providers_found)),
            ("answer by", f"{_who(report, report.winner)}, {report.answer_tokens} tokens"),
            *[("not " + _who(report, loser.peer), loser.reason) for loser in report.losers],
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
            ("receipts verified", f"{len(report.receipts)}" if report.receipts_verified else "NO"),
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
    before, after = _who(report, change.from_), _who(report, change.to)
    return f"from {before} to {after} at token {change.at_token}: {change.reason}"


def _who(report: DemoReport, peer: str) -> str:
    name = report.names.get(peer)
    return f"{name} (…{peer[-8:]})" if name else f"…{peer[-8:]}"
