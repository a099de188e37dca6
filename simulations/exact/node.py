"""What every node of the exact engine does: hear quotes, keep records, crash, come back.

Nodes are drivers: they carry bytes and time between the production cores and the simulated
wire, disk and chain, and decide nothing that a core decides.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from cocoon.confidential.transcript import statement_id
from cocoon.directory import Directory, topic_of
from cocoon.errors import PeerMisbehaved
from cocoon.market.renewal import BasesRequest
from cocoon.messages import (
    STATEMENT_BYTES_MAX,
    STATEMENT_RECORD,
    Kind,
    Quote,
    QuotesAnswer,
    Signed,
    Statement,
    decode,
    encode,
)
from cocoon.statements import StatementCache, verify_statement
from overlay.dht.records import RecordBody, newest_record, open_record, record_key, select_newest
from overlay.errors import RemoteProtocolError
from overlay.gossip.limits import Rate, RateLimits
from overlay.host import HostConfig
from overlay.identity import Identity
from overlay.ids import PeerId
from overlay.transport import Host, Verdict
from simulations.exact.chance import Chance
from simulations.exact.events import SECOND_US, Timer
from simulations.exact.wire import End

if TYPE_CHECKING:
    from simulations.exact.world import World

NETWORK: Final = "simulation"
SEEN_MAX: Final = 4096
PEERS_REMEMBERED_MAX: Final = 4096
TOPIC: Final = topic_of(Kind.CHAT)
_GOSSIP: Final = HostConfig().gossip

StatementFound = Callable[[tuple[Statement, Signed] | None], None]


class Lookup:
    """One lookup of a record while answers come in."""

    def __init__(self, asked: int, then: Callable[[RecordBody | None], None]) -> None:
        self.waiting = asked
        self.then = then
        self.values: list[bytes] = []
        self.timer: Timer | None = None
        self.over = False


class Node:
    """A node; sellers and buyers are more.

    Attributes:
        index: its number in the population.
        life: counts up with every crash: what a former life had planned does not happen.
        armed: strikes in the middle of the next write to the disk.
    """

    honest = True

    def __init__(self, world: "World", index: int, name: str) -> None:
        self.world = world
        self.index = index
        self.name = name
        self.identity = Identity(hashlib.sha256(f"{world.seed}/{name}".encode()).digest())
        self.peer_id = self.identity.peer_id
        self.chance = Chance(world.seed, "node", index)
        self.position = _position(self.peer_id)
        self.up = True
        self.life = 0
        self.armed: Callable[[], None] | None = None
        self.streams: dict[End, None] = {}
        self.skew_us = world.faults.skew_us(world.scenario, world.seed, index)
        self.neighbours: list[Node] = []
        self._forget_everything()

    def _forget_everything(self) -> None:
        """Start with empty memory, as after a crash."""
        self.directory = Directory(cast("Host", None), NETWORK, self.clock)
        self.statements = StatementCache()
        self._seen: dict[tuple[int, int, int], None] = {}
        self._published = 0
        self._values: dict[str, bytes] = {}
        per_source = Rate(_GOSSIP.source_rate_per_s, _GOSSIP.source_burst, _GOSSIP.source_first)
        per_forwarder = Rate(_GOSSIP.forwarder_rate_per_s, _GOSSIP.forwarder_burst)
        self._sources = RateLimits(per_source, keys_max=PEERS_REMEMBERED_MAX)
        self._forwarders = RateLimits(per_forwarder, keys_max=PEERS_REMEMBERED_MAX)

    # --- time ---

    def clock(self) -> float:
        """Return this node's idea of unix seconds."""
        return self.world.epoch_unix_s + (self.world.events.now_us + self.skew_us) / 1e6

    def now_unix_s(self) -> int:
        """Return it in whole seconds."""
        return self.world.unix_s(self.world.events.now_us + self.skew_us)

    @property
    def now_s(self) -> float:
        """Steady time."""
        return self.world.events.now_us / 1e6

    @property
    def now_ms(self) -> int:
        """Steady time."""
        return self.world.events.now_us // 1000

    def after(self, delay_us: int, action: Callable[..., None], *arguments: object) -> None:
        """Let *action* happen later, unless this node crashes before."""
        self.world.events.after(delay_us, self._alive, self.life, action, arguments)

    def timer(self, delay_us: int, action: Callable[..., None], *arguments: object) -> Timer:
        """The same, to be cancelled."""
        return self.world.events.timer(delay_us, self._alive, self.life, action, arguments)

    def _alive(self, life: int, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if self.up and self.life == life:
            action(*arguments)

    def note(self, kind: str, **fields: object) -> None:
        """Write an event into the log."""
        self.world.log.note(self.world.events.now_us, self.name, kind, **fields)

    # --- life and death ---

    def begin(self) -> None:
        """Start working; also after a crash."""

    def crash(self, share: float) -> None:
        """Lose power: memory is gone, streams break, the write under way is torn."""
        self.up = False
        self.life += 1
        self.note("crash")
        for end in list(self.streams):
            end.close()
        self.streams.clear()

    def restart(self) -> None:
        """Come back with what was on the disk."""
        self.up = True
        self._forget_everything()
        self.note("restart")
        self.begin()

    def on_stream(self, protocol: str, end: End) -> None:
        """Somebody opened a stream to us; who does not serve it ends it."""
        end.close()

    # --- gossip ---

    def publish(self, data: bytes) -> None:
        """Gossip our own quote."""
        self._published += 1
        self.hear(self, (self.index, self.life, self._published), data)

    def hear(self, forwarder: "Node", message_id: tuple[int, int, int], data: bytes) -> None:
        """Judge one gossip message the first time it comes, and pass it on."""
        if message_id in self._seen:
            return
        source = self.world.nodes[message_id[0]]
        if source is not self and not (
            self._forwarders.take(forwarder.peer_id, self.now_s)
            and self._sources.take(source.peer_id, self.now_s)
        ):
            return
        self._seen[message_id] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        verdict = self.directory.hear(Kind.CHAT, source.peer_id, data)
        lacking = self.directory.take_lacking()
        if lacking:
            size_bytes = len(encode(BasesRequest(bases=lacking)))
            self.world.wire.datagram(
                self, forwarder, size_bytes, forwarder.answer_bases, self, lacking
            )
        if verdict is not Verdict.ACCEPT:
            return
        self._check_heard(source)
        for neighbour in self.neighbours:
            if neighbour is not forwarder and neighbour is not source:
                self.world.wire.datagram(
                    self, neighbour, len(data), neighbour.hear, self, message_id, data
                )

    def answer_bases(self, asker: "Node", asked: tuple[bytes, ...]) -> None:
        """Answer who heard a renewal and not the full quote that it starts from."""
        quotes = self.directory.bases(asked)
        size_bytes = len(encode(QuotesAnswer(quotes=quotes)))
        self.world.wire.datagram(self, asker, size_bytes, asker.hear_bases, quotes, asked)

    def hear_bases(self, quotes: tuple[Signed, ...], asked: tuple[bytes, ...]) -> None:
        """Take in the full quotes that we asked for."""
        self.directory.hear_bases(quotes, asked)
        for signed in quotes:
            quote = decode(Quote, signed.body)
            self._check_heard(self.world.by_peer[quote.peer_id])

    def _check_heard(self, source: "Node") -> None:
        now_unix_s, book = self.now_unix_s(), self.directory.book
        for resource_class in book.classes(now_unix_s):
            for listing in book.candidates(resource_class, now_unix_s):
                if listing.quote.peer_id == source.peer_id:
                    self.world.checkers.quote_heard(listing, honest=source.honest)

    # --- records in the DHT ---

    def closest(self, key: str) -> "list[Node]":
        """Return the nodes that keep *key*, by distance; who is up is not known here.

        Routing is not simulated here: that is libp2p's, and runs in the engine `libp2p`.
        """
        target, count = _position(key), self.world.scenario.dht.k
        others = [node for node in self.world.nodes if node is not self]
        return sorted(others, key=lambda node: node.position ^ target)[:count]

    def put_record(self, record: bytes, key: str) -> None:
        """Store a record of ours at the nodes closest to *key*."""
        self.keep_value(key, record)
        for node in self.closest(key):
            self.world.wire.datagram(self, node, len(record), node.keep_value, key, record)

    def keep_value(self, key: str, value: bytes) -> None:
        """Keep a valid record for others if it is newer."""
        try:
            open_record(value, NETWORK, key, now_unix_s=self.clock())
        except RemoteProtocolError:
            return
        known = self._values.get(key)
        if known is None or select_newest([known, value]) == 1:
            self._values[key] = value

    def answer_value(self, asker: "Node", key: str, reply: Callable[[bytes | None], None]) -> None:
        """Answer a lookup with what we keep."""
        value = self._values.get(key)
        self.world.wire.datagram(self, asker, len(value or b""), reply, value)

    def get_record(self, owner: PeerId, then: Callable[[RecordBody | None], None]) -> None:
        """Look up *owner*'s statement record; *then* hears the newest valid one, or None."""
        key = record_key(owner, STATEMENT_RECORD)
        asked = self.closest(key)[: self.world.scenario.dht.beta]
        lookup = Lookup(len(asked), then)
        own = self._values.get(key)
        lookup.values += [] if own is None else [own]
        wait_us = int(self.world.scenario.dht.timeout_s * SECOND_US)
        lookup.timer = self.timer(wait_us, self._lookup_over, lookup, owner, key)
        for node in asked:
            heard = _Once(self, lookup, owner, key)
            self.world.wire.datagram(self, node, 64, node.answer_value, self, key, heard)

    def lookup_answer(self, lookup: Lookup, owner: PeerId, key: str, value: bytes | None) -> None:
        """Take one answer in."""
        lookup.waiting -= 1
        if value is not None:
            lookup.values.append(value)
        if not lookup.waiting:
            self._lookup_over(lookup, owner, key)

    def _lookup_over(self, lookup: Lookup, owner: PeerId, key: str) -> None:
        if lookup.over:
            return
        lookup.over = True
        if lookup.timer is not None:
            lookup.timer.cancel()
        now_unix_s = self.clock()
        body = newest_record(lookup.values, NETWORK, key, now_unix_s=now_unix_s)
        valid = [_opened(value, key, now_unix_s) for value in lookup.values]
        answered = [(each.peer_id, each.seq) for each in valid if each is not None]
        found = None if body is None else body.seq
        self.world.checkers.lookup_done(owner, found, answered)
        self.note("lookup", owner=owner[-8:], seq=found, answers=len(lookup.values))
        lookup.then(body)

    # --- statements ---

    def find_statement(self, peer_id: str, wanted_id: bytes, then: StatementFound) -> None:
        """Fetch and verify the statement that an offer names; *then* hears it, or None."""
        cached = self.statements.get(wanted_id, self.now_unix_s())
        if cached is not None:
            then(cached)
            return

        def found(body: RecordBody | None) -> None:
            then(None if body is None else self._verified(peer_id, wanted_id, body.value))

        self.get_record(PeerId(peer_id), found)

    def _verified(
        self, peer_id: str, wanted_id: bytes, data: bytes
    ) -> tuple[Statement, Signed] | None:
        now_unix_s = self.now_unix_s()
        try:
            signed = decode(Signed, data, size_bytes_max=STATEMENT_BYTES_MAX + 1024)
            statement = verify_statement(
                signed, network=NETWORK, peer_id=peer_id, now_unix_s=now_unix_s
            )
        except (PeerMisbehaved, RemoteProtocolError):
            return None
        if statement_id(signed) != wanted_id:
            return None
        self.statements.put(signed, statement, now_unix_s)
        return statement, signed


class _Once:
    """Hears one node's answer once, however often it is delivered."""

    def __init__(self, node: Node, lookup: Lookup, owner: PeerId, key: str) -> None:
        self._node, self._lookup, self._owner, self._key = node, lookup, owner, key
        self._heard = False

    def __call__(self, value: bytes | None) -> None:
        if not self._heard and not self._lookup.over:
            self._heard = True
            self._node.lookup_answer(self._lookup, self._owner, self._key, value)


def _opened(value: bytes, key: str, now_unix_s: float) -> RecordBody | None:
    try:
        return open_record(value, NETWORK, key, now_unix_s=now_unix_s)
    except RemoteProtocolError:
        return None


def _position(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")


def encoded(message: msgspec.Struct) -> bytes:
    """Serialise a message as the node does."""
    return encode(message)  # type: ignore[arg-type]  # every message is one
