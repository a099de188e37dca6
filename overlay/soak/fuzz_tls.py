"""What strangers may send over TLS and QUIC before they have proved who they are."""

import contextlib
from collections.abc import Callable

from cryptography.hazmat.primitives.serialization import Encoding

from overlay._aioquic import Door, Quic, configuration
from overlay._openssl import TlsSession, make_context
from overlay.dht.model import EPOCH_UNIX_S
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity
from overlay.tls_certificate import OwnCertificate, make_certificate, verify_certificate


def tls_targets() -> list[tuple[str, Callable[[bytes], object], bytes]]:
    """Return (name, what is fed, a valid input)."""
    own = make_certificate(Identity(b"f" * 32), EPOCH_UNIX_S)
    context = make_context(own, ("/yamux/1.0.0",))
    client, server = (TlsSession(context, is_client=each) for each in (True, False))
    client.handshake(b"")
    hello = client.outgoing()
    server.handshake(hello)
    answer = server.outgoing()

    def answer_hello(data: bytes) -> None:
        TlsSession(context, is_client=False).handshake(data)

    def hear_answer(data: bytes) -> None:
        session = TlsSession(context, is_client=True)
        session.handshake(b"")
        with contextlib.suppress(RemoteProtocolError):  # every answer is to another hello
            session.handshake(data)

    return [
        *_quic_targets(own),
        (
            "certificate",
            lambda data: verify_certificate(data, EPOCH_UNIX_S),
            own.certificate.public_bytes(Encoding.DER),
        ),
        ("TLS server", answer_hello, hello),
        ("TLS client", hear_answer, answer),
    ]


def _quic_targets(own: OwnCertificate) -> list[tuple[str, Callable[[bytes], object], bytes]]:
    """Return the same for datagrams: before there is a connection, and the first of one."""
    stranger, door = ("127.0.0.1", 1), Door()
    client = Quic(configuration=configuration(own, is_client=True))
    client.connect(stranger, 0.0)
    (first, _), *_ = client.datagrams_to_send(0.0)
    as_server = configuration(own, is_client=False)

    def take_first(data: bytes) -> None:
        server = Quic(configuration=as_server, original_destination_connection_id=first[6:14])
        server.receive_datagram(data, stranger, 0.0)
        server.datagrams_to_send(0.0)

    return [
        ("QUIC at the door", lambda data: door.knock(data, stranger, 0.0), first),
        ("QUIC server", take_first, first),
    ]
