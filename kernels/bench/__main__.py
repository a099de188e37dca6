"""``python -m kernels.bench``: check, then time; progress on stderr, the table on stdout."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from kernels.bench import peers
from kernels.bench.chat import ChatBench
from kernels.bench.speech import SpeechBench
from kernels.bench.timing import Check, Figure, Report, machine
from kernels.console import FAILED, run
from kernels.errors import InvalidInput, KernelError
from kernels.models.audio import Audio, decode_audio
from kernels.models.installed import find_model
from kernels.native import library

NAMES: Final = ("chat", "whisper-tiny.en", "whisper-base")
CHAT_MODEL: Final = "SmolLM2-135M-Instruct"


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; return the exit code, 7 when a check fails."""
    parsed = _parser().parse_args(arguments)
    return run(lambda: _bench(parsed), as_json=parsed.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kernels.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(NAMES)} (all)")
    parser.add_argument("--audio", type=Path, help="a clip for the speech models")
    parser.add_argument(
        "--two-threads",
        action="store_true",
        help="chat with two threads, too: tells something on an idle machine only",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"{text} ...\n")


def _bench(parsed: argparse.Namespace) -> int:
    unknown = sorted(set(parsed.names) - set(NAMES))
    if unknown:
        raise InvalidInput(f"nothing is called {unknown[0]!r}; there are: {', '.join(NAMES)}")
    loaded = library.load()
    checks: list[Check] = []
    figures: list[Figure] = []
    notes: list[str] = []
    for name in parsed.names or NAMES:
        try:
            part = _part(name, parsed, loaded)
        except KernelError as error:
            notes.append(f"{name} left out: {error}")
            continue
        part.run()
        checks += part.checks
        figures += part.figures
    absent = sorted(set(peers.PACKAGES) - peers.installed().keys())
    notes += [f"{name} is not installed: no figures of it" for name in absent]
    report = Report(
        machine=machine(),
        load_1min=round(os.getloadavg()[0], 1),
        engine=f"native, {loaded.best_level}",
        peers=peers.installed(),
        checks=tuple(checks),
        figures=tuple(figures),
        notes=tuple(notes),
    )
    _show(report, as_json=parsed.json)
    return 0 if all(check.passed for check in checks) else FAILED


def _part(
    name: str, parsed: argparse.Namespace, loaded: library.Library
) -> ChatBench | SpeechBench:
    if name == "chat":
        folder = find_model(CHAT_MODEL, "chat")
        path = next(folder.glob("*.gguf"))
        return ChatBench(path, loaded, _say, two_threads=parsed.two_threads)
    return SpeechBench(find_model(name, "speech"), name, _audio(parsed.audio), loaded, _say)


def _audio(clip: Path | None) -> Audio:
    """Return the clip, or the voice note of a checkout."""
    if clip is not None:
        return decode_audio(clip.read_bytes(), duration_s_max=120)
    note = Path(__file__).parents[2] / "cocoon" / "data" / "voice-note.ogg"
    if note.is_file():
        return decode_audio(note.read_bytes(), duration_s_max=120)
    raise InvalidInput("no clip: give one with --audio")


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
        return
    peers_here = ", ".join(f"{name} {number}" for name, number in report.peers.items()) or "none"
    lines = [
        f"{report.machine}; load {report.load_1min}; engine {report.engine}; peers: {peers_here}",
        "",
        *(f"{'ok' if c.passed else 'FAILED':7}{c.what}: {c.found}" for c in report.checks),
        "",
        "| what | ours | peers | ratio | target |",
        "|---|---|---|---|---|",
        *map(_row, report.figures),
        "",
        *report.notes,
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def _row(figure: Figure) -> str:
    others = "; ".join(f"{name} {value:g}" for name, value in figure.peers.items())
    ratio = f"{figure.ratio:g}x {figure.peer}" if figure.peer else ""
    return (
        f"| {figure.what} | {figure.ours:g} {figure.unit} | {others} | {ratio} | {figure.target} |"
    )


if __name__ == "__main__":
    sys.exit(main())
