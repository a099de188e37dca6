"""TLS 1.3 beside Noise on a running node: who reaches whom, and what strangers can do to it."""
# ruff: noqa: TID251  (the attacker speaks raw libp2p; the tests have their own clock)

import time

import pytest
import trio
import trio.testing
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.exceptions import HandshakeFailure
from libp2p.utils import encode_delim

from overlay import (
    DhtConfig,
    HostConfig,
    PeerUnavailable,
    Stream,
    generate_identity,
    open_host,
)
from overlay import _libp2p_hardening as hardening
from overlay._libp2p_tls import Tls, TlsConnection
from overlay._openssl import HANDSHAKE_BYTES_MAX, TlsSession, make_context
from overlay.node import Node
from overlay.tls_certificate import make_certificate
from tests.overlay.test_libp2p_ws import Below

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)


def open_test_host(*security: str, listen: tuple[str, ...] = LOOPBACK):
    options = {"security": security} if security else {}
    config = HostConfig(
        listen_addresses=listen, network="test", dht=DhtConfig(explore_interval_s=0), **options
    )
    return open_host(config, generate_identity(), clock=time.time)


async def echo(stream: Stream) -> None:
    await stream.send(await stream.receive())


def secured(node: Node) -> object:
    (connection,) = node._driver._swarm.get_connections()
    return connection.muxed_conn.secured_conn


@pytest.mark.parametrize(
    ("dialing", "listening", "is_tls"),
    [
        (("tls",), ("tls",), True),
        ((), ("tls",), True),
        (("tls",), (), True),
        (("tls", "noise"), ("noise",), False),
        ((), (), False),
    ],
)
async def test_peers_with_one_kind_in_common_reach_each_other(dialing, listening, is_tls) -> None:
    async with open_test_host(*listening) as server, open_test_host(*dialing) as client:
        server.serve("/echo/1", echo, streams_max=8)
        assert await client.connect(server.addresses) == server.peer_id
        body = bytes(range(256)) * 1000
        for size in (0, 1, 70_000, len(body)):
            assert await client.request(server.peer_id, "/echo/1", body[:size]) == body[:size]
        for node in (server, client):
            assert isinstance(secured(node), TlsConnection) == is_tls


async def test_peers_with_nothing_in_common_do_not() -> None:
    async with open_test_host("tls") as server, open_test_host("noise") as client:
        with pytest.raises(PeerUnavailable):
            await client.connect(server.addresses)


async def test_over_tls_another_peer_at_the_address_is_refused() -> None:
    async with open_test_host("tls") as server, open_test_host("tls") as client:
        address = server.addresses[0].replace(server.peer_id, generate_identity().peer_id)
        with pytest.raises(PeerUnavailable):
            await client.connect([address])
        assert await client.connect(server.addresses) == server.peer_id


async def test_whoever_dials_is_told_at_once_that_another_peer_answers() -> None:
    ends = trio.testing.memory_stream_pair()
    identities = generate_identity(), generate_identity()
    one, other = (Tls(each, create_new_key_pair(each.seed), (), time.time) for each in identities)
    raws = [RawConnection(Below(end), end is ends[0]) for end in ends]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other.secure_inbound, raws[1])
        with trio.fail_after(20), pytest.raises(HandshakeFailure, match="answers instead of"):
            await one.secure_outbound(raws[0], ID.from_string(generate_identity().peer_id))


@pytest.mark.parametrize("listen", ["/ip6/::1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"])
async def test_tls_runs_over_whatever_carries_bytes(listen: str) -> None:
    async with (
        open_test_host("tls", listen=(listen,)) as server,
        open_test_host("tls") as client,
    ):
        server.serve("/echo/1", echo, streams_max=8)
        await client.connect(server.addresses)
        assert await client.request(server.peer_id, "/echo/1", b"over TLS") == b"over TLS"


async def dial_raw(node: Node) -> trio.SocketStream:
    """Connect, and agree on TLS; what comes next is the test's."""
    port = int(node.addresses[0].split("/")[4])
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    greeting = encode_delim(b"/multistream/1.0.0") + encode_delim(b"/tls/1.0.0")
    await stream.send_all(greeting)
    answer = b""
    while len(answer) < len(greeting):
        answer += await stream.receive_some()
    assert answer == greeting
    return stream


GARBAGE = {
    "no TLS": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(5000),
    "a record longer than any": b"\x16\x03\x01\xff\xff" + bytes(70_000),
    "a hello without an end": b"\x16\x03\x01\x3f\xff\x01\x01\x00\x00" + bytes(HANDSHAKE_BYTES_MAX),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
}


async def test_garbage_instead_of_a_handshake_is_cut_off_and_costs_nobody_else() -> None:
    async with open_test_host() as server, open_test_host("tls") as client:
        server.serve("/echo/1", echo, streams_max=8)
        for name, garbage in GARBAGE.items():
            stream = await dial_raw(server)
            with trio.fail_after(20):
                try:
                    await stream.send_all(garbage)
                    while await stream.receive_some():
                        pass
                except trio.BrokenResourceError:
                    pass  # a reset is an end, too
            await stream.aclose()
            assert name
        await client.connect(server.addresses)
        assert await client.request(server.peer_id, "/echo/1", b"alive") == b"alive"


async def test_a_handshake_that_takes_its_time_is_cut_off(monkeypatch) -> None:
    monkeypatch.setattr(hardening, "HANDSHAKE_S", 0.5)
    stranger = make_context(make_certificate(generate_identity(), time.time()), ())
    session = TlsSession(stranger, is_client=True)
    session.handshake(b"")
    hello = session.outgoing()
    async with open_test_host() as server:
        stream = await dial_raw(server)
        with trio.fail_after(20), pytest.raises(trio.BrokenResourceError):
            for at in range(len(hello) - 1):  # a byte now and then, and never the last
                await stream.send_all(hello[at : at + 1])
                await trio.sleep(0.02)
        await stream.aclose()
