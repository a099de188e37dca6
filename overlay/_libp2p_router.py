"""The router of GossipSub in libp2p 0.8.1: its mesh mended, its control messages bounded.

Source of the protocol: libp2p specs, pubsub/gossipsub/gossipsub-v1.1.md.
"""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its privates, its loose types)

import itertools
import logging
import math
import random
from collections.abc import Collection, Iterable
from typing import Any, Final

import trio
from libp2p.abc import INetwork
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.score import PeerScorer, ScoreParams

from overlay._libp2p_hardening import is_relayed, live_connections, remote_ip
from overlay.addresses import prefix_of
from overlay.gossip.limits import TOPIC_CHARS_MAX, Rate, RateLimits
from overlay.gossip.score import (
    GOSSIP_THRESHOLD,
    GRAYLIST_THRESHOLD,
    PUBLISH_THRESHOLD,
    PeerScores,
)
from overlay.gossip.seen import ID_BYTES

logger = logging.getLogger(__name__)

PROTOCOL: Final = TProtocol("/meshsub/1.1.0")
DEGREE: Final = 5
DEGREE_LOW: Final = 4
DEGREE_HIGH: Final = 8
HEARTBEAT_S: Final = 1
ENTRIES_MAX: Final = 256
"""Entries of one kind that we look at in one control message."""
IDS_MAX: Final = 1000
"""Messages that one control message may be about: ten seconds of a topic at its full rate."""
STRANGE_GRAFTS_MAX: Final = 8
"""GRAFTs for topics that we do not follow, or left, that we answer in one control message."""
BACKOFF_S_MAX: Final = 3600
ANSWERS: Final = Rate(rate_per_s=0.2, burst=3)
"""How often one message is sent again to one neighbour that asks for it; we have it for 5 s."""
ANSWERS_REMEMBERED_MAX: Final = 16_384
ANSWER_BYTES_MAX: Final = 256 * 1024
ANSWERS_QUEUED_MAX: Final = 32
"""Who has so many RPCs of ours to read yet gets no answers to IWANT."""


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

    def peers(self) -> list[Any]:
        """Return the peers that are counted as neighbours."""
        return self._scores.counted()

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
        self._answers = RateLimits(ANSWERS, keys_max=ANSWERS_REMEMBERED_MAX)

    def add_peer(self, peer_id: ID, protocol_id: TProtocol | None) -> None:
        """Treat our network's protocol id as the GossipSub 1.1 that it is."""
        super().add_peer(peer_id, PROTOCOL if protocol_id in self.protocols else protocol_id)

    def known_peers(self) -> set[ID]:
        """Return whomever something is kept of, registered or not.

        Upstream (0.8.1) forgets a peer only if its own stream to it was once open.
        """
        kept = (self.peer_protocol, self._pending_messages, self._pending_control)
        limits = (self.dont_send_message_ids, self.iwant_request_limits, self.ihave_message_limits)
        return set(self.scorer.peers()).union(*kept, *limits, self.graft_flood_tracking)

    def _track_peer_ip(self, peer_id: ID) -> None:
        """Tell the score where a neighbour comes from.

        Upstream (0.8.1) looks for attributes that no connection has, in a table that does not
        hold the peer yet. To drop: probe `neighbours_come_from_nowhere`.
        """
        if self.pubsub is not None:
            self.scorer.add_peer_ip(peer_id, direct_ip(self.pubsub.host.get_network(), peer_id))

    async def handle_rpc(self, rpc: rpc_pb2.RPC, sender_peer_id: ID) -> None:
        """Take what `bounded` leaves of a control message, and survive what is malformed.

        Upstream (0.8.1) lets a KeyError end the host, remembers every topic of a PRUNE for as long
        as the PRUNE says, answers each of the 100,000 GRAFTs that fit into an RPC, and sends a
        message as often as an IWANT names it. To drop: `test_control.py` without it.
        """
        gossips = self.scorer.allow_gossip(sender_peer_id, [])
        control = bounded(rpc.control, self.mesh.keys(), gossips=gossips)
        try:
            await super().handle_rpc(rpc_pb2.RPC(control=control), sender_peer_id)
        except Exception as error:  # noqa: BLE001  (strangers' input, any failure)
            logger.debug("bad control message dropped: %r", error)

    async def handle_iwant(self, iwant_msg: rpc_pb2.ControlIWant, sender_peer_id: ID) -> None:
        """Send a neighbour what it asks for, as much as it reads."""
        queue = self.pubsub.peer_queues.get(sender_peer_id) if self.pubsub else None
        if queue is None or len(queue) > ANSWERS_QUEUED_MAX:
            return
        if not self._check_iwant_rate_limit(sender_peer_id):
            return
        answer, size_bytes = rpc_pb2.RPC(), 0
        for wanted in iwant_msg.messageIDs:
            message = self.mcache.get(wanted)
            if message is None:
                continue
            size_bytes += message.ByteSize()
            if size_bytes > ANSWER_BYTES_MAX:
                break
            if self._answers.take((sender_peer_id, wanted), trio.current_time()):
                answer.publish.append(message)
        if answer.publish:
            self.send_rpc(sender_peer_id, answer)

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


def direct_ip(network: INetwork, peer_id: ID) -> str:
    """Return the IP address that a neighbour comes from, "" through a relay: it is the relay's."""
    live = live_connections(network, peer_id)
    direct = (remote_ip(each.muxed_conn) for each in live if not is_relayed(each))
    return next((each for each in direct if each), "")


def bounded(
    control: rpc_pb2.ControlMessage, followed: Collection[str], *, gossips: bool
) -> rpc_pb2.ControlMessage:
    """Return what of a neighbour's *control* we act on: so much that it has a reason to send it.

    Of each kind one for each topic that we follow, ids that can be ours, each once, and a few
    GRAFTs of other topics. Peer exchange is left out, and what is not GossipSub 1.1.

    Args:
        control: as it came.
        followed: our topics.
        gossips: whether its score lets it tell us of messages, and ask for them.
    """
    kept = rpc_pb2.ControlMessage()
    kept.graft.extend(_of_topics(control.graft, followed))
    others = (each for each in control.graft[:ENTRIES_MAX] if each.topicID not in followed)
    strange = (each for each in others if is_text(each.topicID))
    for graft in itertools.islice(strange, STRANGE_GRAFTS_MAX):
        kept.graft.add(topicID=graft.topicID[:TOPIC_CHARS_MAX])
    for prune in _of_topics(control.prune, followed):
        kept.prune.add(topicID=prune.topicID, backoff=min(prune.backoff, BACKOFF_S_MAX))
    if not gossips:
        return kept
    for ihave in _of_topics(control.ihave, followed):
        kept.ihave.add(topicID=ihave.topicID, messageIDs=_message_ids(ihave.messageIDs))
    asked = (each.messageIDs for each in control.iwant[:ENTRIES_MAX])
    wanted = _message_ids(itertools.chain.from_iterable(asked))
    if wanted:
        kept.iwant.add(messageIDs=wanted)
    return kept


def is_text(topic: str | bytes) -> bool:
    """Return whether the name of a topic is text: protobuf hands out bytes if it is no UTF-8."""
    return isinstance(topic, str)


def _of_topics(entries: Any, followed: Collection[str]) -> list[Any]:
    """Return the first entry of each topic that we follow."""
    first: dict[str, Any] = {}
    for each in entries[:ENTRIES_MAX]:
        if each.topicID in followed:
            first.setdefault(each.topicID, each)
    return list(first.values())


def _message_ids(ids: Iterable[bytes]) -> list[bytes]:
    """Return the first of *ids* that can be ids of messages, each once."""
    sound = (each for each in itertools.islice(ids, 2 * IDS_MAX) if len(each) == ID_BYTES)
    return list(dict.fromkeys(itertools.islice(sound, IDS_MAX)))
