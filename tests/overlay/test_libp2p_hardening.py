"""Each fix to libp2p 0.8.1, against the attack or the accident that it is for."""

import gc
import os
import struct
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import trio
from libp2p.custom_types import TProtocol  # noqa: TID251  (the attacker speaks raw libp2p)
from libp2p.io.exceptions import IOException  # noqa: TID251
from libp2p.peer.id import ID  # noqa: TID251

from overlay import (
    DhtConfig,
    HostConfig,
    PeerId,
    PeerUnavailable,
    RemoteProtocolError,
    Stream,
    generate_identity,
    open_host,
)
from overlay._libp2p import CLOSE_CONNECTIONS_S, CLOSE_HOST_S
from overlay._libp2p_unread import STREAM_UNREAD_BYTES, CappedBuffers, Unread
from overlay.limits.budget import Budget, Ceiling, Holder

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)


def open_test_host(network: str = "test", **options):
    config = HostConfig(
        listen_addresses=LOOPBACK, network=network, dht=DhtConfig(explore_interval_s=0), **options
    )
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


async def echo_once(stream: Stream) -> None:
    await stream.send(await stream.receive())


MALFORMED_RPCS = {
    "a length that never ends": b"\xff" * 11,
    "a field longer than the message": b"\x05\xff\xff\xff\xff\xff",
    "an RPC beyond the limit": b"\xff\xff\xff\x7f",
    "a graft for nobody": bytes.fromhex("081a061a0422020a00"),
    "an empty message": bytes.fromhex("021200"),
    "a message with a broken author": bytes.fromhex("06120422020102"),
}


async def test_malformed_gossip_costs_the_peer_its_stream_only() -> None:
    async with open_test_host() as server, open_test_host() as attacker:
        server.serve("/echo/1", echo_once, streams_max=1)
        async with server.subscribe("quotes", lambda _source, _data: True):
            await attacker.connect(server.addresses)
            for name, rpc in MALFORMED_RPCS.items():
                raw = await attacker._driver._host.new_stream(
                    ID.from_string(server.peer_id), [TProtocol("/cocoon/test/meshsub/1.1.0")]
                )
                await raw.write(rpc)
                await trio.sleep(0.1)
                with trio.fail_after(10):
                    answer = await attacker.request(server.peer_id, "/echo/1", b"alive")
                assert answer == b"alive", name


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\0\0", b"\0\0\0\x09half"])
async def test_a_handler_meets_malformed_frames_as_the_peers_fault(data: bytes) -> None:
    errors: list[Exception] = []
    done = trio.Event()

    async def handler(stream: Stream) -> None:
        try:
            await stream.receive()
        except RemoteProtocolError as error:
            errors.append(error)
        done.set()

    async with open_test_host() as server, open_test_host() as attacker:
        server.serve("/job/1", handler, streams_max=1)
        await attacker.connect(server.addresses)
        raw = await attacker._driver.open_stream(server.peer_id, "/cocoon/test/job/1")
        await raw.write(data)
        await raw.finish()
        with trio.fail_after(10):
            await done.wait()
    assert len(errors) == 1


async def test_inbound_slots_come_back_when_connections_end() -> None:
    async with open_test_host(connections_max=3) as server:
        server.serve("/echo/1", echo_once, streams_max=1)
        for _ in range(7):
            async with open_test_host() as client:
                with trio.fail_after(10):
                    await client.connect(server.addresses)
                    assert await client.request(server.peer_id, "/echo/1", b"x") == b"x"
            with trio.fail_after(10):
                while server.connected_peers():  # noqa: ASYNC110  (no event for it)
                    await trio.sleep(0.02)


async def test_a_dead_address_before_the_live_one_is_passed_over() -> None:
    async with open_test_host() as server, open_test_host() as client:
        dead = f"/ip4/127.0.0.1/tcp/1/p2p/{server.peer_id}"
        with trio.fail_after(20):
            await client.connect([dead, *server.addresses])


async def test_a_failed_dial_does_not_poison_the_next() -> None:
    async with open_test_host() as server, open_test_host() as client:
        with pytest.raises(PeerUnavailable):
            await client.connect([f"/ip4/127.0.0.1/tcp/1/p2p/{server.peer_id}"])
        assert await client.connect(server.addresses) == server.peer_id


async def test_another_peer_at_the_address_is_refused() -> None:
    async with open_test_host() as server, open_test_host() as client:
        bare = server.addresses[0].rpartition("/p2p/")[0]
        with pytest.raises(PeerUnavailable):
            await client.connect([f"{bare}/p2p/{generate_identity().peer_id}"])


async def test_a_node_dials_nobody_unasked() -> None:
    async with open_test_host() as one, open_test_host() as other:
        driver = one._driver
        driver._remember_address(other._driver._own_address())
        await driver._swarm.auto_connector.maybe_connect()
        await trio.sleep(0.3)
        assert one.connected_peers() == ()
        await one.connect(other.addresses)
        assert one.connected_peers() == (other.peer_id,)


async def test_networks_do_not_mix() -> None:
    async with open_test_host("one") as server, open_test_host("two") as client:
        server.serve("/echo/1", echo_once, streams_max=1)
        await client.connect(server.addresses)
        with pytest.raises(PeerUnavailable):
            await client.request(server.peer_id, "/echo/1", b"x")
        with pytest.raises(PeerUnavailable):
            await client.provide(b"model")


async def test_a_cancelled_host_closes_its_sockets_by_itself() -> None:
    assert CLOSE_CONNECTIONS_S + CLOSE_HOST_S < 3

    async def busy_host(task_status=trio.TASK_STATUS_IGNORED) -> None:
        async with open_test_host() as host:
            task_status.started(host.addresses)
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(busy_host)
        port = int(addresses[0].split("/")[4])
        async with open_test_host() as one, open_test_host() as other:
            await one.connect(addresses)
            await other.connect(addresses)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True), trio.fail_after(30):
                while await _is_open(port):  # noqa: ASYNC110
                    await trio.sleep(0.1)


async def _is_open(port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


def unread(bytes_max: int, budget: Budget | None = None, peer: str = "a", prefix: str = ""):
    holder = Holder(PeerId(peer), prefix)
    return Unread(budget or Budget(Ceiling(1 << 40, 1 << 40, 1 << 40)), holder, bytes_max)


def test_unread_bytes_beyond_any_window_are_refused() -> None:
    buffers = CappedBuffers(unread(100 << 20))
    buffers[1] = bytearray()
    buffers[1].extend(bytes(STREAM_UNREAD_BYTES))
    with pytest.raises(Exception, match="window violated"):
        buffers[1].extend(b"x")


def test_unread_bytes_are_counted_over_all_streams_and_connections() -> None:
    budget = Budget(Ceiling(1000, 1000, 1000))
    one, other = CappedBuffers(unread(600, budget)), CappedBuffers(unread(600, budget, "b"))
    one[1], one[3], other[1] = bytearray(), bytearray(), bytearray()
    one[1].extend(bytes(400))
    with pytest.raises(Exception, match="too many unread bytes of the connection"):
        one[3].extend(bytes(300))
    other[1].extend(bytes(600))
    with pytest.raises(Exception, match="too many unread bytes: total"):
        one[3].extend(b"x")
    del one[1][:150]
    one[3].extend(bytes(100))
    assert budget.total == 950
    del one[1]
    one.pop(3, None)
    other.clear()
    assert budget.total == 0


def test_a_prefix_has_a_share_of_unread_bytes_however_many_peers_it_makes() -> None:
    budget = Budget(Ceiling(1000, 300, 200))
    sybils = [CappedBuffers(unread(600, budget, f"peer {n}", "8.8.8.0/24")) for n in range(3)]
    for sybil in sybils:
        sybil[1] = bytearray()
    sybils[0][1].extend(bytes(200))
    with pytest.raises(Exception, match="unread bytes: peer"):
        sybils[0][1].extend(b"x")
    sybils[1][1].extend(bytes(100))
    with pytest.raises(Exception, match="unread bytes: prefix"):
        sybils[2][1].extend(b"x")
    assert budget.total == 300


def test_a_connection_that_is_torn_down_gives_its_unread_bytes_back() -> None:
    budget = Budget(Ceiling(1000, 300, 200))
    buffers = CappedBuffers(unread(600, budget))
    buffers[1] = bytearray()
    buffers[1].extend(bytes(150))
    del buffers
    gc.collect()
    assert budget.total == 0


async def test_a_peer_that_sends_past_its_window_is_cut_off() -> None:
    async with open_test_host() as server, open_test_host() as attacker:
        reading = trio.Event()

        async def never_read(_stream: Stream) -> None:
            reading.set()
            await trio.sleep_forever()

        server.serve("/sink/1", never_read, streams_max=1)
        await attacker.connect(server.addresses)
        stream = await attacker.open_stream(server.peer_id, "/sink/1")
        await stream.send(b"x")
        with trio.fail_after(20):
            await reading.wait()
        raw = stream._raw._stream.muxed_stream
        chunk = bytes(60_000)
        header = struct.pack("!BBHII", 0, 0, 0, raw.stream_id, len(chunk))
        sent_bytes = 0
        with trio.fail_after(10), suppress(IOException):  # whichever notices first that it is cut
            while attacker.peer_id in server.connected_peers():
                assert sent_bytes < 32 << 20  # the ceiling, and the buffers of two sockets
                await raw.conn.secured_conn.write(header + chunk)
                sent_bytes += len(chunk)
        assert sent_bytes >= STREAM_UNREAD_BYTES


IDLE_NODE = """
import sys, time, trio
from overlay import HostConfig, PeerUnavailable, generate_identity, open_host

async def main():
    config = HostConfig(listen_addresses=("/ip4/127.0.0.1/tcp/0",), network="test")
    clock = time.time
    async with open_host(config, generate_identity(), clock=clock) as node:
        async with open_host(config, generate_identity(), clock=clock) as other:
            await other.connect(node.addresses)
            try:
                await other.request(node.peer_id, "/nobody/1", b"x")
            except PeerUnavailable:
                pass
            await trio.sleep(0.5)
        await trio.sleep(0.5)
        pages = int(open("/proc/self/statm").read().split()[1])
        print(pages * 4096)

trio.run(main)
"""


def test_a_node_is_silent_and_small() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IDLE_NODE],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    assert int(done.stdout) < 150_000_000


def test_the_package_does_not_import_libp2p() -> None:
    code = "import overlay, overlay.memory, sys; sys.exit('libp2p' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


async def test_a_cancelled_dial_leaves_a_listed_connection_to_its_users() -> None:
    async with open_test_host() as one, open_test_host() as other:
        swarm, target = other._driver._swarm, one._driver._host.get_id()
        address = one._driver._host.get_transport_addrs()[0]
        told = swarm.notify_connected

        async def tell_slowly(connection) -> None:
            await trio.sleep(0.5)
            await told(connection)

        swarm.notify_connected = tell_slowly
        async with trio.open_nursery() as nursery:
            nursery.start_soon(swarm._dial_addr_single_attempt, address, target)
            with trio.fail_after(10):
                while not swarm.get_connections(target):  # noqa: ASYNC110
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        assert [each.is_closed for each in swarm.get_connections(target)] == [False]


async def test_the_gossip_score_knows_where_neighbours_come_from() -> None:
    async with open_test_host() as one, open_test_host() as other:
        seen: list[str] = []
        one._driver._pubsub._gossip.scorer.add_peer_ip = lambda _peer, ip: seen.append(ip)
        await other.connect(one.addresses)
        with trio.fail_after(10):
            while not seen:  # noqa: ASYNC110  (libp2p has no event for it)
                await trio.sleep(0.02)
        assert set(seen) == {"127.0.0.1"}
