"""The smaller port under `overlay.node`: bytes, keys and topics, nothing decided.

`overlay._libp2p` implements it over TCP and `overlay.memory` inside one process.
Framing, record signatures, republication and gossip limits sit above it, once
(`overlay.node.Node`), so that tests and simulations run the code that ships.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from overlay.gossip.shares import Neighbour
from overlay.ids import PeerId
from overlay.reach.dialback import Answer
from overlay.transport import HostFigures, PeerAddress, Verdict


class ByteStream(Protocol):
    """A duplex stream of bytes to one authenticated peer."""

    @property
    def peer_id(self) -> PeerId:
        """The authenticated peer at the other end."""
        ...

    @property
    def prefix(self) -> str:
        """The prefix of the address that it comes from (`overlay.addresses.prefix_of`)."""
        ...

    async def read(self, bytes_max: int) -> bytes:
        """Return 1 to *bytes_max* bytes, or b"" when the peer finished sending.

        Cancelling loses no bytes.

        Raises:
            PeerUnavailable: the peer is gone or reset the stream.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Send all of *data*; waits while the peer's window is full.

        Cancelling may leave a part of *data* sent, but never hurts the connection.

        Raises:
            PeerUnavailable: the peer is gone or reset the stream.
        """
        ...

    async def finish(self) -> None:
        """Close our sending side. Safe to call twice; bounded in time."""
        ...

    async def reset(self) -> None:
        """Abort both sides and free everything. Safe to call twice; bounded in time."""
        ...


ByteStreamHandler = Callable[[ByteStream], Awaitable[None]]
"""Serves one inbound stream and disposes of it; it never raises an Exception."""


class GossipSink(Protocol):
    """Where a driver hands the gossip that it receives. Synchronous and never raising."""

    def admit(self, forwarder: Neighbour, topic: str, data_bytes: int) -> bool:
        """Return whether a message is worth a closer look; called first."""
        ...

    def afford(self, author: Neighbour) -> bool:
        """Return whether a neighbour may bring one more message that it wrote itself.

        Called before the signature is checked; `validate` counts what others bring.
        """
        ...

    def share(self, forwarder: Neighbour, topic: str) -> bool:
        """Return whether a neighbour may bring one more message that nobody brought before.

        Called before the signature is checked. A refusal is nobody's fault: the message may
        come again, from another neighbour.
        """
        ...

    def validate(self, forwarder: Neighbour, source: PeerId, topic: str, data: bytes) -> Verdict:
        """Judge a signed message; REJECT is the forwarder's fault."""
        ...

    def deliver(self, source: PeerId, topic: str, data: bytes) -> None:
        """Hand over a message that passed `validate`; called once for each message."""
        ...


class Driver(Protocol):
    """One peer of one kind of network. Keys are short ASCII text, topics are full names."""

    @property
    def peer_id(self) -> PeerId:
        """Our own identity."""
        ...

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our full multiaddrs, each ending in /p2p/<peer id>."""
        ...

    @property
    def observed(self) -> tuple[str, ...]:
        """Multiaddrs that others say we come from, one for each peer that said so."""
        ...

    def figures(self) -> HostFigures:
        """What lies below the node: the DHT, the relay, the connections."""
        ...

    async def ask_dialback(self, peer_id: PeerId, addresses: Sequence[str]) -> Answer:
        """Ask *peer_id* to dial us back at the first of *addresses* that it likes.

        Raises:
            PeerUnavailable, RemoteProtocolError: it does not, or not in order.
        """
        ...

    async def router(self) -> str:
        """Return what the home router does for us, in words; "" when it was not asked."""
        ...

    async def new_addresses(self) -> None:
        """Wait until `addresses` changed while we run; what we published names the old ones."""
        ...

    async def connect(self, peer: PeerAddress) -> None:
        """Dial *peer* and add it to the routing table.

        Raises:
            LocalProtocolError: an address does not parse.
            PeerUnavailable: no address answered.
        """
        ...

    async def drop(self, peer_id: PeerId) -> None:
        """Close every connection to *peer_id*; bounded in time."""
        ...

    def known_peers(self) -> list[PeerAddress]:
        """Return peers that can be dialed later, the best first."""
        ...

    async def explore(self) -> None:
        """Look ourselves up once, so that peers near us learn of us and we of them."""
        ...

    def connected_peers(self) -> tuple[PeerId, ...]:
        """The peers with a live connection."""
        ...

    async def open_stream(self, peer_id: PeerId, protocol: str) -> ByteStream:
        """Open a stream, dialing first when needed.

        Raises:
            PeerUnavailable: no route, or the peer does not speak *protocol*.
        """
        ...

    def serve(self, protocol: str, handler: ByteStreamHandler) -> None:
        """Answer inbound streams of *protocol* with *handler*."""
        ...

    async def provide(self, key: str) -> int:
        """Say that we provide *key* (64 hex digits); return how many peers took note."""
        ...

    async def find_providers(self, key: str, providers_max: int) -> list[PeerAddress]:
        """Return who provides *key*, without duplicates; stale entries are normal."""
        ...

    async def put_value(self, key: str, value: bytes) -> int:
        """Store *value* at the peers closest to *key*; return how many took it."""
        ...

    async def get_values(self, key: str) -> list[bytes]:
        """Return every distinct value that the peers closest to *key* hold."""
        ...

    async def join(self, topic: str) -> None:
        """Start receiving *topic* into the sink."""
        ...

    async def leave(self, topic: str) -> None:
        """Stop receiving *topic*."""
        ...

    async def publish(self, topic: str, data: bytes) -> None:
        """Sign and gossip *data*."""
        ...
