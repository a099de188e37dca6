"""GossipSub 1.1 of libp2p 0.8.1, made fit for strangers.

The fixes are subclasses and constructor arguments; each method says what it is for.
Source of the protocol: libp2p specs, pubsub/gossipsub/gossipsub-v1.1.md.
"""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its privates, its loose types)

import functools
import logging
import math
import random
from collections.abc import Callable
from typing import Any, Final

import trio
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from libp2p.abc import IHost, INetStream, INetwork
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.id import ID
from libp2p.pubsub import gossipsub, mcache, pubsub
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.rpc_queue import RpcQueue
from libp2p.pubsub.score import PeerScorer, ScoreParams
from libp2p.pubsub.validators import signature_validator

from overlay._libp2p_hardening import (
    is_relayed,
    live_connections,
    remote_address,
    remote_ip,
    replace_attribute,
)
from overlay.addresses import prefix_of
from overlay.cleanup import shielded
from overlay.dht.wire import MessageReader
from overlay.driver import GossipSink
from overlay.errors import RemoteProtocolError
from overlay.gossip.limits import PEERS_REMEMBERED_MAX, Rate, RateLimits
from overlay.gossip.score import (
    GOSSIP_THRESHOLD,
    GRAYLIST_THRESHOLD,
    PUBLISH_THRESHOLD,
    PeerScores,
)
from overlay.gossip.seen import SeenCache, message_id
from overlay.gossip.shares import Neighbour
from overlay.ids import PeerId
from overlay.limits.turnstile import Turnstile
from overlay.transport import Verdict

logger = logging.getLogger(__name__)

PROTOCOL: Final = TProtocol("/meshsub/1.1.0")
DEGREE: Final = 5
DEGREE_LOW: Final = 4
DEGREE_HIGH: Final = 8
HEARTBEAT_S: Final = 1
RPC_QUEUE_MAX: Final = 1024
RPC_BYTES_MAX: Final = 1 << 20
RESET_S: Final = 0.5
STALL_S: Final = 10.0
"""How long a begun RPC may take to come in."""
READ_BYTES: Final = 16 * 1024
SUBSCRIPTIONS_MAX: Final = 100
PROMPT: Final = Rate(rate_per_s=20.0, burst=20, first=1)
"""What is new to us and a neighbour may bring without waiting: twice a swarm at rest."""
PROMPT_PROVEN: Final = Rate(rate_per_s=200.0, burst=200)
"""The same, once it has brought us much that was good: through it may come all that there is."""
PROVEN_SCORE: Final = 4.0
"""Twenty messages that it was the first to bring; its own budget as an author begins with ten."""
_ED25519_PREFIX: Final = bytes.fromhex("002408011220")
_ED25519_ID_BYTES: Final = 38
_SIGNING_PREFIX: Final = b"libp2p-pubsub:"
OVER_BUDGET_POINTS: Final = 0.1
"""What one message beyond a neighbour's budget costs it."""
OWN_OVER_BUDGET_POINTS: Final = 0.25
"""What one costs that it wrote itself: nobody else can have caused it."""


@functools.cache
def install_gossip_fixes() -> None:
    """Change the module constants that have no constructor argument.

    Upstream (0.8.1): 32 queued RPCs, beyond which messages vanish; and every RPC carries
    a signed peer record that costs 0.5 ms to verify (identify has it already). And the
    message cache ignores the id function of Pubsub, so that IWANTs go unanswered. To
    drop: all three can be set in the constructor of Pubsub.
    """
    bounded_queue = functools.partial(RpcQueue, max_size=RPC_QUEUE_MAX)
    replace_attribute(pubsub, "RpcQueue", bounded_queue)
    replace_attribute(mcache, "default_msg_id_fn", content_id)
    for module in (pubsub, gossipsub):
        replace_attribute(module, "env_to_send_in_RPC", lambda _host: (b"", False))
        replace_attribute(module, "maybe_consume_signed_record", lambda *_: True)


def network_protocol(network: str) -> TProtocol:
    """Return the protocol id of GossipSub for one network, so that swarms never mix."""
    return TProtocol(f"/cocoon/{network}{PROTOCOL}")


class Scorer(PeerScorer):
    """Answers the router's questions from our own score (`overlay.gossip.score`).

    Upstream (0.8.1) counts time in the mesh once and not by time, caps what invalid
    messages cost, and grows an entry for every peer that it is asked about. To drop: its
    score is the function of the specification, and bounded.
    """

    def __init__(self, scores: PeerScores) -> None:
        super().__init__(
            ScoreParams(
                publish_threshold=PUBLISH_THRESHOLD,
                gossip_threshold=GOSSIP_THRESHOLD,
                graylist_threshold=GRAYLIST_THRESHOLD,
                accept_px_threshold=math.inf,  # we learn of peers from the DHT
            )
        )
        self._scores = scores
        self._latest: dict[ID, float] = {}

    def score(self, peer: ID, topics: list[str]) -> float:
        """Return the score of *peer*, at most a heartbeat old; it is the same for all topics."""
        del topics
        known = self._latest.get(peer)
        if known is None:
            known = self._latest[peer] = self._scores.score(peer, trio.current_time())
        return known

    def allow_publish(self, peer: ID, topics: list[str]) -> bool:
        """Return whether *peer* gets and brings messages."""
        return self.score(peer, topics) >= PUBLISH_THRESHOLD

    def allow_gossip(self, peer: ID, topics: list[str]) -> bool:
        """Return whether *peer* gets IHAVE."""
        return self.score(peer, topics) >= GOSSIP_THRESHOLD

    def on_heartbeat(self, dt_seconds: float = 1.0) -> None:
        """Look again: our counters fade by the clock."""
        del dt_seconds
        self._latest.clear()

    def on_join_mesh(self, peer: ID, topic: str) -> None:
        """Note that *peer* is in the mesh."""
        self._scores.joined_mesh(peer, topic, trio.current_time())

    def on_leave_mesh(self, peer: ID, topic: str) -> None:
        """Note that *peer* left the mesh."""
        self._scores.left_mesh(peer, topic)

    def remove_peer(self, peer: ID) -> None:
        """Forget *peer*, but not its faults."""
        self._scores.disconnected(peer, trio.current_time())
        self._latest.pop(peer, None)

    def on_first_delivery(self, peer: ID, topic: str) -> None:
        """Note a merit."""
        del topic
        self._scores.first_delivery(peer, trio.current_time())

    def on_invalid_message(self, peer: ID, topic: str) -> None:
        """Note a fault."""
        del topic
        self._scores.invalid(peer, trio.current_time())
        self._latest.pop(peer, None)

    def penalize_behavior(self, peer: ID, amount: float = 1.0) -> None:
        """Note a breach of the protocol."""
        self._scores.misbehaved(peer, amount, trio.current_time())
        self._latest.pop(peer, None)

    penalize_graft_flood = penalize_behavior
    penalize_iwant_spam = penalize_behavior
    penalize_ihave_spam = penalize_behavior
    penalize_equivocation = penalize_behavior

    def add_peer_ip(self, peer: ID, ip_str: str) -> None:
        """Note where *peer* comes from."""
        self._scores.connected(peer, prefix_of(ip_str))


class Router(GossipSub):
    """GossipSub with the mesh bugs of 0.8.1 fixed."""

    scorer: Scorer

    def __init__(self, protocol: TProtocol, rng: random.Random, scores: PeerScores) -> None:
        super().__init__(
            protocols=[protocol],
            degree=DEGREE,
            degree_low=DEGREE_LOW,
            degree_high=DEGREE_HIGH,
            heartbeat_interval=HEARTBEAT_S,
            spam_protection_enabled=False,  # ours are in overlay.gossip.limits
            adaptive_gossip_enabled=False,
            eclipse_protection_enabled=False,
        )
        self.graft_flood_threshold = 0.0  # the peer that pruned us kept no backoff: see below
        self.scorer = Scorer(scores)
        self._rng = rng
        self._choosing_gossip_targets = False

    def add_peer(self, peer_id: ID, protocol_id: TProtocol | None) -> None:
        """Treat our network's protocol id as the GossipSub 1.1 that it is."""
        super().add_peer(peer_id, PROTOCOL if protocol_id in self.protocols else protocol_id)

    def _track_peer_ip(self, peer_id: ID) -> None:
        """Tell the score where a neighbour comes from.

        Upstream (0.8.1) looks for attributes that no connection has, in a table that does not
        hold the peer yet. To drop: probe `neighbours_come_from_nowhere`.
        """
        if self.pubsub is not None:
            self.scorer.add_peer_ip(peer_id, direct_ip(self.pubsub.host.get_network(), peer_id))

    async def handle_rpc(self, rpc: rpc_pb2.RPC, sender_peer_id: ID) -> None:
        """Survive malformed control messages (upstream: KeyError ends the host)."""
        try:
            await super().handle_rpc(rpc, sender_peer_id)
        except Exception as error:  # noqa: BLE001  (strangers' input, any failure)
            logger.debug("bad control message dropped: %r", error)

    def _score_based_pruning_selection(
        self, topic: str, mesh_peers: list[ID], num_to_prune: int
    ) -> list[ID]:
        """Break ties at random (upstream: by hash order, the same victims everywhere)."""
        peers = self._rng.sample(list(mesh_peers), len(mesh_peers))
        peers.sort(key=lambda peer: self.scorer.score(peer, [topic]))
        return peers[:num_to_prune]

    def gossip_heartbeat(self) -> Any:
        """Send IHAVE to peers in backoff too: backoff is about GRAFT only."""
        self._choosing_gossip_targets = True
        try:
            return super().gossip_heartbeat()
        finally:
            self._choosing_gossip_targets = False

    def _get_in_topic_gossipsub_peers_from_minus(
        self, topic: str, num_to_select: int, minus: Any, backoff_check: bool = False
    ) -> Any:
        check = backoff_check and not self._choosing_gossip_targets
        return super()._get_in_topic_gossipsub_peers_from_minus(topic, num_to_select, minus, check)

    def mesh_heartbeat(self) -> Any:
        """Keep a backoff for the peers that we prune ourselves, too."""
        grafts, prunes = super().mesh_heartbeat()
        for peer, topics in prunes.items():
            for topic in topics:
                self._add_back_off(peer, topic, False)
        return grafts, prunes


class SafePubsub(Pubsub):
    """Pubsub that survives its input and hands messages straight to a `GossipSink`.

    Args:
        banish: called with a neighbour whose score fell below the graylist threshold.
        turnstile: where neighbours wait that send more than a little at a time.
        first_seqno: greater than any that we ever used. Upstream starts from the unix
            time in seconds, so that after a restart peers drop us as seen already.
    """

    def __init__(
        self,
        host: IHost,
        router: Router,
        sink: GossipSink,
        *,
        turnstile: Turnstile,
        first_seqno: int,
        banish: Callable[[PeerId], None],
    ) -> None:
        super().__init__(
            host,
            router,
            strict_signing=True,
            max_inbound_rpc_size=RPC_BYTES_MAX,
            msg_id_constructor=content_id,
        )
        self._gossip = router
        self._seen = SeenCache()
        self.seen_messages.stop()  # upstream (0.8.1) leaves a thread running for each host
        self.seen_messages = _Seen(self._seen)  # type: ignore[assignment]  # what IHAVE asks
        self._own_id = host.get_id().to_bytes()
        self.counter = first_seqno
        self._sink = sink
        self._banish = banish
        self._turnstile = turnstile
        self._prompt = RateLimits(PROMPT, keys_max=PEERS_REMEMBERED_MAX)
        self._prompt_proven = RateLimits(PROMPT_PROVEN, keys_max=PEERS_REMEMBERED_MAX)
        self._greeting: set[ID] = set()

    async def _handle_new_peer(self, peer_id: ID) -> None:
        """Open our stream to a neighbour once, however many connections it makes at a time.

        Upstream (0.8.1) looks whether there is one, waits, and puts its own in place of that of
        another connection: the sender of that one waits for ever, and holds its stream and its
        session. And it registers a peer that left meanwhile. To drop: two calls at the same time
        leave one sending task.
        """
        if peer_id in self._greeting:
            return
        self._greeting.add(peer_id)
        try:
            await super()._handle_new_peer(peer_id)
        finally:
            self._greeting.discard(peer_id)
            self.forget_if_gone(peer_id)

    def forget_if_gone(self, peer_id: ID) -> None:
        """Forget a neighbour that has no connection any more."""
        if peer_id in self.peers and not self._peer_is_connected(peer_id):
            self._handle_dead_peer(peer_id)

    async def continuously_read_stream(self, stream: INetStream) -> None:
        """Read RPCs until the peer ends, breaks a rule, or stops in the middle of one.

        Upstream (0.8.1) reads lengths byte by byte, starts a task for each message, and
        lets malformed input end the host (six bytes do). To drop: it does none of that.
        """
        peer_id = stream.muxed_conn.peer_id
        reader = MessageReader(RPC_BYTES_MAX)
        try:
            while True:
                with trio.fail_after(STALL_S if reader.waiting_bytes else math.inf):
                    reader.feed(await stream.read(READ_BYTES))
                while (data := reader.next_message()) is not None:
                    await self._take_rpc(peer_id, rpc_pb2.RPC.FromString(data))
        except StreamEOF:
            return
        except Exception as error:  # noqa: BLE001  (strangers' input, any failure)
            logger.debug("gossip stream dropped: %r", error)
            with shielded(RESET_S):
                await stream.reset()

    @property
    def wire_protocol(self) -> str:
        """The protocol id that our gossip streams have."""
        return str(self._gossip.protocols[0])

    def mesh_peers(self) -> set[ID]:
        """Return the peers that are in a mesh of ours."""
        return {peer for peers in self._gossip.mesh.values() for peer in peers}

    async def handle_dead_peer_queue(self) -> None:
        """Forget peers without a connection; move to another one where one is left.

        Upstream (0.8.1) leaves the stream on the connection that ended, until a message is
        lost on it. To drop: `test_gossip_outlives_one_of_two_connections` without it.
        """
        async with self.dead_peer_receive_channel:
            self.event_handle_dead_peer_queue_started.set()
            async for peer_id in self.dead_peer_receive_channel:
                stream = self.peers.get(peer_id)
                if not self._peer_is_connected(peer_id):
                    self._handle_dead_peer(peer_id)
                elif stream is not None and stream.muxed_conn.is_closed:
                    self.move(peer_id)

    def move(self, peer_id: ID) -> None:
        """Go on with *peer_id* on a new stream, on its best connection; keep what it wants."""
        if self.peers.pop(peer_id, None) is not None:
            queue = self.peer_queues.pop(peer_id, None)
            if queue is not None:
                queue.close()
            self._schedule_peer_stream_retry(peer_id)

    def _is_prompt(self, peer_id: ID) -> bool:
        """Return whether a neighbour need not wait: it brings only a little that is new."""
        proven = self._gossip.scorer.score(peer_id, [""]) >= PROVEN_SCORE
        prompt = self._prompt_proven if proven else self._prompt
        return peer_id == self.my_id or prompt.take(peer_id, trio.current_time())

    async def _take_rpc(self, peer_id: ID, rpc: rpc_pb2.RPC) -> None:
        if self._gossip.scorer.is_graylisted(peer_id, [""]):
            self._banish(_text(peer_id.to_bytes()))
            raise RemoteProtocolError("graylisted")
        for msg in rpc.publish:
            await self.push_msg(peer_id, msg)
        if len(rpc.subscriptions) > SUBSCRIPTIONS_MAX:
            self._gossip.scorer.penalize_behavior(peer_id)
        else:
            for subscription in rpc.subscriptions:
                self.handle_subscription(peer_id, subscription)
        if rpc.HasField("control"):
            await self._gossip.handle_rpc(rpc, peer_id)

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Judge, deliver and forward one message; survive bad keys (upstream: the host ends).

        In order of cost: the size and rate limits, the neighbour's score, the seen cache,
        its budget as an author, its share of the topic's, the signature, the validators.
        """
        try:
            await self._push(msg_forwarder, msg)
        except Exception as error:  # noqa: BLE001  (strangers' input, any failure)
            logger.debug("bad gossip message dropped: %r", error)
            self._gossip.scorer.penalize_behavior(msg_forwarder)

    async def _push(self, forwarder: ID, msg: rpc_pb2.Message) -> None:
        if not self._worth_checking(forwarder, msg):
            return
        if self._is_prompt(forwarder):
            await self._check(forwarder, msg)
            return
        began_at_s = await self._turnstile.take()  # meanwhile nothing of it is read
        if not self._is_msg_seen(msg):
            await self._check(forwarder, msg)
        self._turnstile.end(began_at_s)

    async def _check(self, forwarder: ID, msg: rpc_pb2.Message) -> None:
        scorer = self._gossip.scorer
        topic, own = msg.topicIDs[0], msg.from_id == self._own_id
        if not signed_by_its_author(msg) or (own and forwarder != self.my_id):
            scorer.on_invalid_message(forwarder, topic)
            return
        verdict = self._sink.validate(self._neighbour(forwarder), _source(msg), topic, msg.data)
        if verdict is Verdict.REJECT:
            scorer.on_invalid_message(forwarder, topic)
        if verdict is not Verdict.ACCEPT or not self._seen.add(
            content_id(msg), trio.current_time()
        ):
            return
        scorer.on_first_delivery(forwarder, topic)
        self.notify_subscriptions(msg)
        await self._gossip.publish(forwarder, msg)

    def _worth_checking(self, forwarder: ID, msg: rpc_pb2.Message) -> bool:
        """Return whether to check the signature; blame the neighbour if that is its fault."""
        scorer, neighbour = self._gossip.scorer, self._neighbour(forwarder)
        if len(msg.topicIDs) != 1:
            scorer.on_invalid_message(forwarder, "")
            return False
        topic = msg.topicIDs[0]
        if not self._sink.admit(neighbour, topic, len(msg.data)):
            if topic in self.topic_ids:  # else it has not heard yet that we left
                scorer.penalize_behavior(forwarder, OVER_BUDGET_POINTS)
            return False
        if not scorer.allow_publish(forwarder, [topic]):
            scorer.penalize_behavior(forwarder, OVER_BUDGET_POINTS)
            return False
        if self._seen.has(content_id(msg), trio.current_time()):
            return False
        if msg.from_id == forwarder.to_bytes() and not self._sink.afford(neighbour):
            scorer.penalize_behavior(forwarder, OWN_OVER_BUDGET_POINTS)
            return False
        return self._sink.share(neighbour, topic)

    def _neighbour(self, peer_id: ID) -> Neighbour:
        """Return whose share a message counts for: behind a relay that of the relay's prefix."""
        address = remote_address(self.host.get_network(), peer_id)
        return Neighbour(_text(peer_id.to_bytes()), prefix_of(address))

    def _is_msg_seen(self, msg: rpc_pb2.Message) -> bool:
        return self._seen.has(content_id(msg), trio.current_time())

    def _mark_msg_seen(self, msg: rpc_pb2.Message) -> None:
        self._seen.add(content_id(msg), trio.current_time())

    def notify_subscriptions(self, publish_message: rpc_pb2.Message) -> None:
        """Hand a validated message to the sink (upstream: a queue of 32, silently full)."""
        self._sink.deliver(
            _source(publish_message), publish_message.topicIDs[0], publish_message.data
        )


class _Seen:
    """Our seen cache as the router asks it: else each IHAVE brings again what came long ago."""

    def __init__(self, cache: SeenCache) -> None:
        self._cache = cache

    def has(self, id_: bytes) -> bool:
        """Return whether a message was delivered."""
        return self._cache.has(id_, trio.current_time())

    def add(self, id_: bytes) -> bool:
        """Note a message; return whether it is new."""
        return self._cache.add(id_, trio.current_time())

    def stop(self) -> None:
        """Nothing runs here: the cache forgets when it is asked."""


def direct_ip(network: INetwork, peer_id: ID) -> str:
    """Return the IP address that a neighbour comes from, "" through a relay: it is the relay's."""
    live = live_connections(network, peer_id)
    direct = (remote_ip(each.muxed_conn) for each in live if not is_relayed(each))
    return next((each for each in direct if each), "")


def content_id(msg: rpc_pb2.Message) -> bytes:
    """Return the id of a message; see `overlay.gossip.seen.message_id`."""
    return message_id(msg.topicIDs[0] if msg.topicIDs else "", msg.from_id, msg.data)


def signed_by_its_author(msg: rpc_pb2.Message) -> bool:
    """Return whether the signature is the author's; quick for Ed25519, which all of ours are.

    Source: libp2p specs, pubsub/README.md, section "Message Signing".
    """
    if not msg.from_id.startswith(_ED25519_PREFIX) or len(msg.from_id) != _ED25519_ID_BYTES:
        return signature_validator(msg)
    signed = rpc_pb2.Message(
        data=msg.data, topicIDs=msg.topicIDs, from_id=msg.from_id, seqno=msg.seqno
    )
    key = Ed25519PublicKey.from_public_bytes(msg.from_id[len(_ED25519_PREFIX) :])
    try:
        key.verify(msg.signature, _SIGNING_PREFIX + signed.SerializeToString())
    except InvalidSignature:
        return False
    return True


@functools.lru_cache(maxsize=4096)
def _text(raw_id: bytes) -> PeerId:
    return PeerId(ID(raw_id).to_base58())


def _source(msg: rpc_pb2.Message) -> PeerId:
    return _text(msg.from_id)
