"""Kademlia of libp2p 0.8.1 on a private protocol id, with look-ups that ask the network.

Source of the protocol: libp2p specs, kad-dht/README.md.
"""
# ruff: noqa: ANN401, SLF001, TID251  (the border to libp2p: its privates, its loose types)

import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import trio
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.kad_dht import value_store
from libp2p.kad_dht.common import PROTOCOL_ID as PUBLIC_PROTOCOL
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.kad_dht.pb.kademlia_pb2 import Record
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.records.validator import NamespacedValidator, Validator

from overlay._libp2p_hardening import replace_attribute
from overlay.dht.records import open_record, select_newest

logger = logging.getLogger(__name__)

VALUES_KEPT_MAX: Final = 2000
QUERIES_AT_ONCE: Final = 5
QUERY_S: Final = 5.0
"""Patience with one peer."""


def network_protocol(network: str) -> TProtocol:
    """Return the protocol id of the DHT of *network*; /cocoon/kad/1.0.0 for the main one."""
    return TProtocol("/cocoon/kad/1.0.0" if network == "main" else f"/cocoon/{network}/kad/1.0.0")


class RecordValidator(Validator):
    """Lets only records into the store that `overlay.dht.records` accepts."""

    def __init__(self, network: str, clock: Callable[[], float]) -> None:
        self._network = network
        self._clock = clock

    def validate(self, key: str, value: bytes) -> None:
        """Raise RemoteProtocolError unless *value* is a valid record under *key*."""
        open_record(value, self._network, key, now_unix_s=self._clock())

    def select(self, key: str, values: list[bytes]) -> int:
        """Return the index of the newest record."""
        return select_newest(values)


class _PrivateHost:
    """Shows the DHT a host on which our private protocol id looks like the public one.

    Upstream (0.8.1) stores `protocol_prefix` and never uses it: every DHT speaks
    /ipfs/kad/1.0.0. To drop: KadDHT(protocol_prefix=...) changes the id on the wire.
    """

    def __init__(self, host: IHost, protocol: TProtocol) -> None:
        self._host = host
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def set_stream_handler(self, protocol: TProtocol, handler: Any) -> None:
        self._host.set_stream_handler(self._translate(protocol), handler)

    async def new_stream(self, peer_id: ID, protocols: Sequence[TProtocol]) -> INetStream:
        return await self._host.new_stream(peer_id, [self._translate(each) for each in protocols])

    def get_peerstore(self) -> Any:
        return _PrivatePeerStore(self._host.get_peerstore(), self._protocol)

    def _translate(self, protocol: TProtocol) -> TProtocol:
        return self._protocol if protocol == PUBLIC_PROTOCOL else protocol


class _PrivatePeerStore:
    def __init__(self, peerstore: Any, protocol: TProtocol) -> None:
        self._peerstore = peerstore
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peerstore, name)

    def get_protocols(self, peer_id: ID) -> list[str]:
        protocols = self._peerstore.get_protocols(peer_id)
        return [str(PUBLIC_PROTOCOL) if each == self._protocol else each for each in protocols]


@functools.cache
def install_kademlia_fixes() -> None:
    """Bound the memory that strangers' records may take, to about 34 MB.

    Upstream (0.8.1) keeps 50 000 values of up to 1 MiB. To drop: the bound is an argument.
    """
    replace_attribute(value_store, "MAX_VALUE_STORE_SIZE", VALUES_KEPT_MAX)


def make_kademlia(host: IHost, network: str, clock: Callable[[], float]) -> KadDHT:
    """Return a DHT server that stores nothing but our signed records and providers."""
    private: Any = _PrivateHost(host, network_protocol(network))
    only_ours = NamespacedValidator(
        {"cocoon": RecordValidator(network, clock)}, strict_validation=True
    )
    return KadDHT(
        private, DHTMode.SERVER, validator=only_ours, validator_changed=True, strict_validation=True
    )


async def store_value(dht: KadDHT, key: str, value: bytes) -> int:
    """Store *value* here and at the closest peers; return how many of those took it.

    Upstream's `put_value` (0.8.1) does not say whether anybody took it. To drop: it does.
    """
    raw_key = key.encode()
    dht.value_store.put(raw_key, value)
    took: list[ID] = []

    async def query(peer: ID) -> None:
        if await dht.value_store._store_at_peer(peer, raw_key, value):
            took.append(peer)

    await _query_closest(dht, raw_key, query, lambda: False)
    return len(took)


async def query_values(dht: KadDHT, key: str) -> list[bytes]:
    """Return every distinct value that the closest peers, or we, hold under *key*.

    Upstream's `get_value` (0.8.1) answers from our own store without asking anybody, so
    that a value once read never changes. To drop: a second read sees a newer record.
    """
    raw_key = key.encode()
    found: dict[bytes, None] = {}
    own = dht.value_store.get(raw_key)
    if own is not None:
        found[own.value] = None

    async def query(peer: ID) -> None:
        record = await dht.value_store._get_from_peer(peer, raw_key, return_record=True)
        if isinstance(record, Record) and record.value:
            found[record.value] = None

    await _query_closest(dht, raw_key, query, lambda: False)
    return list(found)


async def query_providers(dht: KadDHT, key: str, providers_max: int) -> list[PeerInfo]:
    """Return the providers of *key* that we or the closest peers know, without duplicates.

    Upstream's `find_providers` (0.8.1) asks nobody once it knows one provider, and returns
    duplicates. To drop: a second look-up sees a provider that came later.
    """
    raw_key = bytes.fromhex(key)
    found: dict[ID, PeerInfo] = {}
    for provider in dht.provider_store.get_providers(raw_key):
        found[provider.peer_id] = provider

    async def query(peer: ID) -> None:
        providers, _ = await dht.provider_store._get_providers_from_peer_with_closers(peer, raw_key)
        for provider in providers[:providers_max]:
            if provider.addrs or provider.peer_id not in found:
                found[provider.peer_id] = provider

    await _query_closest(dht, raw_key, query, lambda: len(found) >= providers_max)
    return list(found.values())[:providers_max]


async def _query_closest(
    dht: KadDHT,
    raw_key: bytes,
    query: Callable[[ID], Awaitable[None]],
    enough: Callable[[], bool],
) -> None:
    closest = await dht.peer_routing.find_closest_peers_network(raw_key)
    peers = [peer for peer in closest if peer != dht.local_peer_id]
    limiter = trio.CapacityLimiter(QUERIES_AT_ONCE)
    async with trio.open_nursery() as nursery:
        for peer in peers:
            nursery.start_soon(_query_one, peer, query, enough, limiter)


async def _query_one(
    peer: ID,
    query: Callable[[ID], Awaitable[None]],
    enough: Callable[[], bool],
    limiter: trio.CapacityLimiter,
) -> None:
    async with limiter:
        if enough():
            return
        with trio.move_on_after(QUERY_S):
            try:
                await query(peer)
            except Exception as error:  # noqa: BLE001  (a stranger's answer, any failure)
                logger.debug("DHT query failed: %r", error)
