"""The ports of the overlay: what the rest of Cocoon may ask of a network.

Two implementations exist: `overlay.host.open_host` (py-libp2p over TCP) and
`overlay.memory.open_network` (the same ports inside one process, for tests and
simulations). Nothing above this package knows which one it has.
"""

import enum
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import msgspec
import trio

from overlay.ids import PeerId

FRAME_BYTES_MAX = 1 << 20
"""Longest frame on any stream, in bytes."""


class PeerAddress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A peer and where it said it can be reached (multiaddr text, without the /p2p part)."""

    peer_id: PeerId
    addresses: tuple[str, ...]


class GossipMessage(msgspec.Struct, frozen=True):
    """One gossiped message that passed validation.

    Attributes:
        topic: where it was published.
        source: the peer that published (not the one that forwarded) it.
        data: the payload, exactly as published.
    """

    topic: str
    source: PeerId
    data: bytes


class Stream(Protocol):
    """A duplex stream of frames to one peer.

    `send` and `receive` may be used by two different tasks at once, but each by
    one task at a time. Deadlines are the caller's: wrap calls in
    `trio.fail_after`. Cancelling either call leaves the *connection* usable and
    this *stream* good only for `aclose` or `reset`.
    """

    @property
    def peer_id(self) -> PeerId:
        """The authenticated peer at the other end."""
        ...

    @property
    def prefix(self) -> str:
        """The prefix of the address that it comes from (`overlay.addresses.prefix_of`)."""
        ...

    async def send(self, body: bytes) -> None:
        """Send one frame; waits while the peer's window is full (back-pressure).

        Raises:
            LocalProtocolError: *body* exceeds `FRAME_BYTES_MAX`.
            PeerUnavailable: the peer is gone or reset the stream.
        """
        ...

    async def receive(self) -> bytes:
        """Return the next frame.

        Raises:
            StreamClosed: the peer finished sending, at a frame boundary.
            RemoteProtocolError: an oversized or truncated frame.
            PeerUnavailable: the peer is gone or reset the stream.
        """
        ...

    async def finish(self) -> None:
        """Close our sending side; the peer's `receive` ends with StreamClosed."""
        ...

    async def aclose(self) -> None:
        """Close both sides without waiting for the peer. Safe to call twice."""
        ...

    async def reset(self) -> None:
        """Abort: the peer's pending calls fail with PeerUnavailable."""
        ...


StreamHandler = Callable[[Stream], Awaitable[None]]
"""Serves one inbound stream. The stream is closed when it returns. An OverlayError
that escapes resets the stream and is logged; any other Exception is logged as our
bug and resets the stream; neither ever ends the host."""


class Verdict(enum.Enum):
    """What a validator thinks of a gossip message."""

    ACCEPT = enum.auto()
    """Deliver and forward it."""
    IGNORE = enum.auto()
    """Drop it, but blame nobody: it is stale, or of no use to us."""
    REJECT = enum.auto()
    """Drop it and blame who passed it on: no honest peer would have."""


Validator = Callable[[PeerId, bytes], bool | Verdict]
"""(source, data) -> may this gossip message be delivered and forwarded? Must be
quick, synchronous and never raise. True is ACCEPT, False is IGNORE."""


@dataclass(frozen=True, slots=True)
class HostFigures:
    """What a host holds and has done; the names are of closed sets, listed in docs/metrics.md.

    Attributes:
        held: now.
        counted: since the start; only grows.
    """

    held: dict[str, int]
    counted: dict[str, int]


class Host(Protocol):
    """One node of the overlay."""

    @property
    def peer_id(self) -> PeerId:
        """Our own identity."""
        ...

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our full multiaddrs, each ending in /p2p/<peer id>; what others bootstrap from."""
        ...

    def figures(self) -> HostFigures:
        """What the host holds and has done, for metrics."""
        ...

    async def connect(self, addresses: Sequence[str]) -> PeerId:
        """Dial a peer by its full multiaddrs (all must name one peer) and join its overlay.

        Raises:
            LocalProtocolError: an address does not parse, or they name several peers.
            PeerUnavailable: none of the addresses answered.
        """
        ...

    async def join(self) -> int:
        """Dial the bootstrap peers of the settings, and peers that answered in an earlier run.

        Returns how many answered; 0 when nobody did. Whoever is alone later joins again
        by itself.

        Raises:
            LocalProtocolError: an address of the settings does not parse.
        """
        ...

    async def drain(self, patience_s: float) -> bool:
        """Before leaving: refuse new streams, let those that are served come to their end.

        Returns False when some had not ended after *patience_s*; leaving cuts them.
        """
        ...

    def connected_peers(self) -> tuple[PeerId, ...]:
        """The peers with a live connection."""
        ...

    async def open_stream(self, peer_id: PeerId, protocol: str) -> Stream:
        """Open a stream, dialing first when needed (addresses learned from the DHT).

        Raises:
            PeerUnavailable: no route, or the peer does not speak *protocol*.
        """
        ...

    async def request(self, peer_id: PeerId, protocol: str, body: bytes) -> bytes:
        """Open a stream, send one frame, return the one frame that answers.

        Raises:
            PeerUnavailable, RemoteProtocolError: as for `Stream`.
        """
        ...

    def serve(self, protocol: str, handler: StreamHandler, *, streams_max: int) -> None:
        """Answer inbound streams of *protocol* for as long as the host runs.

        At most *streams_max* at once; further ones are reset.
        """
        ...

    async def provide(self, key: bytes) -> None:
        """Publish in the DHT that we serve *key*; republished until the host closes.

        Raises:
            PeerUnavailable: no peer of the DHT accepted the record.
        """
        ...

    async def find_providers(self, key: bytes, *, providers_max: int = 20) -> list[PeerAddress]:
        """Look *key* up in the DHT. Results are hints: stale entries are normal."""
        ...

    async def put_record(self, name: str, value: bytes, *, expires_at_unix_s: int) -> None:
        """Publish *value* as our signed record *name* (<= 16 KiB); a later put wins.

        Raises:
            LocalProtocolError: too long, or already expired.
            PeerUnavailable: no peer of the DHT accepted it.
        """
        ...

    async def get_record(self, peer_id: PeerId, name: str) -> bytes | None:
        """Return the newest unexpired record *name* signed by *peer_id*, or None."""
        ...

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip *data* under *topic* (<= 64 KiB)."""
        ...

    def subscribe(
        self, topic: str, validate: Validator, *, queued_max: int = 256
    ) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[GossipMessage]]:
        """Join *topic* for the length of the block.

        When the reader falls behind by more than *queued_max* messages, the newest
        are dropped and counted.
        """
        ...
