"""What can be soaked, how long it takes, and what may run beside it."""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from overlay.soak import dht, endurance, flood, fuzz, handlers, mesh, wire
from overlay.soak.rows import Row


class Options(msgspec.Struct, frozen=True):
    """How much of everything.

    Attributes:
        inputs: damaged inputs to decoders.
        live_inputs: damaged inputs to the handlers of a running node.
        seed: of the damage.
        nodes: of the DHT scenarios.
        lookups: of each of them.
        seconds: of the long soak.
        attack_s: of each attack that is timed.
        record: file that the samples of the long soak are appended to; "" for none.
    """

    inputs: int = 1_000_000
    live_inputs: int = 1_000_000
    seed: int = 1
    nodes: int = 200
    lookups: int = 400
    seconds: float = 3600.0
    attack_s: float = 60.0
    record: str = ""

    def arguments(self) -> list[str]:
        """Return the command-line arguments that say the same."""
        fields = msgspec.structs.asdict(self)
        return [f"--{name.replace('_', '-')}={value}" for name, value in fields.items()]


QUICK: Final = Options(
    inputs=100_000, live_inputs=6_000, nodes=100, lookups=100, seconds=240.0, attack_s=8.0
)
"""Everything in about ten minutes: says whether a machine can run it, and finds what is gross."""


class Beside(enum.Enum):
    """What else may run meanwhile.

    `NOTHING` is for what takes the time of something. `LONG` measures the memory of processes of
    its own, which nearly idle; `WORK` keeps one core busy and asks only whether it holds.
    """

    NOTHING = "alone"
    WORK = "one at a time"
    LONG = "beside others"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One part of a soak.

    Attributes:
        name: what it is called on the command line.
        about: in a line.
        beside: what may run meanwhile.
        run: yields its rows as they become known.
        expected_s: about how long that takes.
        uses: the options that change what it does.
        packages: whose code it runs: a change there makes an old result worth nothing.
    """

    name: str
    about: str
    beside: Beside
    run: Callable[[Options], Iterable[Row]]
    expected_s: Callable[[Options], float]
    uses: tuple[str, ...]
    packages: tuple[str, ...] = ("overlay",)

    def used(self, options: Options) -> dict[str, object]:
        """Return the options that change what it does."""
        return {name: getattr(options, name) for name in self.uses}


def _hour(options: Options) -> Iterable[Row]:
    return endurance.run(options.seconds, Path(options.record) if options.record else None)


OVERLAY: Final = (
    Scenario(
        "mesh",
        "gossip over 60 nodes, ten messages a second",
        Beside.NOTHING,
        lambda options: mesh.run(options.attack_s),
        lambda options: 30 + options.attack_s,
        ("attack_s",),
    ),
    Scenario(
        "flood",
        "floods of forged, replayed and sound quotes, beside the same floods of a node next door",
        Beside.NOTHING,
        lambda options: flood.run(options.attack_s),
        lambda options: 4 * (60 + options.attack_s),
        ("attack_s",),
    ),
    Scenario(
        "wire",
        "slow streams, half-open connections, nodes that come and go",
        Beside.NOTHING,
        lambda options: wire.run(options.attack_s),
        lambda options: 120 + options.attack_s,
        ("attack_s",),
    ),
    Scenario(
        "fuzz",
        "damaged inputs to every decoder of the overlay",
        Beside.WORK,
        lambda options: fuzz.run(options.inputs, seed=options.seed),
        lambda options: 5 + options.inputs / 50_000,
        ("inputs", "seed"),
    ),
    Scenario(
        "dht",
        "look-ups while nodes die, Sybils surround a key, a partition heals; in virtual time",
        Beside.WORK,
        lambda options: dht.run(options.nodes, options.lookups),
        lambda options: options.nodes * options.lookups / 1200,
        ("nodes", "lookups"),
    ),
    Scenario(
        "handlers",
        "damaged messages to every protocol of a running node of the overlay",
        Beside.WORK,
        lambda options: handlers.run(options.live_inputs, seed=options.seed),
        lambda options: 15 + options.live_inputs / 800,
        ("live_inputs", "seed"),
    ),
    Scenario(
        "hour",
        "real nodes come, go, freeze and die: memory, tasks and files stay flat",
        Beside.LONG,
        _hour,
        lambda options: options.seconds + 10,
        ("seconds",),
    ),
)
"""In the order in which they run; what may run beside others comes together at the end."""
