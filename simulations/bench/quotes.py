"""What a market of 10,000 providers at rest costs a line: ``python -m simulations.bench.quotes``.

Whole libp2p hosts over the in-memory transport, in virtual time, each with the node's own
directory; all bytes are counted that a TCP socket would get (Noise and yamux included). The rate
of messages is scaled down, as many hosts share one process; what a silent mesh sends is measured
before, and taken off. Bytes for each message do not depend on the rate, as long as the memory of
gossip holds less than what one IHAVE may name.
"""

import argparse
import json
import random
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import trio

from cocoon.directory import Directory, open_directory
from cocoon.market.quotes import Offering, PriceTerms, lifetime_s, make_quote, reissue_s
from cocoon.market.renewal import RENEWALS_MAX, Renewer
from cocoon.messages import Kind, Limits, ModelOnOffer, PriceSchedule, Quote, Tier, encode
from cocoon.signing import sign
from overlay._libp2p_memory import MemoryEther, open_memory_ether
from overlay.identity import Identity
from overlay.memory import EPOCH_UNIX_S
from overlay.node import Node
from simulations.whole.virtual import run_virtual

NETWORK: Final = "quotes"
ONE_WAY_S: Final = 0.04
LINKS: Final = 5
SETTLE_S: Final = 30.0
RATE_PER_S: Final = 2.0
"""Of messages, while they are counted."""
IP_BYTES: Final = 2 * 40 + 12
"""IPv4 and TCP headers of a segment, and of the acknowledgement of it; timestamps once."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What came out, for one host.

    Attributes:
        hosts: of the mesh.
        messages: renewals that were published while it was counted.
        delivered_percent: of those, to all other hosts.
        renewal_bytes, full_bytes: of one message as it is handed to gossip.
        received_bytes: for one renewal, with all copies and the control messages that it causes.
        writes: packets for one renewal.
        silent_kb_per_s: when nobody says anything.
        providers: of one class, at rest.
        messages_per_s: what they publish.
        kb_per_s: received, computed from the figures above; a full quote now and then included.
        kb_per_s_with_ip: the same, with the headers of IP and TCP and the acknowledgements.
    """

    hosts: int
    messages: int
    delivered_percent: float
    renewal_bytes: int
    full_bytes: int
    received_bytes: float
    writes: float
    silent_kb_per_s: float
    providers: int
    messages_per_s: float
    kb_per_s: float
    kb_per_s_with_ip: float


@dataclass(frozen=True, slots=True)
class _Count:
    """Totals of the ether."""

    sent_bytes: int
    writes: int
    heard: int

    def since(self, before: "_Count") -> "_Count":
        return _Count(
            self.sent_bytes - before.sent_bytes,
            self.writes - before.writes,
            self.heard - before.heard,
        )


class _Seller:
    """One provider at rest, and its node."""

    def __init__(
        self, identity: Identity, node: Node, directory: Directory, providers: int
    ) -> None:
        self.node, self.directory = node, directory
        self.message_bytes = 0
        self._identity = identity
        self._providers = providers
        self._last: Quote | None = None
        self._renewer = Renewer()

    async def publish(self) -> None:
        """Gossip the next message."""
        quote = self._last = make_quote(
            offering_of(self._identity),
            previous=self._last,
            load=None,
            slots=8,
            free_slots=8,
            speed_milli_per_s=45_000,
            now_unix_s=int(clock()),
            lifetime_s=lifetime_s(self._providers),
        )
        [message] = self._renewer.messages([quote])
        signed = sign(self._identity, NETWORK, message)
        self.message_bytes = len(encode(signed))
        await self.directory.announce(Kind.CHAT, signed)


def offering_of(identity: Identity) -> Offering:
    """Return something to sell whose quote is as long as those of the demo."""
    return Offering(
        peer_id=identity.peer_id,
        statement_id=bytes(range(32)),
        model=ModelOnOffer(
            kind=Kind.CHAT,
            name="SmolLM2-135M-Instruct",
            model_id=bytes(range(32)),
            engine_id=bytes(range(32)),
            limits=Limits(context_tokens=8192, output_tokens_max=2048, input_bytes_max=1 << 20),
        ),
        terms=PriceTerms(base=PriceSchedule(prompt_token=20_000, output_token=160_000)),
        tier=Tier.OPEN,
        evidence_id=bytes(range(32)),
    )


def clock() -> float:
    """Return unix seconds in virtual time."""
    return EPOCH_UNIX_S + trio.current_time()


async def measure(hosts: int, seconds: float, providers: int, seed: int) -> Cost:
    """Run the mesh, silent and then at rest, for *seconds* each."""
    rng = random.Random(seed)  # noqa: S311  (a topology)
    async with (
        open_memory_ether(network=NETWORK, clock=clock, between=lambda *_: ONE_WAY_S) as ether,
        AsyncExitStack() as stack,
    ):
        sellers = [await _open_seller(stack, ether, rng, providers) for _ in range(hosts)]
        await _link([each.node for each in sellers], rng)
        await trio.sleep(SETTLE_S)
        for seller in sellers:
            await seller.publish()
            await trio.sleep(SETTLE_S / hosts)
        full_bytes = sellers[0].message_bytes
        await trio.sleep(SETTLE_S)
        silent = await _during(ether, sellers, seconds, 0)
        loud = await _during(ether, sellers, seconds, int(seconds * RATE_PER_S))
    per_s = providers / reissue_s(providers)
    messages = int(seconds * RATE_PER_S)
    received_bytes = (loud.sent_bytes - silent.sent_bytes) / hosts / messages
    writes = (loud.writes - silent.writes) / hosts / messages
    silent_kb = silent.sent_bytes / hosts / seconds / 1000
    renewal_bytes = sellers[0].message_bytes
    longer = received_bytes * (full_bytes / renewal_bytes - 1) / RENEWALS_MAX
    kb_per_s = silent_kb + per_s * (received_bytes + longer) / 1000
    return Cost(
        hosts=hosts,
        messages=messages,
        delivered_percent=100 * loud.heard / messages / (hosts - 1),
        renewal_bytes=renewal_bytes,
        full_bytes=full_bytes,
        received_bytes=received_bytes,
        writes=writes,
        silent_kb_per_s=silent_kb,
        providers=providers,
        messages_per_s=per_s,
        kb_per_s=kb_per_s,
        kb_per_s_with_ip=kb_per_s + (per_s * writes) * IP_BYTES / 1000,
    )


async def _open_seller(
    stack: AsyncExitStack, ether: MemoryEther, rng: random.Random, providers: int
) -> _Seller:
    identity = Identity(rng.randbytes(32))
    node = await stack.enter_async_context(ether.open_host(identity))
    opened = open_directory(node, network=NETWORK, clock=clock, kinds=[Kind.CHAT])
    return _Seller(identity, node, await stack.enter_async_context(opened), providers)


async def _link(nodes: list[Node], rng: random.Random) -> None:
    for index, node in enumerate(nodes):
        for other in {nodes[index - 1], *rng.sample(nodes, LINKS)} - {node}:
            await node.connect(other.addresses)


async def _during(
    ether: MemoryEther, sellers: list[_Seller], seconds: float, messages: int
) -> _Count:
    """Return what is sent in *seconds*, while the sellers publish *messages* in turn."""
    before = _counted(ether, sellers)
    for number in range(messages):
        await sellers[number % len(sellers)].publish()
        await trio.sleep(seconds / messages)
    if not messages:
        await trio.sleep(seconds)
    return _counted(ether, sellers).since(before)


def _counted(ether: MemoryEther, sellers: list[_Seller]) -> _Count:
    heard = sum(
        listing.renewals
        for seller in sellers
        for name in seller.directory.book.classes(int(clock()))
        for listing in seller.directory.book.candidates(name, int(clock()))
        if listing.quote.peer_id != seller.node.peer_id
    )
    return _Count(ether.sent_bytes, ether.writes, heard)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60.0, help="virtual time of each part")
    parser.add_argument("--providers", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    run = partial(measure, given.hosts, given.seconds, given.providers, given.seed)
    cost = asdict(run_virtual(run, seed=given.seed))
    if given.json:
        print(json.dumps(cost, indent=2))
        return 0
    for name, value in cost.items():
        print(f"{name:20}{value:12.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
