"""Bytes that came in and nobody has read yet: of a stream, a connection, a peer, a prefix, in all.

Upstream (0.8.1) only logs that a peer sends past the window that it was given: 195 MB pushed into
one unread stream stayed in memory. Here every host has a muxer class of its own that counts them,
and cuts the connection at the first ceiling. To drop: such a peer is disconnected.

Upstream also makes plain yamux whatever class a host was given for it, so the class is put in by
`count_unread_bytes`. To drop: a host whose `muxer_opt` names a subclass uses it.
"""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its privates, its loose types)

from typing import Any, Final

import trio
from libp2p.abc import IMuxedConn, ISecureConn
from libp2p.custom_types import TProtocol
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID, Yamux

from overlay._libp2p_hardening import remote_ip, replace_attribute
from overlay.addresses import prefix_of
from overlay.ids import PeerId
from overlay.limits.budget import Budget, Holder
from overlay.limits.gate import Gate

STREAM_UNREAD_BYTES: Final = 4 << 20
"""Of one stream: twice its window."""
CONNECTION_UNREAD_BYTES: Final = 16 << 20
"""Of all streams of a connection together; `LimitsConfig.unread_bytes` has the rest."""


class TooMuchUnread(trio.TooSlowError):
    """Ends the connection: the one error that yamux (0.8.1) lets out of reading a frame."""


class Unread:
    """What one connection holds, counted against what its peer, its prefix and all may hold."""

    def __init__(self, budget: Budget, holder: Holder, bytes_max: int) -> None:
        self.held_bytes = 0
        self._budget = budget
        self._holder = holder
        self._bytes_max = bytes_max

    def add(self, size_bytes: int) -> None:
        """Count more bytes, or raise so that yamux cuts the connection."""
        if self.held_bytes + size_bytes > self._bytes_max:
            raise TooMuchUnread("too many unread bytes of the connection")
        ceiling = self._budget.take(self._holder, size_bytes)
        if ceiling is not None:
            raise TooMuchUnread(f"too many unread bytes: {ceiling}")
        self.held_bytes += size_bytes

    def remove(self, size_bytes: int) -> None:
        """Count fewer bytes."""
        self.held_bytes -= size_bytes
        self._budget.release(self._holder, size_bytes)

    def __del__(self) -> None:
        """Give back what a connection held that was torn down with bytes in it."""
        if self.held_bytes:
            self._budget.release(self._holder, self.held_bytes)


class CappedBuffer(bytearray):
    """Unread bytes of one stream; refuses to hold more than any window ever allowed."""

    def __init__(self, data: bytes | bytearray, unread: Unread) -> None:
        super().__init__(data)
        self._unread = unread

    def extend(self, data: Any) -> None:
        """Append *data*, or raise so that yamux cuts the connection."""
        if len(self) + len(data) > STREAM_UNREAD_BYTES:
            raise TooMuchUnread("yamux receive window violated")
        self._unread.add(len(data))
        super().extend(data)

    def __delitem__(self, part: Any) -> None:
        before_bytes = len(self)
        super().__delitem__(part)
        self._unread.remove(before_bytes - len(self))

    def clear(self) -> None:
        """Drop everything."""
        self._unread.remove(len(self))
        super().clear()


class CappedBuffers(dict[int, bytearray]):
    """The buffers of one connection."""

    def __init__(self, unread: Unread) -> None:
        super().__init__()
        self._unread = unread

    def __setitem__(self, stream_id: int, buffer: bytearray) -> None:
        super().__setitem__(stream_id, CappedBuffer(buffer, self._unread))

    def __delitem__(self, stream_id: int) -> None:
        self[stream_id].clear()
        super().__delitem__(stream_id)

    def pop(self, stream_id: int, *default: Any) -> Any:
        """Forget a stream."""
        if stream_id in self:
            self[stream_id].clear()
        return super().pop(stream_id, *default)

    def clear(self) -> None:
        """Forget every stream."""
        for buffer in self.values():
            buffer.clear()
        super().clear()


YAMUX: Final = TProtocol(PROTOCOL_ID)


def count_unread_bytes(swarm: Swarm, gate: Gate) -> None:
    """Give *swarm* a yamux whose unread bytes *gate* limits."""

    class CountingYamux(Yamux):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            holder = Holder(PeerId(self.peer_id.to_base58()), prefix_of(remote_ip(self)))
            self.stream_buffers = CappedBuffers(
                Unread(gate.unread_bytes, holder, CONNECTION_UNREAD_BYTES)
            )

    replace_attribute(swarm.upgrader, "muxer_multistream", OneMuxer(CountingYamux))


class OneMuxer(MuxerMultistream):
    """Offers yamux alone, as the class that it is given."""

    def __init__(self, muxer: type[Yamux]) -> None:
        super().__init__({YAMUX: muxer})
        self._muxer = muxer

    async def new_conn(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """Agree on yamux, unless the handshake did, and start it."""
        if getattr(conn, "early_muxer", "") != YAMUX:
            await self.select_transport(conn)
        return self._annotate_connection(self._muxer(conn, peer_id), conn, YAMUX)
