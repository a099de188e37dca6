"""Sockets of an address that misbehaves end before any cryptography; others get in."""

import socket
import time
from contextlib import AsyncExitStack

import pytest
import trio

from overlay import DhtConfig, HostConfig, PeerUnavailable, generate_identity, open_host
from overlay._libp2p_hardening import remote_address
from overlay.limits.arrivals import REFUSED, TOO_MANY, ArrivalsConfig
from overlay.limits.budget import LimitsConfig
from overlay.node import Node

FEW_FAULTS = ArrivalsConfig(faults_burst=2, faults_per_s=0.001, refuse_s=60, local_factor=1)


def open_tcp_host(
    arrivals: ArrivalsConfig = FEW_FAULTS, listen: str = "/ip4/127.0.0.1/tcp/0", **options
):
    config = HostConfig(
        listen_addresses=(listen,),
        network="test",
        limits=LimitsConfig(arrivals=arrivals),
        dht=DhtConfig(explore_interval_s=0),
        **options,
    )
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


def port_of(node: Node) -> int:
    return int(node.addresses[0].split("/")[4])


async def knock(port: int, source: str = "127.0.0.1") -> bytes:
    """Send garbage instead of a handshake; return what came back until the end."""
    stream = await trio.open_tcp_stream("127.0.0.1", port, local_address=source)
    answer = b""
    async with stream:
        try:
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n" * 8)
            async for part in stream:
                answer += part
        except trio.BrokenResourceError:
            pass
    return answer


def own_loopback_addresses() -> bool:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.66", 0))
    except OSError:
        return False
    return True


needs_addresses = pytest.mark.skipif(
    not own_loopback_addresses(), reason="only 127.0.0.1 of 127.0.0.0/8 can be used here"
)


@needs_addresses
async def test_failed_handshakes_close_an_address_before_the_next_and_no_other_address() -> None:
    async with open_tcp_host() as server, open_tcp_host() as honest:
        with trio.fail_after(30):
            for _ in range(3):
                await knock(port_of(server), "127.0.0.66")
            while not server.gate.arrivals.admit("127.0.0.66", time.time()):  # noqa: ASYNC110, TID251
                await trio.sleep(0.02)
            assert await knock(port_of(server), "127.0.0.66") == b"", "not a byte of multistream"
            assert server.gate.refused[REFUSED] == 1
            assert server.gate.handshakes.total == 0
            assert await honest.connect(server.addresses) == server.peer_id


async def test_a_banned_peer_that_redials_is_refused_by_address_after_a_few_handshakes() -> None:
    async with open_tcp_host() as server, open_tcp_host() as attacker:
        await attacker.connect(server.addresses)
        server.gate.blame(attacker.peer_id, 100, "flood")
        refused = server.gate.refused
        with trio.fail_after(30):
            while refused[REFUSED] < 10:
                try:
                    await attacker.connect(server.addresses)
                except PeerUnavailable:
                    await trio.sleep(0.05)
        assert refused["connection banned"] <= 4


async def test_new_connections_of_one_address_stop_at_its_burst() -> None:
    arrivals = ArrivalsConfig(burst=3, per_s=0.001, local_factor=1)
    async with open_tcp_host(arrivals) as server:
        with trio.fail_after(30):
            answers = [await knock(port_of(server)) for _ in range(5)]
        assert [bool(each) for each in answers] == [True, True, True, False, False]
        assert server.gate.refused[TOO_MANY] == 2


async def test_hanging_up_during_the_handshake_is_no_fault() -> None:
    async with open_tcp_host() as server, open_tcp_host() as honest:
        for said in (b"", b"\x13/multistream/1.0.0\n", b"\x13/multistream/1.0.0\n\x07/noise\n"):
            for _ in range(3):
                stream = await trio.open_tcp_stream("127.0.0.1", port_of(server))
                await stream.send_all(said or b"\x13")
                await stream.aclose()
        await trio.sleep(0.5)
        assert await honest.connect(server.addresses) == server.peer_id
        assert not server.gate.refused


async def test_a_full_node_does_not_hold_its_own_limit_against_those_who_dial_it() -> None:
    async with open_tcp_host(connections_max=2) as server, AsyncExitStack() as stack:
        for _ in range(6):
            guest = await stack.enter_async_context(open_tcp_host())
            try:
                await guest.connect(server.addresses)
            except PeerUnavailable:
                continue
        await trio.sleep(0.5)
        assert 1 <= len(server.connected_peers()) <= 2
        assert server.gate.arrivals.admit("127.0.0.1", time.time()) is None  # noqa: TID251


async def test_many_peers_behind_one_address_get_in() -> None:
    async with open_tcp_host(ArrivalsConfig(local_factor=1)) as server:
        for _ in range(8):
            async with open_tcp_host() as guest:
                await guest.connect(server.addresses)
        assert not server.gate.refused


async def test_a_peer_on_ipv6_has_an_address() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    arrivals = ArrivalsConfig(burst=1, per_s=0.001, local_factor=1)
    async with (
        open_tcp_host(arrivals, "/ip6/::1/tcp/0") as server,
        open_tcp_host(listen="/ip6/::1/tcp/0") as client,
        open_tcp_host(listen="/ip6/::1/tcp/0") as late,
    ):
        await client.connect(server.addresses)
        swarm = server._driver._swarm
        assert [remote_address(swarm, each) for each in swarm.connections] == ["::1"]
        with pytest.raises(PeerUnavailable):
            await late.connect(server.addresses)
        assert server.gate.refused[TOO_MANY] >= 1
