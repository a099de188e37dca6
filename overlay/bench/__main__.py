"""`python -m overlay.bench [--json] [--only NAME ...]`: see the package."""

import argparse
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import trio

from overlay.bench import measure

STACKS: Final = ("stock", "ours")
TRANSPORTS: Final = ("noise", "tls", "quic")
TITLES: Final = {
    "stock": "py-libp2p",
    "ours": "ours",
    "js": "js-libp2p",
    "noise": "Noise",
    "tls": "TLS 1.3",
    "quic": "QUIC",
}
JS_STREAMS: Final = "js_streams.mjs"
JS_POLYFILL: Final = "node20.mjs"
"""js-libp2p 3 wants Node.js 22; this lets 20 do."""
NAMES: Final = ("streams", "gossip", "dht", "idle", "transports")
CHILD_S: Final = 400.0
CROWD: Final = 50
TARGETS: Final = {
    "request_reused_ms": ("<=", 0.45),
    "request_new_stream_ms": ("<=", 2.0),
    "upload_mb_per_s": (">=", 220.0),
    "gossip_cpu_ms_per_delivery": ("<=", 3.0),
    "dht_after_kill_ms": ("<=", 500.0),
    "idle_memory_mb": ("<=", 120.0),
    "idle_cpu_percent": ("<=", 1.0),
}


def _child(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "overlay.bench", "--child", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _measure_js(directory: Path) -> dict[str, float]:
    """Measure streams between two processes of js-libp2p, installed in *directory*."""
    shutil.copy(Path(__file__).with_name(JS_STREAMS), directory / JS_STREAMS)
    command = ["node"]
    if (directory / JS_POLYFILL).exists():
        command += ["--import", f"./{JS_POLYFILL}"]
    command.append(JS_STREAMS)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": directory}
    server = subprocess.Popen([*command, "serve"], **pipes)  # type: ignore[call-overload]
    try:
        address = _line(server)["addresses"][0]
        return _finish(subprocess.Popen([*command, "streams", address], **pipes))  # type: ignore[call-overload]
    finally:
        _end(server)


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("a child without a pipe")
    return stream


def _line(child: "subprocess.Popen[str]") -> dict[str, Any]:
    value: dict[str, Any] = json.loads(_pipe(child.stdout).readline())
    return value


def _measure(stack: str, name: str) -> dict[str, float]:
    if name in ("gossip", "dht", "connections"):
        return _finish(_child(name, stack))
    if name == "transports":
        return _measure(stack, "connections") | _measure(stack, "streams")
    if name == "streams":
        server = _child("serve", stack)
        try:
            return _finish(_child("streams", stack, *_line(server)["addresses"]))
        finally:
            _end(server)
    subject = _child("idle", stack, "-")
    crowd = _child("crowd", stack, *_line(subject)["addresses"])
    try:
        _line(crowd)
        _pipe(subject.stdin).write("go\n")
        _pipe(subject.stdin).flush()
        return _finish(subject)
    finally:
        _end(crowd)


def _finish(child: "subprocess.Popen[str]") -> dict[str, float]:
    try:
        out, _ = child.communicate(timeout=CHILD_S)
    finally:
        child.kill()
    if not out.strip():
        raise SystemExit("a measurement ended without a figure (its error is above)")
    figures: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    return figures


def _end(child: "subprocess.Popen[str]") -> None:
    _pipe(child.stdin).close()
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
    child.wait()
    _pipe(child.stdout).close()


def _run_child(name: str, stack: str, addresses: tuple[str, ...]) -> None:
    work: dict[str, Callable[[], Awaitable[dict[str, float] | None]]] = {
        "serve": partial(measure.serve, stack),
        "streams": partial(measure.streams, stack, addresses),
        "connections": partial(measure.connections, stack),
        "gossip": partial(measure.gossip, stack),
        "dht": partial(measure.dht, stack),
        "idle": partial(measure.idle, stack, addresses),
        "crowd": partial(measure.crowd, stack, addresses, CROWD),
    }
    figures = trio.run(work[name])
    if figures is not None:
        print(json.dumps(figures), flush=True)  # noqa: T201


def _table(results: dict[str, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    heads = "".join(f"{TITLES[stack]:>12}" for stack in results)
    lines = [f"{'':32}{heads}{'ratio':>9}   target"]
    for name in names:
        all_of_them = [figures.get(name) for figures in results.values()]
        stock, ours = all_of_them[:2]
        ratio = f"{ours / stock:9.2f}" if stock and ours is not None else f"{'':9}"
        target = _verdict(name, ours)
        cells = "".join(f"{'-':>12}" if each is None else f"{each:12.2f}" for each in all_of_them)
        lines.append(f"{name:32}{cells}{ratio}   {target}")
    return "\n".join(lines)


def _verdict(name: str, ours: float | None) -> str:
    if name not in TARGETS or ours is None:
        return ""
    sign, limit = TARGETS[name]
    met = ours <= limit if sign == "<=" else ours >= limit
    return f"{sign} {limit:g} {'met' if met else 'MISSED'}"


def main() -> None:
    """Measure both stacks, one after the other, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m overlay.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES, help="what to measure")
    parser.add_argument(
        "--js",
        type=Path,
        metavar="DIRECTORY",
        help="measure streams of js-libp2p too, with the packages that npm installed there by "
        "tests/overlay/js_libp2p/package-lock.json",
    )
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    if arguments.child:
        name, stack, *addresses = arguments.child
        _run_child(name, stack, tuple(addresses))
        return
    results: dict[str, dict[str, float]] = {}
    for name in arguments.only:
        for stack in TRANSPORTS if name == "transports" else STACKS:
            print(f"measuring {name} of {stack} ...", file=sys.stderr)  # noqa: T201
            results[stack] = results.get(stack, {}) | _measure(stack, name)
    if arguments.js is not None and "streams" in arguments.only:
        print("measuring streams of js ...", file=sys.stderr)  # noqa: T201
        results["js"] = _measure_js(arguments.js)
    print(json.dumps(results, indent=2) if arguments.json else _table(results))  # noqa: T201


if __name__ == "__main__":
    main()
