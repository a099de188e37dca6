"""GossipSub 1.1 of libp2p 0.8.1, made fit for strangers.

The fixes are subclasses and constructor arguments; each method says what it is for.
Source of the protocol: libp2p specs, pubsub/gossipsub/gossipsub-v1.1.md.
"""
# ruff: noqa: TID251  (the border to libp2p: its privates, its loose types)

import functools
import logging
import math
from collections.abc import Callable
from typing import Final

import trio
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.id import ID
from libp2p.pubsub import gossipsub, mcache, pubsub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.rpc_queue import RpcQueue

from overlay._libp2p_hardening import remote_address, replace_attribute
from overlay._libp2p_router import PROTOCOL, Router, is_text
from overlay.addresses import prefix_of
from overlay.cleanup import shielded
from overlay.dht.wire import MessageReader
from overlay.driver import GossipSink
from overlay.errors import RemoteProtocolError
from overlay.gossip.limits import PEERS_REMEMBERED_MAX, TOPIC_CHARS_MAX, Rate, RateLimits
from overlay.gossip.seen import SeenCache, message_id
from overlay.gossip.shares import Neighbour
from overlay.ids import PeerId
from overlay.limits.turnstile import Turnstile
from overlay.transport import Verdict

logger = logging.getLogger(__name__)

RPC_QUEUE_MAX: Final = 1024
RPC_BYTES_MAX: Final = 1 << 20
RESET_S: Final = 0.5
STALL_S: Final = 10.0
"""How long a begun RPC may take to come in."""
READ_BYTES: Final = 16 * 1024
ENVELOPE_BYTES_MAX: Final = 1024
"""Of a message besides its data: topic, author, number, key, signature."""
SUBSCRIPTIONS_MAX: Final = 100
"""In one RPC, and topics of one neighbour."""
SUBSCRIBING: Final = Rate(rate_per_s=1.0, burst=2 * SUBSCRIPTIONS_MAX)
"""How often a neighbour may come to a topic or leave one: each starts three tasks."""
REPLAY: Final = Rate(rate_per_s=1 / 60, burst=1)
"""How often a neighbour that comes to a topic is sent its last messages."""
SILENT: Final = Rate(rate_per_s=20.0, burst=100)
"""RPCs without a message of one neighbour that need not wait: an honest one sends one or two."""
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
        self._silent = RateLimits(SILENT, keys_max=PEERS_REMEMBERED_MAX)
        self._subscribing = RateLimits(SUBSCRIBING, keys_max=PEERS_REMEMBERED_MAX)
        self._replays = RateLimits(REPLAY, keys_max=PEERS_REMEMBERED_MAX)
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

    def forget_all_gone(self) -> None:
        """Forget every peer without a connection, those with which we never had a stream, too."""
        for peer_id in list(self.peers):
            self.forget_if_gone(peer_id)
        for peer_id in self._gossip.known_peers() | set(self._peer_subscription_count):
            if peer_id not in self.peers and not self._peer_is_connected(peer_id):
                self._forget_all_subscriptions(peer_id)
                self._gossip.remove_peer(peer_id)

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
        if not rpc.publish and not self._silent.take(peer_id, trio.current_time()):
            await self._turn_of(peer_id)
        for msg in rpc.publish:
            await self.push_msg(peer_id, msg)
        if len(rpc.subscriptions) > SUBSCRIPTIONS_MAX:
            self._gossip.scorer.penalize_behavior(peer_id)
        else:
            for subscription in rpc.subscriptions:
                self.handle_subscription(peer_id, subscription)
        if rpc.HasField("control"):
            await self._gossip.handle_rpc(rpc, peer_id)

    def handle_subscription(self, origin_id: ID, sub_message: rpc_pb2.RPC.SubOpts) -> None:
        """Note that a neighbour came to a topic or left it, as often as it has reason to.

        Upstream (0.8.1) bounds the number of topics of a neighbour, and neither how long their
        names are nor how often it comes and goes, each time with three tasks.
        """
        topic, now_s = sub_message.topicid, trio.current_time()
        named = is_text(topic) and len(topic) <= TOPIC_CHARS_MAX
        if not named or not self._subscribing.take(origin_id, now_s):
            self._gossip.scorer.penalize_behavior(origin_id, OVER_BUDGET_POINTS)
            return
        super().handle_subscription(origin_id, sub_message)

    async def _replay_recent_messages(self, peer_id: ID, topic: str) -> None:
        """Send a neighbour the last messages of a topic, once a minute (upstream: each time)."""
        if peer_id in self.peers and self._replays.take((peer_id, topic), trio.current_time()):
            await super()._replay_recent_messages(peer_id, topic)

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Judge, deliver and forward one message; survive bugs (upstream: the host ends).

        In order of cost: the size and rate limits, the neighbour's score, the seen cache,
        its budget as an author, its share of the topic's, the signature, the validators.
        """
        try:
            await self._push(msg_forwarder, msg)
        except Exception:  # whoever sets off a bug again and again is cut off
            logger.exception("bug in the handling of a gossip message")
            self._gossip.scorer.penalize_behavior(msg_forwarder)

    async def _push(self, forwarder: ID, msg: rpc_pb2.Message) -> None:
        if not self._worth_checking(forwarder, msg):
            return
        if self._is_prompt(forwarder):
            await self._check(forwarder, msg)
            return
        began_at_s = await self._turn_of(forwarder)  # meanwhile nothing of it is read
        if not self._is_msg_seen(msg):
            await self._check(forwarder, msg)
        self._turnstile.end(began_at_s)

    async def _turn_of(self, peer_id: ID) -> float:
        neighbour = self._neighbour(peer_id)
        return await self._turnstile.take(neighbour.group, neighbour.peer_id)

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
        if not _is_sound_envelope(msg):
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


def content_id(msg: rpc_pb2.Message) -> bytes:
    """Return the id of a message; see `overlay.gossip.seen.message_id`."""
    return message_id(msg.topicIDs[0] if msg.topicIDs else "", msg.from_id, msg.data)


def _is_sound_envelope(msg: rpc_pb2.Message) -> bool:
    """Return whether a message has one topic, and nothing about it is longer than it must be."""
    around_bytes = msg.ByteSize() - len(msg.data)
    topics = list(map(is_text, msg.topicIDs))
    return topics == [True] and around_bytes <= ENVELOPE_BYTES_MAX


def signed_by_its_author(msg: rpc_pb2.Message) -> bool:
    """Return whether the signature is the author's, who has an Ed25519 key like all of us.

    Others are not: to check one of RSA takes up to 32 ms, whoever sends it. Source: libp2p specs,
    pubsub/README.md, section "Message Signing".
    """
    if not msg.from_id.startswith(_ED25519_PREFIX) or len(msg.from_id) != _ED25519_ID_BYTES:
        return False
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
