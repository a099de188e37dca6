"""What others do for the same work: libraries that are installed, run here; the rest, quoted.

PHOLD is given to SimPy, salabim, the standard library's heap and ns-3; a provider that
adapts its price to Mesa; a fee market of one state to radCAD. None of them is needed to run
a simulation of ours.
"""

import heapq
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

LOOKAHEAD: Final = 0.1
_RNG: Final = random.Random

QUOTED: Final = {
    "PeerSim 1.0.5": {
        "broadcast 10^6 nodes, s": 18.5,
        "lookups/s at 10^5": 212.0,
        "PHOLD events/s at 10^4": 4.8e6,
    },
    "SimBlock": {"own events/s at 600 nodes": 0.72e6},
    "ns-3.37 (HeapScheduler)": {"PHOLD events/s at 10^4": 2.06e6},
}
"""Measured by us once, on a quiet machine of this kind, from code that may not be shipped here."""


def heapq_events_per_s(pending: int, events: int) -> float:
    """Run PHOLD on the standard library's heap."""
    rng = _RNG(1)
    heap = [(rng.expovariate(1.0), place, rng.randrange(pending)) for place in range(pending)]
    heapq.heapify(heap)
    handled = [0] * pending
    started = time.process_time()
    for number in range(events):
        now, _, entity = heap[0]
        handled[entity] += 1
        due = now + LOOKAHEAD + rng.expovariate(1.0)
        heapq.heapreplace(heap, (due, pending + number, int(rng.random() * pending)))
    return events / (time.process_time() - started)


class _Enough(Exception):
    """The events are done."""


def simpy_events_per_s(pending: int, events: int) -> float:
    """Run PHOLD on SimPy: one process for each pending event."""
    simpy = import_module("simpy")
    rng, env, done = _RNG(1), simpy.Environment(), 0

    def process() -> Any:  # noqa: ANN401  (a generator of SimPy's own events)
        nonlocal done
        while True:
            yield env.timeout(LOOKAHEAD + rng.expovariate(1.0))
            done += 1
            if done >= events:
                raise _Enough

    for _ in range(pending):
        env.process(process())
    started = time.process_time()
    with suppress(_Enough):
        env.run()
    return events / (time.process_time() - started)


def salabim_events_per_s(pending: int, events: int) -> float:
    """Run PHOLD on salabim."""
    salabim = import_module("salabim")
    salabim.yieldless(False)
    rng, env, done = _RNG(1), salabim.Environment(trace=False), 0

    def process(self: Any) -> Any:  # noqa: ANN401  (salabim's protocol)
        nonlocal done
        while True:
            yield self.hold(LOOKAHEAD + rng.expovariate(1.0))
            done += 1
            if done >= events:
                env.main().activate()

    entity = type("Entity", (salabim.Component,), {"process": process})
    for _ in range(pending):
        entity()
    started = time.process_time()
    env.run()
    return events / (time.process_time() - started)


def mesa_steps_per_s(agents: int, rounds: int) -> float:
    """Let Mesa's agents adapt a price to a load: provider steps per CPU-second."""
    mesa = import_module("mesa")

    def step(self: Any) -> None:  # noqa: ANN401  (Mesa's protocol)
        utilisation = self.random.random()
        distance = max(0.0, utilisation - 0.6) or min(0.0, utilisation - 0.4)
        self.level = min(max(self.level * (1 + 0.05 * distance), 0.5), 4.0)

    provider = type("Provider", (mesa.Agent,), {"level": 1.0, "step": step})
    model = mesa.Model(seed=1)
    for _ in range(agents):
        provider(model)
    started = time.process_time()
    for _ in range(rounds):
        model.agents.shuffle_do("step")
    return agents * rounds / (time.process_time() - started)


def radcad_steps_per_s(steps: int) -> float:
    """Let radCAD step a fee market of one state (its deep copies off: its fastest)."""
    radcad: Any = import_module("radcad")

    def next_fee(*arguments: Any) -> tuple[str, float]:  # noqa: ANN401  (radCAD's protocol)
        fee = arguments[3]["fee"]
        block = min(2.0, 10.0 * (1.0 - min(max((fee - 210.0) / 40.0, 0.0), 1.0)))
        return "fee", fee * (1.0 + 0.125 * (block - 1.0))

    blocks = [{"policies": {}, "variables": {"fee": next_fee}}]
    model = radcad.Model(initial_state={"fee": 225.0}, state_update_blocks=blocks, params={})
    simulation = radcad.Simulation(model=model, timesteps=steps, runs=1)
    simulation.engine = radcad.Engine(backend=radcad.Backend.SINGLE_PROCESS, deepcopy=False)
    started = time.process_time()
    simulation.run()
    return steps / (time.process_time() - started)


NS3_HEADER: Final = Path("/usr/include/ns3/core-module.h")
"""Of Debian's package libns3-dev."""

_PHOLD_NS3: Final = r"""
#include "ns3/core-module.h"
#include <ctime>
#include <iostream>
using namespace ns3;
static uint64_t done = 0, wanted; static Ptr<ExponentialRandomVariable> delay;
static void Handle() {
  if (++done >= wanted) { Simulator::Stop(); return; }
  Simulator::Schedule(Seconds(0.1 + delay->GetValue()), &Handle);
}
int main(int argc, char** argv) {
  int pending = std::stoi(argv[1]); wanted = std::stoull(argv[2]);
  GlobalValue::Bind("SchedulerType", StringValue("ns3::HeapScheduler"));
  delay = CreateObject<ExponentialRandomVariable>();
  for (int i = 0; i < pending; ++i) Simulator::Schedule(Seconds(delay->GetValue()), &Handle);
  clock_t started = clock(); Simulator::Run();
  std::cout << wanted / (double(clock() - started) / CLOCKS_PER_SEC) << std::endl;
}
"""


def has_ns3() -> bool:
    """Tell whether ns-3's core library and a compiler are here (Debian: libns3-dev)."""
    return shutil.which("g++") is not None and NS3_HEADER.exists()


def ns3_events_per_s(pending: int, events: int) -> float:
    """Compile PHOLD against ns-3 and run it."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "phold.cc", Path(folder) / "phold"
        source.write_text(_PHOLD_NS3, encoding="utf-8")
        # Not by pkg-config: Debian's ns3-core.pc names files of packages that it does not need.
        subprocess.run(
            [str(shutil.which("g++")), "-O2", "-o", str(program), str(source), "-lns3-core"],
            check=True,
            timeout=300,
        )
        done = subprocess.run(
            [str(program), str(pending), str(events)],
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
    return float(done.stdout)


PHOLD: Final[dict[str, Callable[[int, int], float]]] = {
    "heapq": heapq_events_per_s,
    "simpy": simpy_events_per_s,
    "salabim": salabim_events_per_s,
}


def is_here(package: str) -> bool:
    """Tell whether a peer can run."""
    return package == "heapq" or find_spec(package) is not None
