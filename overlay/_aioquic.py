"""QUIC v1 of aioquic without I/O, as libp2p needs it. The only module that imports aioquic.

What aioquic (1.7.2) leaves open is closed here: a server asks for a certificate, windows open as
bytes are read and not as they come in, streams of one direction are not taken, and one can see
what a peer has not acknowledged. These lean on private names: run `tests/overlay/test_aioquic.py`
on every upgrade.

Source: libp2p specs, quic/README.md and tls/tls.md; RFC 9000.
"""
# ruff: noqa: SLF001, TID251  (the border to aioquic)

import secrets
import ssl
from typing import Any, Final, NamedTuple

from aioquic._buffer import Buffer
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import (
    QuicHeader,
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.retry import QuicRetryTokenHandler
from aioquic.quic.stream import QuicStream
from cryptography.hazmat.primitives.serialization import Encoding

from overlay.errors import RemoteProtocolError
from overlay.gossip.limits import Rate, RateLimits
from overlay.tls_certificate import OwnCertificate, Proven, verify_certificate

__all__ = ["Address", "Door", "Knock", "Quic", "configuration", "connection_id_of", "events"]

Address = tuple[str, int]

STREAM_WINDOW_BYTES: Final = 2 << 20
"""As the window of yamux: 20 MB/s over 100 ms."""
CONNECTION_WINDOW_BYTES: Final = 8 << 20
IDLE_S: Final = 30.0
CONNECTION_ID_BYTES: Final = 8
INITIAL_BYTES_MIN: Final = 1200
KNOCKS: Final = Rate(rate_per_s=500, burst=1000)
_LONG: Final = 0x80
_VERSION: Final = int(QuicProtocolVersion.VERSION_1)


def configuration(own: OwnCertificate, *, is_client: bool) -> QuicConfiguration:
    """Return what all connections of a host share on one side."""
    made = QuicConfiguration(
        alpn_protocols=["libp2p"],
        congestion_control_algorithm="cubic",
        connection_id_length=CONNECTION_ID_BYTES,
        idle_timeout=IDLE_S,
        is_client=is_client,
        max_data=CONNECTION_WINDOW_BYTES,
        max_stream_data=STREAM_WINDOW_BYTES,
        supported_versions=[_VERSION],
        verify_mode=ssl.CERT_NONE,  # the chain of trust; that they have the key is checked
    )
    made.certificate, made.private_key = own
    return made


class Quic(QuicConnection):
    """One connection; see `aioquic.quic.connection.QuicConnection` for how it is driven."""

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401  (aioquic's)
        super().__init__(**arguments)
        self._local_max_streams_uni.value = self._local_max_streams_uni.sent = 0
        self._read_bytes = 0
        self._read_of_stream: dict[int, int] = {}

    @property
    def is_client(self) -> bool:
        """Whether we dialed."""
        return bool(self._is_client)

    @property
    def has_path(self) -> bool:
        """Whether it is known where the peer is: a server that understood nothing cannot answer."""
        return bool(self._network_paths)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Return what to send now, and where to."""
        return super().datagrams_to_send(now) if self.has_path else []

    def proven(self, now_unix_s: float) -> Proven:
        """Return whom the peer's certificate proves, once the handshake is done.

        Raises:
            RemoteProtocolError: nobody, or there is more than one certificate.
        """
        leaf = self.tls._peer_certificate
        if leaf is None or self.tls._peer_certificate_chain:
            raise RemoteProtocolError("not one certificate", penalty=10)
        return verify_certificate(leaf.public_bytes(Encoding.DER), now_unix_s)

    def note_read(self, stream_id: int, size_bytes: int) -> bool:
        """Let the peer send as much more as was read; return whether it should be told now."""
        before_bytes, self._read_bytes = self._read_bytes, self._read_bytes + size_bytes
        moved = _moves(before_bytes, self._read_bytes, CONNECTION_WINDOW_BYTES)
        if stream_id in self._streams:
            before_bytes = self._read_of_stream.get(stream_id, 0)
            self._read_of_stream[stream_id] = before_bytes + size_bytes
            moved |= _moves(before_bytes, before_bytes + size_bytes, STREAM_WINDOW_BYTES)
        return moved

    def abandon(self, stream_id: int, code: int) -> None:
        """Neither send nor receive on a stream any more, and say so."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        self.reset_stream(stream_id, code)
        if not stream.receiver.is_finished:
            self.stop_stream(stream_id, code)

    def unacknowledged_bytes(self, stream_id: int) -> int:
        """Return how much was written to a stream, and the peer has not acknowledged yet."""
        stream = self._streams.get(stream_id)
        return 0 if stream is None else stream.sender._buffer_stop - stream.sender._buffer_start

    def is_over(self, stream_id: int) -> bool:
        """Return whether both sides ended a stream, and know it of each other."""
        over = self._stream_is_discarded(stream_id)
        if over:
            self._read_of_stream.pop(stream_id, None)
        return over

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls._request_client_certificate = True  # a client has no use for it

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        limit = self._local_max_data
        limit.value = _granted(self._read_bytes, CONNECTION_WINDOW_BYTES)
        used, limit.used = limit.used, 0  # or aioquic doubles the window as bytes come in
        try:
            super()._write_connection_limits(builder, space)
        finally:
            limit.used = used

    def _write_stream_limits(
        self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream
    ) -> None:
        read_bytes = self._read_of_stream.get(stream.stream_id or 0, 0)
        stream.max_stream_data_local = _granted(read_bytes, STREAM_WINDOW_BYTES)
        receiver = stream.receiver
        highest, receiver.highest_offset = receiver.highest_offset, 0  # as above
        try:
            super()._write_stream_limits(builder, space, stream)
        finally:
            receiver.highest_offset = highest


def _granted(read_bytes: int, window_bytes: int) -> int:
    """Return up to where the peer may send; it grows by quarters of the window."""
    step_bytes = window_bytes // 4
    return read_bytes // step_bytes * step_bytes + window_bytes


def connection_id_of(data: bytes) -> bytes | None:
    """Return whom a datagram is for, None if it is no QUIC."""
    if data and not data[0] & _LONG:
        return data[1 : 1 + CONNECTION_ID_BYTES]  # nearly all of them
    header = _header(data)
    return None if header is None else header.destination_cid


def _moves(before_bytes: int, after_bytes: int, window_bytes: int) -> bool:
    return _granted(before_bytes, window_bytes) != _granted(after_bytes, window_bytes)


class Knock(NamedTuple):
    """What a datagram of a stranger leads to.

    Attributes:
        answer: what to send back, b"" for nothing.
        accepted: the arguments of `Quic`, if it may come in.
    """

    answer: bytes = b""
    accepted: dict[str, bytes] | None = None


class Door:
    """Looks at datagrams before there is a connection.

    Every stranger is sent away once, with a token that only its address can bring back: until
    then it costs no memory, and whoever is blamed afterwards is at that address. Beyond `KNOCKS`,
    more than any crowd of honest ones needs, nobody is answered: a flood from made-up addresses
    takes a few per cent of a core, and newcomers have to knock again.
    """

    def __init__(self) -> None:
        self._tokens = QuicRetryTokenHandler()
        self._knocks = RateLimits(KNOCKS, keys_max=1)

    def knock(self, data: bytes, address: Address, now_s: float) -> Knock:
        """Return what to do about *data*, which is for no connection that we have."""
        header = _header(data)
        if header is None or not header.version or len(data) < INITIAL_BYTES_MIN:
            return Knock()
        return self._answer(header, address, now_s) if self._knocks.take("", now_s) else Knock()

    def _answer(self, header: QuicHeader, address: Address, now_s: float) -> Knock:
        if header.version != _VERSION:
            ours = encode_quic_version_negotiation(
                header.destination_cid, header.source_cid, [_VERSION]
            )
            return Knock(ours)
        if header.packet_type is not QuicPacketType.INITIAL:
            return Knock()
        if not header.token:
            return Knock(self._send_away(header, address, now_s))
        try:
            first = self._tokens.validate_token(
                address=address,
                destination_cid=header.destination_cid,
                token=header.token,
                now=now_s,
            )
        except ValueError:
            return Knock()
        accepted = {
            "original_destination_connection_id": first,
            "retry_source_connection_id": header.destination_cid,
        }
        return Knock(accepted=accepted)

    def _send_away(self, header: QuicHeader, address: Address, now_s: float) -> bytes:
        ours = secrets.token_bytes(CONNECTION_ID_BYTES)
        token = self._tokens.create_token(
            address=address,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=ours,
            now=now_s,
        )
        return encode_quic_retry(
            version=_VERSION,
            source_cid=ours,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )


def _header(data: bytes) -> QuicHeader | None:
    try:
        return pull_quic_header(Buffer(data=data), host_cid_length=CONNECTION_ID_BYTES)
    except ValueError:
        return None
