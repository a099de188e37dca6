"""TLS 1.3 over the sockets of libp2p, under `/tls/1.0.0`.

Upstream's (0.8.1) is not used: it takes certificates with critical extensions that nobody
understands, and reaches into OpenSSL's memory. Here pyOpenSSL does the protocol
(`overlay._openssl`) and `overlay.tls_certificate` judges certificates.

Source: libp2p specs, tls/tls.md, and connections/inlined-muxer-negotiation.md.
"""
# ruff: noqa: TID251  (the border to libp2p)

from collections.abc import Callable
from typing import Final

import trio
from libp2p.abc import IRawConnection, ISecureConn, ISecureTransport
from libp2p.connection_types import ConnectionType
from libp2p.crypto.exceptions import CryptographyError
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.serialization import deserialize_public_key
from libp2p.custom_types import TProtocol
from libp2p.io.exceptions import ConnectionClosedError, IncompleteReadError, IOException
from libp2p.peer.id import ID
from libp2p.security.base_session import BaseSession
from libp2p.security.exceptions import HandshakeFailure
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay._libp2p_speed import READ_AHEAD_BYTES, Held
from overlay._openssl import LIBP2P, TlsSession, make_context
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity
from overlay.tls_certificate import Proven, make_certificate

TLS_ID: Final = TProtocol("/tls/1.0.0")
HANDSHAKE_READ_BYTES: Final = 4096


class TlsConnection(BaseSession):
    """A connection whose handshake is done. Made by `Tls`.

    Attributes:
        early_muxer: the muxer that the handshake agreed on, "" for none.
    """

    def __init__(
        self, raw: IRawConnection, session: TlsSession, local: KeyPair, proven: Proven
    ) -> None:
        remote_key = deserialize_public_key(proven.public_key)
        super().__init__(
            local_peer=ID.from_pubkey(local.public_key),
            local_private_key=local.private_key,
            remote_peer=ID.from_string(proven.peer_id),
            remote_permanent_pubkey=remote_key,
            is_initiator=raw.is_initiator,
        )
        agreed = session.application_protocol
        self.early_muxer = "" if agreed == LIBP2P else agreed
        self._raw = raw
        self._session = session
        self._held = Held()
        self._held.put(session.decrypt(b""))  # what came with the end of the handshake
        self._writing = trio.Lock()

    async def read(self, n: int | None = None) -> bytes:
        """Return 1 to *n* bytes.

        Raises:
            ConnectionClosedError: the peer sends no more.
        """
        if n == 0:
            return b""
        while not self._held:
            self._held.put(await self._receive())
            if not self._held:
                await self._answer()
        return self._held.take(n)

    async def write(self, data: bytes) -> None:
        """Send all of *data*; a cancelled write ends the connection, as with Noise."""
        async with self._writing:
            await self._raw.write(self._session.encrypt(data))

    async def close(self) -> None:
        """Close the socket. Saying so by TLS is left out: yamux has done it."""
        await self._raw.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return the address of the socket below."""
        return self._raw.get_remote_address()

    def get_transport_addresses(self) -> list[Multiaddr]:
        """Return what the connection below goes over."""
        return self._raw.get_transport_addresses()

    def get_connection_type(self) -> ConnectionType:
        """Return whether the connection below is direct."""
        return self._raw.get_connection_type()

    async def _receive(self) -> bytes:
        data = b"" if self._session.ended else await self._raw.read(READ_AHEAD_BYTES)
        if not data:
            raise ConnectionClosedError("the peer sends no more")
        try:
            return self._session.decrypt(data)
        except RemoteProtocolError as error:
            raise IOException(str(error)) from error

    async def _answer(self) -> None:
        """Send what TLS itself has to say, for example of a new key."""
        async with self._writing:
            if waiting := self._session.outgoing():
                await self._raw.write(waiting)


class Tls(ISecureTransport):
    """TLS for one host: one certificate, made at its start, for all of its connections.

    Args:
        identity: what the certificate proves.
        key_pair: the same, as libp2p has it.
        muxers: what the handshake may agree on, to save a round trip.
        clock: returns unix seconds.
    """

    def __init__(
        self,
        identity: Identity,
        key_pair: KeyPair,
        muxers: tuple[str, ...],
        clock: Callable[[], float],
    ) -> None:
        self._context = make_context(make_certificate(identity, clock()), muxers)
        self._key_pair = key_pair
        self._clock = clock

    async def secure_inbound(self, conn: IRawConnection) -> ISecureConn:
        """Do the handshake with a peer that dialed us; whoever calls sets a deadline.

        Raises:
            HandshakeFailure: the peer does not do its part.
        """
        return await self._secure(conn, TlsSession(self._context, is_client=False))

    async def secure_outbound(self, conn: IRawConnection, peer_id: ID) -> ISecureConn:
        """Do the handshake with *peer_id*; whoever calls sets a deadline.

        Raises:
            HandshakeFailure: the peer does not do its part, or is another one.
        """
        secured = await self._secure(conn, TlsSession(self._context, is_client=True))
        if secured.get_remote_peer() != peer_id:
            raise HandshakeFailure(f"{secured.get_remote_peer()} answers instead of {peer_id}")
        return secured

    async def _secure(self, raw: IRawConnection, session: TlsSession) -> TlsConnection:
        try:
            await _shake_hands(raw, session)
            if not session.application_protocol:
                raise HandshakeFailure("no application protocol, which is libp2p's at least")
            proven = session.proven(self._clock())
            return TlsConnection(raw, session, self._key_pair, proven)
        except (RemoteProtocolError, CryptographyError) as error:
            raise HandshakeFailure(str(error)) from error


async def _shake_hands(raw: IRawConnection, session: TlsSession) -> None:
    data = b""
    while True:
        try:
            done = session.handshake(data)
        finally:  # a complaint is sent, too
            if waiting := session.outgoing():
                await raw.write(waiting)
        if done:
            return
        data = await raw.read(HANDSHAKE_READ_BYTES)
        if not data:
            raise IncompleteReadError("the peer hung up during the handshake")
