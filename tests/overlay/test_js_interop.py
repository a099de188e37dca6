"""Our node and js-libp2p 3 from npm, over TCP, Noise or TLS, yamux, and our private protocols."""
# ruff: noqa: TID251  (our port has no ping of its own; the tests have their own clock)

import platform
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from libp2p.host.ping import PingService
from libp2p.peer.id import ID

from overlay import DhtConfig, HostConfig, Identity, PeerId, Stream, generate_identity, open_host
from overlay._libp2p_quic import QuicLink
from overlay._libp2p_tls import TlsConnection
from overlay.addresses import is_circuit, is_quic
from overlay.dht.records import provider_key, record_key, sign_record
from overlay.node import Node
from overlay.relay.core import RelayConfig
from tests.overlay.js_peer import JsPeer, open_js_peer

NETWORK = "interop"
ECHO = "/interop/1"
WAIT_S = 30.0


def now_unix_s() -> float:
    return time.time()


async def reverse(stream: Stream) -> None:
    while True:
        await stream.send((await stream.receive())[::-1])


@asynccontextmanager
async def open_ours(
    *relays: str, relay: RelayConfig | None = None, listen: str = "/ip4/127.0.0.1/tcp/0"
) -> AsyncGenerator[Node]:
    config = HostConfig(
        listen_addresses=(listen,),
        quic=is_quic(listen),
        network=NETWORK,
        dht=DhtConfig(explore_interval_s=0),
        relays=relays,
        relay=relay,
    )
    async with open_host(config, generate_identity(), clock=now_unix_s) as node:
        node.serve(ECHO, reverse, streams_max=8)
        yield node


def signed_card(author: Identity) -> bytes:
    now = now_unix_s()
    return sign_record(
        author, NETWORK, "card", b"who we are", seq=int(now * 1e6),
        expires_at_unix_s=int(now) + 3600, now_unix_s=now,
    )  # fmt: skip


async def full(js: JsPeer) -> list[str]:
    return [each for each in await js("addresses") if "/p2p/" in each]


async def test_js_libp2p_pings_identifies_and_exchanges_frames_both_ways() -> None:
    async with open_js_peer(NETWORK) as js, open_ours() as ours:
        with trio.fail_after(WAIT_S * 2):
            assert await ours.connect(await full(js)) == js.peer_id
            host = ours._driver._host
            assert len(await PingService(host).ping(ID.from_string(js.peer_id), 3)) == 3
            assert await js("ping", peer=ours.peer_id) >= 0

            seen = await js("identified", peer=ours.peer_id)
            assert f"/cocoon/{NETWORK}{ECHO}" in seen["protocols"]
            assert f"/cocoon/{NETWORK}/kad/1.0.0" in seen["protocols"]
            assert {f"{each}/p2p/{ours.peer_id}" for each in seen["addresses"]} == set(
                ours.addresses
            )
            known = host.get_peerstore().get_protocols(ID.from_string(js.peer_id))
            assert f"/cocoon/{NETWORK}{ECHO}" in known

            bodies = [b"", b"abc", bytes(range(256)) * 2000]
            stream = await ours.open_stream(PeerId(js.peer_id), ECHO)
            for body in bodies:
                await stream.send(body)
                assert await stream.receive() == body[::-1]
            await stream.finish()
            await stream.aclose()
            assert await js.exchange(ours.peer_id, *bodies) == [body[::-1] for body in bodies]


async def test_js_libp2p_dials_us() -> None:
    async with open_js_peer(NETWORK) as js, open_ours() as ours:
        with trio.fail_after(WAIT_S):
            assert await js("dial", address=ours.addresses[0]) == ours.peer_id
            while js.peer_id not in ours.connected_peers():  # noqa: ASYNC110  (js is the quicker)
                await trio.sleep(0.02)
            assert await ours.request(PeerId(js.peer_id), ECHO, b"stressed") == b"desserts"


async def test_gossip_passes_through_js_libp2p_and_back() -> None:
    topic = "quotes"
    async with open_js_peer(NETWORK) as js, open_ours() as one, open_ours() as other:
        wire_topic = f"cocoon/{NETWORK}/{topic}"
        await js("subscribe", topic=wire_topic)
        async with (
            one.subscribe(topic, lambda _source, _data: True) as at_one,
            other.subscribe(topic, lambda _source, _data: True) as at_other,
        ):
            with trio.fail_after(WAIT_S * 2):
                for node in (one, other):  # who know each other only through js
                    await node.connect(await full(js))
                while True:
                    if len(await js("neighbours", topic=wire_topic)) == 2:
                        break
                    await trio.sleep(0.1)
                await one.publish(topic, b"from one")
                for inbox in (at_one, at_other):
                    message = await inbox.receive()
                    assert (message.source, message.data) == (one.peer_id, b"from one")
                data = b64encode(b"from js").decode()
                await js("publish", topic=wire_topic, data=data)
                for inbox in (at_one, at_other):
                    message = await inbox.receive()
                    assert (message.source, message.data) == (js.peer_id, b"from js")
            assert not one.gossip_refused
            heard = await js("heard")
            assert [(each["source"], b64decode(each["data"])) for each in heard] == [
                (one.peer_id, b"from one")
            ]


async def test_the_dht_finds_both_ways() -> None:
    async with open_js_peer(NETWORK) as js, open_ours() as one, open_ours() as other:
        with trio.fail_after(WAIT_S * 2):
            for node in (one, other):
                await node.connect(await full(js))
            while True:
                if await js("routing") == 2:
                    break
                await trio.sleep(0.1)
            await one.explore()

            await one.provide(b"sold by us")
            assert one.peer_id in await js("providers", key=provider_key(b"sold by us"))
            await js("provide", key=provider_key(b"sold by js"))
            found = await other.find_providers(b"sold by js")
            assert js.peer_id in {each.peer_id for each in found}

            card = signed_card(author := generate_identity())
            key = record_key(author.peer_id, "card")
            await js("put", key=key, value=b64encode(card).decode())
            assert await other.get_record(author.peer_id, "card") == b"who we are"
            await one.put_record("card", b"one", expires_at_unix_s=int(now_unix_s()) + 3600)
            held = b64decode(await js("get", key=record_key(one.peer_id, "card")))
            assert await other._driver.get_values(record_key(one.peer_id, "card")) == [held]
            assert set(await js("find", peer=other.peer_id)) >= {
                each.rpartition("/p2p/")[0] for each in other.addresses
            }
            assert js.peer_id in {each.peer_id for each in one._driver.known_peers()}


async def test_js_libp2p_is_reached_through_our_relay() -> None:
    async with open_js_peer(NETWORK) as js, open_ours(relay=RelayConfig()) as relay:
        with trio.fail_after(WAIT_S * 2):
            await js("listen", address=f"{relay.addresses[0]}/p2p-circuit")
            while True:
                ways = [each for each in await js("addresses") if is_circuit(each)]
                if ways:
                    break
                await trio.sleep(0.1)
            async with open_ours() as ours:
                assert await ours.connect(ways[:1]) == js.peer_id
                assert await ours.request(PeerId(js.peer_id), ECHO, b"stressed") == b"desserts"


async def test_we_are_reached_through_a_relay_of_js_libp2p() -> None:
    async with (
        open_js_peer(NETWORK, "relay") as relay,
        open_js_peer(NETWORK) as js,
        open_ours((await full(relay))[0]) as ours,
        open_ours() as other,
    ):
        with trio.fail_after(WAIT_S * 2):
            while True:
                ways = [each for each in ours.addresses if is_circuit(each)]
                if ways:
                    break
                await trio.sleep(0.1)
            assert await js.exchange(ways[0], b"stressed") == [b"desserts"]
            assert await other.connect(ways) == ours.peer_id
            assert await other.request(ours.peer_id, ECHO, b"stressed") == b"desserts"


async def test_js_libp2p_speaks_tls_alone_both_ways() -> None:
    async with open_js_peer(NETWORK, "tls") as js, open_ours() as ours, open_ours() as other:
        with trio.fail_after(WAIT_S * 2):
            assert await js("dial", address=ours.addresses[0]) == ours.peer_id
            assert await js.exchange(ours.peer_id, b"stressed") == [b"desserts"]
            seen = await js("identified", peer=ours.peer_id)
            assert f"/cocoon/{NETWORK}{ECHO}" in seen["protocols"]

            assert await other.connect(await full(js)) == js.peer_id
            stream = await other.open_stream(PeerId(js.peer_id), ECHO)
            body = bytes(range(256)) * 2000
            await stream.send(body)
            assert await stream.receive() == body[::-1]
            await stream.aclose()
            for node in (ours, other):
                (connection,) = node._driver._swarm.get_connections()
                assert isinstance(connection.muxed_conn.secured_conn, TlsConnection)
                assert connection.muxed_conn.secured_conn.early_muxer == "/yamux/1.0.0"


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the lock file of npm has QUIC's native part for Linux on x86-64",
)
async def test_js_libp2p_speaks_quic_both_ways() -> None:
    listen = "/ip4/127.0.0.1/udp/0/quic-v1"
    async with (
        open_js_peer(NETWORK, "quic", listen=listen) as js,
        open_ours(listen=listen) as ours,
        open_ours(listen=listen) as other,
    ):
        with trio.fail_after(WAIT_S * 2):
            assert await js("dial", address=ours.addresses[0]) == ours.peer_id
            body = bytes(range(256)) * 2000
            assert await js.exchange(ours.peer_id, b"stressed", body) == [b"desserts", body[::-1]]
            seen = await js("identified", peer=ours.peer_id)
            assert f"/cocoon/{NETWORK}{ECHO}" in seen["protocols"]

            assert await other.connect(await full(js)) == js.peer_id
            stream = await other.open_stream(PeerId(js.peer_id), ECHO)
            await stream.send(body)
            assert await stream.receive() == body[::-1]
            await stream.aclose()
            for node in (ours, other):
                (connection,) = node._driver._swarm.get_connections()
                assert isinstance(connection.muxed_conn, QuicLink)
