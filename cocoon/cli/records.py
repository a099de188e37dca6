"""Commands about what is over: explain, receipts. They need no network."""

import argparse
from pathlib import Path

import msgspec

from cocoon.cli.output import Output
from cocoon.cli.settings import load
from cocoon.errors import UNDECODABLE, ConfigError
from cocoon.kernel_profiles import profile_of
from cocoon.market.explain import HEADER, Explanation, render
from cocoon.messages import Kind
from cocoon.receipts import ReceiptReport, verify_file


def explain_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show why each provider won or lost."""
    directory = load(parsed).home / "jobs"
    wanted = f"{parsed.job}-*.json" if parsed.job else "*.json"
    paths = sorted(directory.glob(wanted), key=lambda path: path.stat().st_mtime)
    if not paths:
        raise ConfigError(f"no {f'job {parsed.job}' if parsed.job else 'job yet'} in {directory}")
    chosen = paths if parsed.job else paths[-1:]
    records = [_explanation(path) for path in chosen]
    for record in records:
        output.table(f"job {record.job_id}", HEADER, render(record)[1:])
    output.result(records)
    return 0


def _explanation(path: Path) -> Explanation:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Explanation)
    except (OSError, *UNDECODABLE) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def receipts_command(parsed: argparse.Namespace, output: Output) -> int:
    """List our receipts, or verify files without any network."""
    config = load(parsed)
    files = parsed.files or sorted(config.receipts.glob("*.receipt"))
    if parsed.action == "list":
        for path in files or [f"no receipts yet in {config.receipts}: a job leaves one"]:
            output.say(str(path))
        output.result([str(path) for path in files])
        return 0
    if not files:
        raise ConfigError(f"no receipts in {config.receipts}")
    try:
        reports = {str(path): verify_file(path) for path in files}
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error
    for name, found in reports.items():
        rows = [("ok" if b.ok else "BROKEN", b.name, b.detail) for b in found.bindings]
        output.table(f"{name}: {'verified' if found.ok else 'NOT verified'}", ("", "", ""), rows)
        if words := _meter_words(found):
            output.say(f"  {words}")
    output.result({name: {"ok": r.ok, "bindings": r.bindings} for name, r in reports.items()})
    return 0 if all(found.ok for found in reports.values()) else 8


def _meter_words(report: ReceiptReport) -> str:
    """Say of a kernel's receipt what was metered: a CPU's milliseconds are not a GPU's."""
    receipt = report.receipt
    if not report.ok or receipt is None or receipt.kind is not Kind.KERNEL:
        return ""
    profile = profile_of(receipt.model_id)
    unit = f"{profile.name}: 1 ms is {profile.unit}" if profile is not None else "unknown"
    return (
        f"{receipt.meter.gpu_ms} ms metered ({unit}), {receipt.finish.value}, "
        f"kernel {receipt.kernel_hash.hex()[:16]}"
    )
