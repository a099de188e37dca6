"""`python -m overlay.soak [--json] [--only ...] [--inputs N] [--seconds S]`."""

import argparse
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import trio

from overlay.soak import dht, endurance, flood, flooders, fuzz, handlers, mesh, swarm, wire
from overlay.soak.rows import Row

ATTACK_S_MAX = 60.0
"""Of each attack on the wire and of the mesh; only the hour takes as long as it is given."""


def main() -> int:
    """Run the scenarios, print the table, return 1 if anything does not hold."""
    parser = argparse.ArgumentParser(prog="python -m overlay.soak", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument(
        "--only",
        nargs="*",
        choices=("fuzz", "handlers", "dht", "mesh", "flood", "wire", "hour"),
        default=None,
    )
    parser.add_argument("--inputs", type=int, default=1_000_000, help="fuzzed inputs")
    parser.add_argument("--seed", type=int, default=1, help="of the damage that they take")
    parser.add_argument("--nodes", type=int, default=200, help="nodes of the DHT scenarios")
    parser.add_argument("--lookups", type=int, default=400, help="look-ups of each of them")
    parser.add_argument(
        "--seconds",
        type=float,
        default=3600.0,
        help="length of the hour; attacks on the wire take at most a minute each",
    )
    parser.add_argument("--record", type=Path, help="append the samples of the hour to this file")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _run_child(*arguments.child)
        return 0
    scenarios: dict[str, Callable[[], list[Row]]] = {
        "fuzz": lambda: fuzz.run(arguments.inputs, seed=arguments.seed),
        "handlers": lambda: handlers.run(arguments.inputs, seed=arguments.seed),
        "dht": lambda: dht.run(arguments.nodes, arguments.lookups),
        "mesh": lambda: mesh.run(min(arguments.seconds, ATTACK_S_MAX)),
        "flood": lambda: flood.run(min(arguments.seconds, ATTACK_S_MAX)),
        "wire": lambda: wire.run(min(arguments.seconds, ATTACK_S_MAX)),
        "hour": lambda: endurance.run(arguments.seconds, arguments.record),
    }
    rows: list[Row] = []
    for name in arguments.only or scenarios:
        print(f"running {name} ...", file=sys.stderr)  # noqa: T201
        rows += scenarios[name]()
    print(json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else _table(rows))  # noqa: T201
    return 0 if all(row.passed for row in rows) else 1


def _run_child(role: str, *addresses: str) -> None:
    alone = {
        "subject": swarm.subject,
        "member": mesh.member,
        "target": flooders.target,
        "attackers": flooders.attackers,
    }
    if role in alone:
        trio.run(alone[role])
        return
    trio.run({"residents": swarm.residents, "visitors": swarm.visitors}[role], list(addresses))


def _table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        lines.append(f"{'ok  ' if row.passed else 'FAIL'} {row.name}")
        lines.append(f"       {row.figure}   (limit: {row.limit})")
    return "\n".join(lines)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.exit(main())
