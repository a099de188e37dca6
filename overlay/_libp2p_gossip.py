"""GossipSub 1.1 of libp2p 0.8.1, made fit for strangers.

The fixes are subclasses and constructor arguments; each method says what it is for.
Source of the protocol: libp2p specs, pubsub/gossipsub/gossipsub-v1.1.md.
"""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its privates, its loose types)

import functools
import logging
import random
from typing import Any, Final

from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.pubsub import gossipsub, pubsub
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.rpc_queue import RpcQueue

from overlay._libp2p_hardening import replace_attribute
from overlay.cleanup import shielded
from overlay.driver import GossipSink
from overlay.ids import PeerId

logger = logging.getLogger(__name__)

PROTOCOL: Final = TProtocol("/meshsub/1.1.0")
DEGREE: Final = 6
DEGREE_LOW: Final = 4
DEGREE_HIGH: Final = 12
HEARTBEAT_S: Final = 1
RPC_QUEUE_MAX: Final = 1024
RPC_BYTES_MAX: Final = 1 << 20
RESET_S: Final = 0.5


@functools.cache
def install_gossip_fixes() -> None:
    """Change the module constants that have no constructor argument.

    Upstream (0.8.1): 32 queued RPCs, beyond which messages vanish; and every RPC carries
    a signed peer record that costs 0.5 ms to verify (identify has it already). To drop:
    both can be set in the constructor of Pubsub.
    """
    bounded_queue = functools.partial(RpcQueue, max_size=RPC_QUEUE_MAX)
    replace_attribute(pubsub, "RpcQueue", bounded_queue)
    for module in (pubsub, gossipsub):
        replace_attribute(module, "env_to_send_in_RPC", lambda _host: (b"", False))
        replace_attribute(module, "maybe_consume_signed_record", lambda *_: True)


def network_protocol(network: str) -> TProtocol:
    """Return the protocol id of GossipSub for one network, so that swarms never mix."""
    return TProtocol(f"/cocoon/{network}{PROTOCOL}")


class Router(GossipSub):
    """GossipSub with the mesh bugs of 0.8.1 fixed."""

    def __init__(self, protocol: TProtocol, rng: random.Random) -> None:
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
        self._rng = rng
        self._choosing_gossip_targets = False

    def add_peer(self, peer_id: ID, protocol_id: TProtocol | None) -> None:
        """Treat our network's protocol id as the GossipSub 1.1 that it is."""
        super().add_peer(peer_id, PROTOCOL if protocol_id in self.protocols else protocol_id)

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
        scorer = self.scorer
        if scorer is not None:
            peers.sort(key=lambda peer: scorer.score(peer, [topic]))
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
        first_seqno: greater than any that we ever used. Upstream starts from the unix
            time in seconds, so that after a restart peers drop us as seen already.
    """

    def __init__(self, host: IHost, router: Router, sink: GossipSink, *, first_seqno: int) -> None:
        super().__init__(host, router, strict_signing=True, max_inbound_rpc_size=RPC_BYTES_MAX)
        self.counter = first_seqno
        self._sink = sink

    async def continuously_read_stream(self, stream: INetStream) -> None:
        """Drop the stream on malformed input (upstream: six bytes end the host)."""
        try:
            await super().continuously_read_stream(stream)
        except Exception as error:  # noqa: BLE001  (strangers' input, any failure)
            logger.debug("gossip stream dropped: %r", error)
            with shielded(RESET_S):
                await stream.reset()

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Apply the cheap limits first, and survive bad keys (upstream: they end the host)."""
        try:
            if len(msg.topicIDs) == 1 and self._sink.admit(
                PeerId(msg_forwarder.to_base58()), msg.topicIDs[0], len(msg.data)
            ):
                await super().push_msg(msg_forwarder, msg)
        except Exception as error:  # noqa: BLE001  (strangers' input, any failure)
            logger.debug("bad gossip message dropped: %r", error)

    def follow(self, topic: str) -> None:
        """Have the sink judge *topic*; call before `subscribe`."""

        def validate(_forwarder: ID, msg: rpc_pb2.Message) -> bool:
            return self._sink.validate(_source(msg), topic, msg.data)

        self.set_topic_validator(topic, validate, is_async_validator=False)

    def notify_subscriptions(self, publish_message: rpc_pb2.Message) -> None:
        """Hand a validated message to the sink (upstream: a queue of 32, silently full)."""
        self._sink.deliver(
            _source(publish_message), publish_message.topicIDs[0], publish_message.data
        )


def _source(msg: rpc_pb2.Message) -> PeerId:
    return PeerId(ID(msg.from_id).to_base58())
