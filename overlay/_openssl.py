"""TLS 1.3 of OpenSSL without I/O: bytes in, bytes out. The only module that imports pyOpenSSL.

Python's own ssl cannot ask a client for a certificate that no authority signed. OpenSSL's opinion
of certificates is not asked: `overlay.tls_certificate` judges them before a byte is handed on.

Source: libp2p specs, tls/tls.md; RFC 8446; RFC 7301 (ALPN).
"""
# ruff: noqa: TID251  (the border to pyOpenSSL)

from collections.abc import Sequence
from typing import Final

from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, dump_certificate

from overlay.errors import RemoteProtocolError
from overlay.tls_certificate import OwnCertificate, Proven, verify_certificate

LIBP2P: Final = "libp2p"
"""The application protocol of a peer that agrees on a muxer later."""
HANDSHAKE_BYTES_MAX: Final = 32 * 1024
"""A certificate of 8 KiB, post-quantum key shares, and what came along with the end."""
RECORD_BYTES: Final = 16 * 1024
OUT_BYTES: Final = 256 * 1024
_CIPHERS: Final = b"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"


def make_context(own: OwnCertificate, muxers: Sequence[str]) -> SSL.Context:
    """Return what all sessions of a host share, on both sides.

    Args:
        own: shown to every peer.
        muxers: offered and taken by ALPN, the best first, before `LIBP2P`.
    """
    protocols = [each.encode() for each in (*muxers, LIBP2P)]

    def choose(_connection: SSL.Connection, offered: list[bytes]) -> bytes:
        chosen = next((each for each in offered if each in protocols), None)
        if chosen is None:
            raise RemoteProtocolError("no application protocol in common", penalty=1)
        return chosen

    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_tls13_ciphersuites(_CIPHERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.set_alpn_protos(protocols)
    context.set_alpn_select_callback(choose)
    context.use_certificate(own.certificate)
    context.use_privatekey(own.private_key)
    return context


class TlsSession:
    """One side of one connection.

    `handshake` is fed until it says that it is done; what `outgoing` returns is sent after each
    call of anything. Then `proven` says who the peer is, and bytes may pass.

    Attributes:
        ended: whether the peer said that it sends no more.
    """

    def __init__(self, context: SSL.Context, *, is_client: bool) -> None:
        self._connection = SSL.Connection(context, None)
        if is_client:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self._is_client = is_client
        self._handshake_bytes = 0
        self.ended = False

    def handshake(self, data: bytes) -> bool:
        """Take *data*, b"" at first, and return whether the handshake is done.

        Raises:
            RemoteProtocolError: the peer does not do its part, or says too much.
        """
        self._handshake_bytes += len(data)
        if self._handshake_bytes > HANDSHAKE_BYTES_MAX:
            raise RemoteProtocolError("a handshake of TLS without an end", penalty=10)
        try:
            if data:
                self._connection.bio_write(data)
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise _fault(error) from error
        return True

    def proven(self, now_unix_s: float) -> Proven:
        """Return whom the peer's certificate proves; call it once the handshake is done.

        Raises:
            RemoteProtocolError: nobody, or there is more than one certificate.
        """
        leaf = self._connection.get_peer_certificate()
        sent = self._connection.get_peer_cert_chain() or []
        if leaf is None or len(sent) != int(self._is_client):  # a server's list omits the leaf
            raise RemoteProtocolError("not one certificate", penalty=10)
        return verify_certificate(dump_certificate(FILETYPE_ASN1, leaf), now_unix_s)

    @property
    def application_protocol(self) -> str:
        """What ALPN agreed on, "" for nothing."""
        return self._connection.get_alpn_proto_negotiated().decode("ascii", "replace")

    def encrypt(self, data: bytes) -> bytes:
        """Return what to send so that the peer reads *data*."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._connection.send(rest) :]  # a record at a time
        except SSL.Error as error:
            raise _fault(error) from error
        return self.outgoing()

    def decrypt(self, data: bytes) -> bytes:
        """Take *data*, and return all that can be read now; see `ended`.

        Raises:
            RemoteProtocolError: it was tampered with, or the peer raised an alarm.
        """
        if data:
            self._connection.bio_write(data)
        parts = []
        try:
            while True:
                parts.append(self._connection.recv(RECORD_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.ended = True
        except SSL.Error as error:
            raise _fault(error) from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> bytes:
        """Return what says that we send no more."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            return b""  # a handshake that never ended
        return self.outgoing()

    def outgoing(self) -> bytes:
        """Return what waits to be sent."""
        out = b""
        try:
            while len(out) % OUT_BYTES == 0:
                out += self._connection.bio_read(OUT_BYTES)
        except SSL.WantReadError:
            pass  # that was all
        return out


def _fault(error: SSL.Error) -> RemoteProtocolError:
    """Say of which rule of TLS OpenSSL complains."""
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    words = ", ".join(str(each[-1]) for each in reasons) or repr(error)
    return RemoteProtocolError(f"TLS: {words}", penalty=10)
