"""The report as tables for people."""

from collections.abc import Iterator

from cocoon.bench.figures import Overhead, Process, Report, Spread
from cocoon.cli.output import Output

COLUMNS = ("", "median", "quartiles", "range", "n")


def _row(name: str, values: Spread, unit: str) -> tuple[str, ...]:
    return (
        name,
        f"{values.median:g} {unit}",
        f"{values.q1:g} to {values.q3:g}",
        f"{values.min:g} to {values.max:g}",
        str(values.n),
    )


def _overhead_rows(cost: Overhead) -> Iterator[tuple[str, ...]]:
    yield _row("first token, direct", cost.ttft_direct_ms, "ms")
    yield _row("first token, market", cost.ttft_market_ms, "ms")
    yield _row("first token, added", cost.ttft_added_ms, "ms")
    yield _row("speed, direct", cost.rate_direct_tokens_per_s, "tokens/s")
    yield _row("speed, market", cost.rate_market_tokens_per_s, "tokens/s")
    yield _row("speed, market / direct", cost.rate_ratio, "")
    yield _row("speed, direct / direct (noise)", cost.rate_noise, "")
    for name, values in cost.steps_ms.items():
        yield _row(f"  {name}", values, "ms")


def rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield one row for each figure that has a spread."""
    if report.overhead is not None:
        yield from _overhead_rows(report.overhead)
    if report.join is not None:
        yield _row("joined", report.join.join_ms, "ms")
        yield _row("first quote after open_node", report.join.from_open_node_ms, "ms")
        yield _row("first quote after process start", report.join.from_process_start_ms, "ms")
    if report.negotiate is not None:
        asked = f"choice among {report.negotiate.asked:g} providers"
        yield _row(asked, report.negotiate.choice_ms, "ms")
    if report.journal is not None:
        yield _row("bare fsync", report.journal.fsync_ms, "ms")
        for rate in report.journal.payer:
            name = f"durable voucher, {rate.channels} channels: {rate.vouchers_per_s:g}/s"
            yield _row(name, rate.append_ms, "ms")


def _process_row(one: Process) -> tuple[str, ...]:
    return one.name, f"{one.rss_mb:g} MB", f"{one.pss_mb:g} MB", f"{one.cpu_percent:g} %"


def show(report: Report, output: Output) -> None:
    """Print the report for people."""
    output.table("time", COLUMNS, rows(report))
    if report.idle is not None:
        processes = [*report.idle.nodes, *report.idle.workers]
        columns = ("", "resident", "proportional", "processor")
        output.table("idle", columns, [_process_row(one) for one in processes])
    if report.setup is not None:
        parts = [(name, f"{took_s:g} s") for name, took_s in report.setup.parts_s.items()]
        output.table("demo set-up", ("", ""), [*parts, ("in all", f"{report.setup.total_s:g} s")])
    if report.targets:
        output.table(
            "targets (medians)",
            ("", "limit", "measured", ""),
            [
                (t.name, f"< {t.limit:g} {t.unit}", f"{t.measured:g}", "met" if t.met else "MISSED")
                for t in report.targets
            ],
        )
    for name, why in report.failures.items():
        output.say(f"{name} failed: {why}")
    machine = report.machine
    output.say(
        f"{machine.cpu}, {machine.cores} cores, Python {machine.python}; load "
        f"{machine.load_before:g} before, {machine.load_after:g} after; {report.took_s:g} s"
    )
