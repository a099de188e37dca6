"""Commands about what is over: explain, receipts. They need no network."""

import argparse

import msgspec

from cocoon.cli.output import Output
from cocoon.cli.settings import load
from cocoon.errors import ConfigError
from cocoon.market.explain import HEADER, Explanation, render
from cocoon.receipts import verify_file


def explain_command(parsed: argparse.Namespace, output: Output) -> int:
    """Show why each provider won or lost."""
    directory = load(parsed).home / "jobs"
    wanted = f"{parsed.job}-*.json" if parsed.job else "*.json"
    paths = sorted(directory.glob(wanted), key=lambda path: path.stat().st_mtime)
    if not paths:
        raise ConfigError(f"no {f'job {parsed.job}' if parsed.job else 'job yet'} in {directory}")
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
        raise ConfigError(f"no receipts in {config.receipts}")
    try:
        reports = {str(path): verify_file(path) for path in files}
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error
    for name, found in reports.items():
        rows = [("ok" if b.ok else "BROKEN", b.name, b.detail) for b in found.bindings]
        output.table(f"{name}: {'verified' if found.ok else 'NOT verified'}", ("", "", ""), rows)
    output.result({name: {"ok": r.ok, "bindings": r.bindings} for name, r in reports.items()})
    return 0 if all(found.ok for found in reports.values()) else 8
