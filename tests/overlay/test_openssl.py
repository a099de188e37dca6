"""TLS 1.3 as bytes in and bytes out: who is let in, and what ends a session."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL  # noqa: TID251  (strangers set their side up as they like)

from overlay import _openssl as openssl
from overlay import generate_identity
from overlay._openssl import TlsSession, make_context
from overlay.errors import RemoteProtocolError
from overlay.tls_certificate import OwnCertificate, make_certificate
from tests.overlay.test_tls_certificate import NOW_UNIX_S, build

CLIENT, SERVER = generate_identity(), generate_identity()
YAMUX = "/yamux/1.0.0"


def context(identity, *muxers: str) -> SSL.Context:
    return make_context(make_certificate(identity, NOW_UNIX_S), muxers)


def bare_context(*, certificate: OwnCertificate | None = None, protocols=(b"libp2p",)):
    """Return what a stranger may set up by itself."""
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    if protocols:
        made.set_alpn_protos(list(protocols))
    if certificate is not None:
        made.use_certificate(certificate.certificate)
        made.use_privatekey(certificate.private_key)
    return made


def shake_hands(client: TlsSession, server: TlsSession) -> None:
    """Carry bytes until both are done; what comes after stays in the client's ears."""
    done, to_server = client.handshake(b""), client.outgoing()
    for _ in range(4):
        if server.handshake(to_server) and done:
            client.decrypt(server.outgoing())
            return
        done = client.handshake(server.outgoing())
        to_server = client.outgoing()
    raise AssertionError("no end")


def pair(client: SSL.Context | None = None, server: SSL.Context | None = None):
    one = TlsSession(client or context(CLIENT, YAMUX), is_client=True)
    other = TlsSession(server or context(SERVER, YAMUX), is_client=False)
    return one, other


def test_both_sides_know_each_other_and_agree_on_a_muxer() -> None:
    client, server = pair()
    shake_hands(client, server)
    assert client.proven(NOW_UNIX_S).peer_id == SERVER.peer_id
    assert server.proven(NOW_UNIX_S).peer_id == CLIENT.peer_id
    assert client.application_protocol == server.application_protocol == YAMUX


def test_without_a_muxer_in_common_libp2p_is_what_is_spoken() -> None:
    client, server = pair(server=context(SERVER))
    shake_hands(client, server)
    assert client.application_protocol == server.application_protocol == "libp2p"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=100_000), max_size=4))
def test_bytes_pass_both_ways_whatever_their_number(messages: list[bytes]) -> None:
    client, server = pair()
    shake_hands(client, server)
    for message in messages:
        assert server.decrypt(client.encrypt(message)) == message
        assert client.decrypt(server.encrypt(message)) == message
    assert server.decrypt(client.close()) == b""
    assert server.ended


def test_a_client_without_a_certificate_is_refused() -> None:
    client, server = pair(client=bare_context())
    with pytest.raises(RemoteProtocolError, match="certificate"):
        shake_hands(client, server)


@pytest.mark.parametrize("evil_client", [False, True])
def test_a_second_certificate_is_one_too_many(evil_client: bool) -> None:
    evil, honest = context(CLIENT, YAMUX), context(SERVER, YAMUX)
    evil.add_extra_chain_cert(build())
    client, server = pair(*((evil, honest) if evil_client else (honest, evil)))
    shake_hands(client, server)
    victim = server if evil_client else client
    with pytest.raises(RemoteProtocolError, match="not one certificate"):
        victim.proven(NOW_UNIX_S)


def test_a_certificate_that_proves_nobody_is_refused_after_the_handshake() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    anonymous = OwnCertificate(build(key=key, extension=b""), key)
    client, server = pair(client=bare_context(certificate=anonymous))
    shake_hands(client, server)
    with pytest.raises(RemoteProtocolError, match="without the extension"):
        server.proven(NOW_UNIX_S)


def test_older_versions_are_refused() -> None:
    old = bare_context(certificate=make_certificate(CLIENT, NOW_UNIX_S))
    old.set_max_proto_version(SSL.TLS1_2_VERSION)
    for sides in ({"client": old}, {"server": old}):
        with pytest.raises(RemoteProtocolError, match="unsupported protocol"):
            shake_hands(*pair(**sides))


def test_protocols_of_others_are_refused() -> None:
    web = bare_context(certificate=make_certificate(CLIENT, NOW_UNIX_S), protocols=(b"h2",))
    with pytest.raises(RemoteProtocolError):
        shake_hands(*pair(client=web))


def is_resumed(server: SSL.Context) -> bool:
    ours = context(CLIENT, YAMUX)
    first, answering = pair(ours, server)
    shake_hands(first, answering)
    first.decrypt(answering.encrypt(b"x"))  # the tickets come along
    again, answering = pair(ours, server)
    again._connection.set_session(first._connection.get_session())
    shake_hands(again, answering)
    return bool(SSL._lib.SSL_session_reused(again._connection._ssl))


def test_a_session_cannot_be_resumed() -> None:
    stock = bare_context(certificate=make_certificate(SERVER, NOW_UNIX_S))
    stock.set_alpn_select_callback(lambda *_: YAMUX.encode())
    assert is_resumed(stock)
    assert not is_resumed(context(SERVER, YAMUX))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 20), st.integers(1, 255))
def test_a_byte_that_was_changed_on_the_way_ends_the_session(where: int, change: int) -> None:
    client, server = pair()
    shake_hands(client, server)
    sent = bytearray(client.encrypt(bytes(3000)))
    sent[where % len(sent)] ^= change
    try:
        assert bytes(3000) not in server.decrypt(bytes(sent))  # still waiting: a longer record
    except RemoteProtocolError as error:
        assert error.penalty > 1


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=2000), st.booleans())
def test_garbage_for_a_handshake_is_the_peers_fault(garbage: bytes, is_client: bool) -> None:
    session = TlsSession(context_of_all, is_client=is_client)
    session.handshake(b"")
    try:
        assert not session.handshake(garbage)
    except RemoteProtocolError:
        pass


context_of_all = context(SERVER, YAMUX)


def test_a_handshake_without_an_end_is_ended() -> None:
    server = TlsSession(context_of_all, is_client=False)
    endless = b"\x16\x03\x01\x40\x00\x01\x01\x00\x00" + bytes(4091)  # a ClientHello of 64 KiB
    with pytest.raises(RemoteProtocolError):
        for _ in range(2 + openssl.HANDSHAKE_BYTES_MAX // len(endless)):
            server.handshake(endless)
