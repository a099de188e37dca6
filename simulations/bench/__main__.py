"""``python -m simulations.bench``: the models' speed beside their peers', in one run.

Every figure is per CPU-second of one core. A target is met or not; a ratio is against a peer
that ran just now, or says that the peer's figure is quoted. ``--large`` adds 10^7 and 10^8.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from simulations.bench import engines, ours, peers
from simulations.bench.figures import Figure, page
from simulations.records import host, versions

PENDING = 10_000
PEER_EVENTS = 200_000


def alone(expression: str) -> list[float]:
    """Evaluate an expression over `ours` in a process of its own, so that its memory is its own."""
    program = (
        "from simulations.bench import ours; import json; "
        f"value = {expression}; print(json.dumps([value, ours.peak_mib()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    values: list[float] = json.loads(done.stdout.splitlines()[-1])
    return values


def gossip(large: bool) -> list[Figure]:
    """Measure broadcasts."""
    alone("ours.broadcast_s(1000)")  # compiles, so that the memory below is that of a run
    spent_s, mib = alone("ours.broadcast_s(1_000_000)")
    quoted = peers.QUOTED["PeerSim 1.0.5"]["broadcast 10^6 nodes, s"]
    rows = [
        Figure(
            "gossip broadcast, D = 8, 10^6 nodes",
            spent_s,
            "CPU-s",
            0.5,
            True,
            "PeerSim (quoted)",
            quoted / spent_s,
        ),
        Figure("  its memory", mib, "MiB", 256.0, True),
    ]
    if large:
        spent_s, mib = alone("ours.broadcast_s(10_000_000)")
        rows += [
            Figure("gossip broadcast, 10^7 nodes", spent_s, "CPU-s"),
            Figure("  its memory", mib, "MiB"),
        ]
    return rows


def kademlia(large: bool) -> list[Figure]:
    """Measure lookups."""
    quoted = peers.QUOTED["PeerSim 1.0.5"]["lookups/s at 10^5"]
    rows = []
    for nodes, target in ((100_000, 40_000.0), (1_000_000, 30_000.0)):
        rate, _ = alone(f"ours.lookups_per_s({nodes})")
        ratio = rate / quoted if nodes == 100_000 else None
        peer = "PeerSim (quoted)" if ratio else ""
        name = f"Kademlia lookups, {nodes:,} nodes"
        rows.append(Figure(name, rate, "1/CPU-s", target, False, peer, ratio))
    if large:
        rate, mib = alone("ours.implicit_lookups_per_s(100_000_000)")
        rows += [
            Figure("Kademlia lookups, 10^8 nodes, computed tables", rate, "1/CPU-s"),
            Figure("  its memory", mib, "MiB", 1024.0, True),
        ]
    return rows


def events() -> list[Figure]:
    """Measure event queues, and the peers' on the same load."""
    heap, calendar = ours.heap_events_per_s(PENDING), ours.calendar_events_per_s(PENDING)
    rows = [
        Figure("PHOLD, 10^4 pending, heap", heap, "1/CPU-s", 8e6),
        Figure("PHOLD, 10^4 pending, calendar queue", calendar, "1/CPU-s", 90e6),
    ]
    for name, run in peers.PHOLD.items():
        if peers.is_here(name):
            rate = run(PENDING, PEER_EVENTS)
            rows.append(Figure(f"  {name}", rate, "1/CPU-s", None, False, "our heap", heap / rate))
    if peers.has_ns3():
        rate = peers.ns3_events_per_s(PENDING, 2_000_000)
        rows.append(Figure("  ns-3", rate, "1/CPU-s", None, False, "our heap", heap / rate))
    return rows


def rest() -> list[Figure]:
    """Measure churn and the market."""
    step_s = ours.price_step_s(1_000_000)
    fee = ours.fee_steps_per_s()
    rows = [
        Figure("24 h of churn, 10^6 peers", ours.churn_day_s(1_000_000), "CPU-s", 1.4, True),
        Figure("price step, 10^6 providers", step_s * 1000, "CPU-ms", 11.0, True),
        Figure("EIP-1559 map", fee, "steps/CPU-s"),
    ]
    if peers.is_here("mesa"):
        rate = peers.mesa_steps_per_s(10_000, 5)
        ratio = 1_000_000 / step_s / rate
        rows.append(
            Figure("  Mesa, agent steps", rate, "1/CPU-s", None, False, "our price step", ratio)
        )
    if peers.is_here("radcad"):
        rate = peers.radcad_steps_per_s(20_000)
        rows.append(
            Figure("  radCAD, time steps", rate, "1/CPU-s", None, False, "our map", fee / rate)
        )
    return rows


def real_code() -> list[Figure]:
    """Measure the engines that run the node's own code."""
    found = engines.exact_events_per_s()
    heapq = found["heapq_per_cpu_s"]
    setup_s, running_s, _ = engines.whole_nodes_cpu_s()
    rows = [
        Figure(
            "exact engine, pure cores",
            found["cores_per_cpu_s"],
            "events/CPU-s",
            200_000.0,
            False,
            "bare heapq",
            found["cores_per_cpu_s"] / heapq,
        ),
        Figure("  its queue alone", found["queue_per_cpu_s"], "events/CPU-s"),
    ]
    if "market_per_cpu_s" in found:
        rows.append(
            Figure(
                "  whole market: faults, signatures, disks",
                found["market_per_cpu_s"],
                "events/CPU-s",
            )
        )
    return [
        *rows,
        Figure("100 whole nodes, a simulated second", running_s, "CPU-s", 0.5, True),
        Figure("  set-up of all 100", setup_s, "CPU-s"),
    ]


def main() -> int:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(prog="python -m simulations.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--large", action="store_true", help="10^7 and 10^8 nodes, too")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write a page of the figures")
    parsed = parser.parse_args()
    rows = [*gossip(parsed.large), *kademlia(parsed.large), *events(), *rest(), *real_code()]
    if parsed.write is not None:
        parsed.write.write_text(page(rows), encoding="utf-8")
    if parsed.json:
        figures = [asdict(row) | {"verdict": row.verdict} for row in rows]
        about = {"host": host(), "versions": versions(), "quoted": peers.QUOTED}
        print(json.dumps({"figures": figures, **about}, indent=2))
        return 0
    for row in rows:
        target = f"target {row.target:,.4g}: {row.verdict}" if row.target else ""
        ratio = f"{row.ratio:,.0f} x {row.peer}" if row.ratio else ""
        print(f"{row.name:48} {row.value:16,.4g} {row.unit:12} {target:28} {ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
