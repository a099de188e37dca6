"""What strangers may send over TLS before they have proved who they are."""

import contextlib
from collections.abc import Callable

from cryptography.hazmat.primitives.serialization import Encoding

from overlay._openssl import TlsSession, make_context
from overlay.dht.model import EPOCH_UNIX_S
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity
from overlay.tls_certificate import make_certificate, verify_certificate


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
        (
            "certificate",
            lambda data: verify_certificate(data, EPOCH_UNIX_S),
            own.certificate.public_bytes(Encoding.DER),
        ),
        ("TLS server", answer_hello, hello),
        ("TLS client", hear_answer, answer),
    ]
