"""Gossip and churn on the exact engine and on the models: the same meshes, the same laws.

Gossip is compared message by message and peer by peer, on the exact engine's own mesh and delays;
churn by the share of nodes that are there once the start is forgotten.
"""

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from simulations.exact.node import Node
from simulations.exact.run import simulate
from simulations.exact.seller import Seller
from simulations.exact.world import World
from simulations.models.churn import Churn, live
from simulations.models.gossip.broadcast import Timing, broadcast
from simulations.models.gossip.mesh import Mesh
from simulations.models.underlay import Underlay
from simulations.report.crosscheck import Pair, compared
from simulations.scenario import Scenario, changed

if TYPE_CHECKING:
    from simulations.exact.log import Event

SEEDS: Final = 8

# --- gossip ---------------------------------------------------------------------------------

GOSSIP: Final = changed(
    Scenario(engine="exact", name="crosscheck-gossip", duration_s=300.0),
    **{
        "population.providers": 1,
        "population.requesters": 0,
        "population.others": 99,
        "latency.model": "geographic",
        "latency.jitter": 0.0,
        "record.tables": [],
    },
)
SLOTS_SKIPPED: Final = 2
"""A node of the exact engine sends nothing back, nor to the source; the model counts turns."""

Heard = dict[tuple[int, int, int], dict[int, int]]
"""By message: when each node first got it, in microseconds."""


class _Listening:
    """Mixed into a node: writes down when a message comes for the first time."""

    heard: Heard
    sizes: dict[tuple[int, int, int], int]

    def hear(self, forwarder: Node, message_id: tuple[int, int, int], data: bytes) -> None:
        """Write it down, and let the node do what it does."""
        node: Any = self
        self.heard[message_id].setdefault(node.index, node.world.events.now_us)
        self.sizes[message_id] = len(data)
        super().hear(forwarder, message_id, data)  # type: ignore[misc]  # of `Node`


def gossip_pairs(seeds: int = SEEDS, base: Scenario = GOSSIP) -> tuple[list[Pair], float, int]:
    """Follow every quote of one provider but the first, on both.

    Returns:
        pairs: median and last arrival (means over messages, one value a seed).
        worst: the furthest that any two arrivals are apart, over what the model's turns allow:
            at most 1 when the two agree everywhere.
        arrivals: how many were compared.
    """
    exact, model, worst, count = [], [], 0.0, 0
    for seed in range(1, seeds + 1):
        theirs, ours, slack = _arrivals(base, seed)
        worst = max(worst, float((np.abs(theirs - ours) / slack).max()))
        count += theirs.size
        exact.append(theirs)
        model.append(ours)
    return (
        [
            compared(
                "gossip",
                name,
                [mark(one) for one in exact],
                [mark(one) for one in model],
                paired=True,
            )
            for name, mark in (("median arrival, ms", _median_ms), ("last arrival, ms", _last_ms))
        ],
        worst,
        count,
    )


def _median_ms(arrivals: Any) -> float:  # noqa: ANN401  (an array)
    return float(np.median(arrivals, axis=1).mean() / 1000)


def _last_ms(arrivals: Any) -> float:  # noqa: ANN401  (an array)
    return float(arrivals.max(axis=1).mean() / 1000)


def _arrivals(scenario: Scenario, seed: int) -> tuple[Any, Any, Any]:
    """Return arrivals (messages, peers) of both engines, and how far turns may move them."""
    heard: Heard = defaultdict(dict)
    sizes: dict[tuple[int, int, int], int] = {}
    roles = {
        kind: type(
            f"Listening{kind.__name__}", (_Listening, kind), {"heard": heard, "sizes": sizes}
        )
        for kind in (Node, Seller)
    }
    names = [f"other-{at}" for at in range(scenario.population.others)]
    cast = dict.fromkeys(names, roles[Node]) | {"seller-0": roles[Seller]}
    with World(scenario, seed, cast=cast) as world:
        world.run(lambda share: None)
        mesh, underlay = _mesh_of(world), _underlay_of(world)
        theirs, ours, slack = [], [], []
        # The first quote shares its uplink with the provider's record; the model has no queues.
        for message, arrivals in list(heard.items())[1:]:
            source, whole = message[0], sizes[message] + 60
            copy_us = int(whole * 8 / scenario.link.upload_mbps)
            down_us = int(whole * 8 / scenario.link.download_mbps)
            one = broadcast(mesh, underlay, source, Timing(validate_us=down_us, copy_us=copy_us))
            born = arrivals.pop(source)
            peers = sorted(arrivals)
            theirs.append([arrivals[peer] - born for peer in peers])
            ours.append(one.arrival_us[peers])
            slack.append((one.hops[peers] + 1) * (SLOTS_SKIPPED * copy_us + 2))
    return np.array(theirs), np.array(ours, np.int64), np.array(slack)


def _mesh_of(world: World) -> Mesh:
    """Return the exact engine's mesh, each peer's neighbours in its own order."""
    degree = [len(node.neighbours) for node in world.nodes]
    table = np.full((len(degree), max(degree)), -1, np.int32)
    for row, node in enumerate(world.nodes):
        table[row, : degree[row]] = [other.index for other in node.neighbours]
    return Mesh(table, np.array(degree, np.int8))


def _underlay_of(world: World) -> Underlay:
    """Return the exact engine's delays: every node is a site of its own."""
    count = len(world.nodes)
    path_us = [
        [world.wire.one_way_us(one, other) for other in range(count)] for one in range(count)
    ]
    nobody = np.zeros(count, np.int32)
    return Underlay(np.arange(count, dtype=np.int32), nobody, np.array(path_us, np.int32))


# --- churn ----------------------------------------------------------------------------------

CHURN: Final = changed(
    Scenario(engine="exact", name="crosscheck-churn", duration_s=1_800.0),
    **{
        "population.providers": 1,
        "population.requesters": 0,
        "population.others": 99,
        "churn.session_scale_s": 60.0,
        "churn.away_scale_s": 90.0,
        "churn.who": "all",
        "record.tables": [],
    },
)
LAWS: Final = {"exponential": 1.0, "weibull": 0.54, "lognormal": 0.8}
"""Laws of sessions, with their shapes."""
FROM: Final = 0.5
"""The exact engine starts with everybody there; the first half is left out."""


class Presence:
    """A metric: the share of nodes that are there, over time, from a moment on."""

    name = "online_share"

    def __init__(self, nodes: int, from_us: int, until_us: int) -> None:
        self._nodes, self._up, self._now_us = nodes, nodes, from_us
        self._from_us, self._until_us, self._sum = from_us, until_us, 0

    def hear(self, event: "Event") -> None:
        """Take in who left and who came."""
        if event.kind in ("crash", "restart"):
            self._advance(min(event.at_us, self._until_us))
            self._up += 1 if event.kind == "restart" else -1

    def _advance(self, now_us: int) -> None:
        if now_us > self._now_us:
            self._sum += self._up * (now_us - self._now_us)
            self._now_us = now_us

    def value(self) -> float:
        """Return the mean share."""
        self._advance(self._until_us)
        return self._sum / (self._until_us - self._from_us) / self._nodes


def churn_pair(law: str, seeds: int = SEEDS, base: Scenario = CHURN) -> Pair:
    """Let nodes of both engines come and go under one law."""
    scenario = changed(base, **{"churn.session": law, "churn.session_shape": LAWS[law]})
    nodes, end_s, start = scenario.population.nodes, scenario.duration_s, scenario.duration_s * FROM
    exact = []
    for seed in range(1, seeds + 1):
        there = Presence(nodes, int(start * 1e6), int(end_s * 1e6))
        simulate(scenario, seed, metrics=[there])
        exact.append(there.value())
    keys = scenario.churn
    rule = Churn(
        session="log-normal" if law == "lognormal" else "weibull",
        shape=LAWS[law],
        scale_s=keys.session_scale_s,
        gap_s=keys.away_scale_s,
    )
    histories = [live(rule, nodes, end_s / 3600, seed) for seed in range(1, 4 * seeds + 1)]
    model = [float(one.online[one.online.size // 2 :].mean()) / nodes for one in histories]
    return compared(f"churn, {law} sessions", "share of nodes there", exact, model)
