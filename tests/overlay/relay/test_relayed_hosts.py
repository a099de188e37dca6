"""A host that only dials out serves others through a relay, over real sockets."""

import socket
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from overlay import (
    DhtConfig,
    HostConfig,
    PeerId,
    PeerUnavailable,
    Stream,
    generate_identity,
    open_host,
)
from overlay._libp2p_relay import RELAY_KEY
from overlay.addresses import LOCAL, is_circuit
from overlay.driver import ByteStream
from overlay.node import Node
from overlay.relay.core import RelayConfig
from overlay.relay.server import RelayServer

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)
DEAD = ("/ip4/127.0.0.1/tcp/9",)
QUIET = DhtConfig(explore_interval_s=0)
WAIT_S = 30.0
KEY = b"a class of work"


def open_relay(**limits: int):
    config = HostConfig(
        listen_addresses=LOOPBACK, network="test", dht=QUIET, relay=RelayConfig(**limits)
    )
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


@asynccontextmanager
async def open_hidden(*relays: str) -> AsyncGenerator[Node]:
    """A host whose announced address is dead, as behind a NAT."""
    config = HostConfig(
        listen_addresses=LOOPBACK, announce_addresses=DEAD, network="test", dht=QUIET,
        relays=relays,
    )  # fmt: skip
    async with open_host(config, generate_identity(), clock=time.time) as node:  # noqa: TID251
        node.serve("/echo/1", echo, streams_max=8)
        yield node


def open_plain():
    config = HostConfig(listen_addresses=LOOPBACK, network="test", dht=QUIET)
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


async def echo(stream: Stream) -> None:
    while True:
        await stream.send(await stream.receive())


async def relayed(node: Node, *, wanted: bool = True) -> tuple[str, ...]:
    """Wait until *node* announces an address that leads through a relay, or none any more."""
    with trio.fail_after(WAIT_S):
        while True:
            found = tuple(each for each in node.addresses if is_circuit(each))
            if bool(found) is wanted:
                return found
            await trio.sleep(0.05)


async def test_a_host_that_only_dials_out_serves_through_its_relay() -> None:
    async with open_relay() as relay, open_hidden(relay.addresses[0]) as provider:
        addresses = await relayed(provider)
        assert addresses == (f"{relay.addresses[0]}/p2p-circuit/p2p/{provider.peer_id}",)
        async with open_plain() as requester:
            with trio.fail_after(WAIT_S):
                assert await requester.connect(addresses) == provider.peer_id
                body = bytes(range(256)) * 3000
                assert await requester.request(provider.peer_id, "/echo/1", body) == body
            assert provider.peer_id in requester.connected_peers()
            figures = relay.figures()
        assert figures.held["relay_reservations"] == figures.held["relay_circuits"] == 1
        assert figures.counted["relay_reservations"] == figures.counted["relay_circuits"] == 1
        assert figures.counted["relay_bytes"] > 2 * len(body)
        with trio.fail_after(WAIT_S):
            while relay.figures().held["relay_circuits"]:  # noqa: ASYNC110  (a count has no event)
                await trio.sleep(0.05)


async def test_the_dht_names_the_way_through_the_relay() -> None:
    async with open_relay() as relay, open_hidden(relay.addresses[0]) as provider:
        await provider.connect(relay.addresses)
        await provider.provide(KEY)
        await relayed(provider)
        async with open_plain() as requester:
            await requester.connect(relay.addresses)
            with trio.fail_after(WAIT_S):
                while True:
                    found = await requester.find_providers(KEY)
                    if any(is_circuit(a) for each in found for a in each.addresses):
                        break
                    await trio.sleep(0.1)
                assert await requester.request(provider.peer_id, "/echo/1", b"hi") == b"hi"


async def test_a_relay_is_found_through_the_dht() -> None:
    async with open_plain() as bootstrap, open_relay() as relay, open_hidden("auto") as provider:
        for each in (relay, provider):
            await each.connect(bootstrap.addresses)
        (address,) = await relayed(provider)
        assert relay.peer_id in address


async def test_one_that_only_claims_to_be_a_relay_does_not_keep_us_from_others() -> None:
    async with open_plain() as bootstrap, open_plain() as liar, open_hidden("auto") as provider:
        await liar.connect(bootstrap.addresses)
        await liar._driver.provide(RELAY_KEY)
        await provider.connect(bootstrap.addresses)
        async with open_relay() as relay:
            await relay.connect(bootstrap.addresses)
            (address,) = await relayed(provider)
            assert relay.peer_id in address


async def test_a_circuit_is_cut_at_its_limit_of_bytes() -> None:
    async with (
        open_relay(circuit_bytes=64 * 1024) as relay,
        open_hidden(relay.addresses[0]) as provider,
        open_plain() as requester,
    ):
        await requester.connect(await relayed(provider))
        with trio.fail_after(WAIT_S):
            assert await requester.request(provider.peer_id, "/echo/1", b"small") == b"small"
            with pytest.raises(PeerUnavailable):
                await requester.request(provider.peer_id, "/echo/1", bytes(500_000))


async def test_a_full_relay_refuses_and_a_plain_node_is_no_relay() -> None:
    async with (
        open_relay(reservations=1) as relay,
        open_plain() as plain,
        open_hidden(relay.addresses[0]) as first,
    ):
        await relayed(first)
        async with open_hidden(relay.addresses[0], plain.addresses[0]) as second:
            await trio.sleep(1.0)
            assert not any(is_circuit(each) for each in second.addresses)


async def test_a_provider_comes_back_to_a_relay_that_restarts() -> None:
    identity, stack = generate_identity(), AsyncExitStack()
    where = f"/ip4/127.0.0.1/tcp/{free_port()}"
    config = HostConfig(
        listen_addresses=(where,), network="test", dht=QUIET, relay=RelayConfig(),
        health_interval_s=0.5,
    )  # fmt: skip
    full = f"{where}/p2p/{identity.peer_id}"
    async with open_hidden(full) as provider, open_plain() as requester, stack:
        await stack.enter_async_context(open_host(config, identity, clock=time.time))  # noqa: TID251
        await relayed(provider)
        await stack.aclose()
        await relayed(provider, wanted=False)
        await stack.enter_async_context(open_host(config, identity, clock=time.time))  # noqa: TID251
        await requester.connect(await relayed(provider))
        with trio.fail_after(WAIT_S):
            assert await requester.request(provider.peer_id, "/echo/1", b"hi") == b"hi"


async def test_nobody_reserves_through_another_relay() -> None:
    async with open_relay() as outer, open_hidden(outer.addresses[0]) as hidden:
        (way,) = await relayed(hidden)
        server = RelayServer(
            RelayConfig(), no_stream, hidden._driver._relaying._where, lambda: (), clock=time.time,  # noqa: TID251
        )  # fmt: skip
        async with open_plain() as requester:
            await requester.connect([way])
            assert server._where(requester.peer_id) is None
            assert server._where(outer.peer_id) == LOCAL


async def no_stream(peer_id: PeerId, protocol: str) -> ByteStream:
    raise AssertionError(f"{protocol} to {peer_id}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_gossip_outlives_one_of_two_connections() -> None:
    """What leaving a relay does: the other connection goes on, nothing is lost."""
    async with (
        open_relay() as relay,
        open_hidden(relay.addresses[0]) as provider,
        open_plain() as requester,
        provider.subscribe("t", lambda _source, _data: True) as heard,
        requester.subscribe("t", lambda _source, _data: True),
    ):
        with trio.fail_after(WAIT_S):
            await requester.connect(await relayed(provider))
            pubsub = requester._driver._pubsub
            while not any(  # noqa: ASYNC110  (libp2p has no event for it)
                peer.to_base58() == provider.peer_id for peer in pubsub.mesh_peers()
            ):
                await trio.sleep(0.05)
            (way,) = requester._driver.ways(provider.peer_id)
            assert "p2p-circuit" in way
            direct = provider._driver._host.get_transport_addrs()[0]
            target = provider._driver._host.get_id()
            await requester._driver._swarm._dial_addr_single_attempt(direct, target)
            for node, other in ((requester, provider), (provider, requester)):
                while len(node._driver.ways(other.peer_id)) < 2:  # noqa: ASYNC110
                    await trio.sleep(0.05)
            await requester._driver._punching._leave_relays(provider.peer_id)
            assert len(requester._driver.ways(provider.peer_id)) == 1
            assert requester._driver.where(provider.peer_id)
            for index in range(3):
                await requester.publish("t", b"%d" % index)
                assert (await heard.receive()).data == b"%d" % index
