"""QUIC between running nodes: what a reader does not read waits, and strangers cost little."""

import random
import time

import pytest
import trio

from overlay import (
    DhtConfig,
    HostConfig,
    PeerUnavailable,
    Stream,
    StreamClosed,
    generate_identity,
    open_host,
)
from overlay._aioquic import INITIAL_BYTES_MIN, STREAM_WINDOW_BYTES
from overlay._libp2p_addresses import parse
from overlay._libp2p_quic import UNACKNOWLEDGED_BYTES_MAX, WAITING_BYTES_MAX, QuicLink
from overlay._libp2p_quic_socket import QuicSocket
from overlay.addresses import without_peer
from overlay.limits.budget import Ceiling, LimitsConfig
from overlay.limits.turnstile import Newcomer
from overlay.node import Node
from overlay.reach.punch import Dial, Role

V4, V6 = "/ip4/127.0.0.1/udp/0/quic-v1", "/ip6/::1/udp/0/quic-v1"
TCP = "/ip4/127.0.0.1/tcp/0"


def open_test_host(*listen: str, quic: bool = True, **options):
    config = HostConfig(
        listen_addresses=listen or (V4,), network="test", quic=quic,
        dht=DhtConfig(explore_interval_s=0), **options,
    )  # fmt: skip
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


async def echo(stream: Stream) -> None:
    await stream.send(await stream.receive())


def links(node: Node) -> list[QuicLink]:
    return [each.muxed_conn for each in node._driver._swarm.get_connections()]


@pytest.mark.parametrize("listen", [V4, V6])
async def test_requests_pass_over_both_families(listen: str) -> None:
    async with open_test_host(listen) as server, open_test_host(listen) as client:
        server.serve("/echo/1", echo, streams_max=8)
        assert await client.connect(server.addresses) == server.peer_id
        for size in (0, 1, 70_000, 1 << 20):
            body = bytes(range(256)) * (size // 256) + bytes(size % 256)
            assert await client.request(server.peer_id, "/echo/1", body) == body
        assert all(isinstance(each, QuicLink) for each in links(server) + links(client))
        assert server._driver.where(client.peer_id).endswith("/quic-v1")
        await client._driver.drop(server.peer_id)
        with trio.fail_after(20):
            while server.connected_peers():  # noqa: ASYNC110
                await trio.sleep(0.01)


async def test_quic_is_behind_a_switch() -> None:
    async with open_test_host(TCP, quic=False) as plain, open_test_host(TCP, V4) as both:
        with pytest.raises(PeerUnavailable):
            await plain.connect([each for each in both.addresses if "quic" in each])
        await plain.connect(both.addresses)
        assert not any(isinstance(each, QuicLink) for each in links(plain))


async def test_tcp_is_preferred_where_there_is_both() -> None:
    async with open_test_host(V4, TCP) as server, open_test_host(V4, TCP) as client:
        assert ["quic" in each for each in server.addresses] == [False, True]
        await client.connect(server.addresses)
        assert not any(isinstance(each, QuicLink) for each in links(client))


async def test_another_peer_at_the_address_is_refused() -> None:
    async with open_test_host() as server, open_test_host() as client:
        address = server.addresses[0].replace(server.peer_id, generate_identity().peer_id)
        with pytest.raises(PeerUnavailable):
            await client.connect([address])
        with trio.fail_after(20):
            while server.connected_peers():  # noqa: ASYNC110
                await trio.sleep(0.01)


async def test_a_slow_reader_gets_every_byte_and_its_writer_waits_for_it() -> None:
    chunk, chunks = bytes(range(256)) * 1024, 40
    may_read, sent, got = trio.Event(), 0, bytearray()

    async def read_late(stream: Stream) -> None:
        await may_read.wait()
        try:
            while True:
                got.extend(await stream.receive())
        except StreamClosed:
            await stream.send(b"all of it")

    async with open_test_host() as server, open_test_host() as client:
        server.serve("/slow/1", read_late, streams_max=1)
        await client.connect(server.addresses)
        stream = await client.open_stream(server.peer_id, "/slow/1")

        async def write() -> None:
            nonlocal sent
            for _ in range(chunks):
                await stream.send(chunk)
                sent += len(chunk)
            await stream.finish()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            with trio.fail_after(30):
                while sent < STREAM_WINDOW_BYTES:  # noqa: ASYNC110
                    await trio.sleep(0.05)
            await trio.sleep(0.5)
            ceiling = STREAM_WINDOW_BYTES + UNACKNOWLEDGED_BYTES_MAX + 2 * len(chunk)
            assert STREAM_WINDOW_BYTES <= sent <= ceiling < chunks * len(chunk)
            may_read.set()
            with trio.fail_after(30):
                assert await stream.receive() == b"all of it"
        assert bytes(got) == chunk * chunks
        assert server.gate.figures()["unread_bytes"] == 0


async def test_a_reset_reaches_the_other_side_and_leaves_the_connection() -> None:
    started, broken = trio.Event(), trio.Event()

    async def wait(stream: Stream) -> None:
        await stream.receive()
        started.set()
        try:
            await stream.receive()
        except PeerUnavailable:
            broken.set()
            raise

    async with open_test_host() as server, open_test_host() as client:
        server.serve("/wait/1", wait, streams_max=1)
        server.serve("/echo/1", echo, streams_max=1)
        await client.connect(server.addresses)
        stream = await client.open_stream(server.peer_id, "/wait/1")
        await stream.send(b"x")
        with trio.fail_after(20):
            await started.wait()
            await stream.reset()
            await broken.wait()
        assert await client.request(server.peer_id, "/echo/1", b"alive") == b"alive"


async def test_what_the_network_loses_is_sent_again(monkeypatch) -> None:
    rng, send, lost = random.Random(3), QuicSocket.send, 0  # noqa: S311  (repeatable losses)

    def send_or_lose(self, data: bytes, address: tuple[str, int]) -> None:
        nonlocal lost
        if rng.random() < 0.05:
            lost += 1
        else:
            send(self, data, address)

    monkeypatch.setattr(QuicSocket, "send", send_or_lose)
    body = rng.randbytes(700_000)
    async with open_test_host() as server, open_test_host() as client:
        server.serve("/echo/1", echo, streams_max=1)
        with trio.fail_after(30):
            await client.connect(server.addresses)
            assert await client.request(server.peer_id, "/echo/1", body) == body
    assert lost > 20


async def test_a_writer_whose_reader_leaves_does_not_wait_for_it() -> None:
    async with open_test_host() as server, open_test_host() as client:
        leave = trio.Event()

        async def leave_early(stream: Stream) -> None:
            await leave.wait()
            await stream.reset()

        server.serve("/leave/1", leave_early, streams_max=1)
        await client.connect(server.addresses)
        stream = await client.open_stream(server.peer_id, "/leave/1")

        async def write() -> None:
            with pytest.raises(PeerUnavailable):
                for _ in range(100):
                    await stream.send(bytes(1 << 20))

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(write)
                await trio.sleep(0.5)
                leave.set()


async def test_a_read_that_is_cancelled_as_bytes_come_loses_none() -> None:
    async def wait(_stream: Stream) -> None:
        await trio.sleep_forever()

    async with open_test_host() as server, open_test_host() as client:
        server.serve("/wait/1", wait, streams_max=1)
        await client.connect(server.addresses)
        stream = await client._driver.open_stream(server.peer_id, "/cocoon/test/wait/1")
        raw, got = stream._stream.muxed_stream, []

        async def read(task_status: trio.TaskStatus[trio.CancelScope]) -> None:
            with trio.CancelScope() as scope:
                task_status.started(scope)
                got.append(await raw.read(100))

        async with trio.open_nursery() as nursery:
            scope = await nursery.start(read)
            await trio.sleep(0.1)
            raw.muxed_conn._take(raw.stream_id, b"precious", is_last=False)
            scope.cancel()
        if not got:
            with trio.fail_after(20):
                got.append(await raw.read(100))
        assert got == [b"precious"]


async def test_streams_that_are_over_are_forgotten() -> None:
    async with open_test_host() as server, open_test_host() as client:
        server.serve("/echo/1", echo, streams_max=8)
        await client.connect(server.addresses)
        for _ in range(150):  # more than may be open at once
            assert await client.request(server.peer_id, "/echo/1", b"x") == b"x"
        for (link,) in (links(server), links(client)):
            with trio.fail_after(20):
                while len(link._streams) >= 12 or len(link._quic._read_of_stream) >= 12:  # noqa: ASYNC110
                    await trio.sleep(0.05)


async def test_a_peer_that_vanishes_is_missed(monkeypatch) -> None:
    monkeypatch.setattr("overlay._aioquic.IDLE_S", 3.0)
    monkeypatch.setattr("overlay._libp2p_quic.KEEP_ALIVE_S", 0.3)
    async with open_test_host() as server, open_test_host() as client:
        await client.connect(server.addresses)
        await trio.sleep(3.5)
        assert server.connected_peers() == (client.peer_id,)  # idle, and kept alive
        (socket,) = client._driver._swarm.transport_manager.get_transports()[-1].sockets
        monkeypatch.setattr(socket, "send", lambda _data, _address: None)
        with trio.fail_after(20):
            while server.connected_peers():  # noqa: ASYNC110
                await trio.sleep(0.05)


async def test_ceilings_hold_for_connections_over_quic() -> None:
    limits = LimitsConfig(connections=Ceiling(1, 1, 1))
    async with (
        open_test_host(limits=limits) as server,
        open_test_host() as one,
        open_test_host() as other,
    ):
        await one.connect(server.addresses)
        try:
            await other.connect(server.addresses)
        except PeerUnavailable:
            pass  # or it learns a moment later
        with trio.fail_after(20):
            while len(server.connected_peers()) != 1:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert server.gate.figures()["connections_inbound"] == 1


async def test_garbage_costs_nobody_anything() -> None:
    async with open_test_host() as server, open_test_host() as client:
        server.serve("/echo/1", echo, streams_max=8)
        port = int(server.addresses[0].split("/")[4])
        stranger = trio.socket.socket(type=trio.socket.SOCK_DGRAM)
        hello = b"\xc3\0\0\0\1\x08ABCDEFGH\x08abcdefgh\0\x44\x96"
        for garbage in (b"", b"\0", bytes(1500), hello, hello.ljust(INITIAL_BYTES_MIN, b"\7")):
            for _ in range(20):
                await stranger.sendto(garbage, ("127.0.0.1", port))
        stranger.close()
        await client.connect(server.addresses)
        assert await client.request(server.peer_id, "/echo/1", b"alive") == b"alive"
        assert server.gate.figures()["handshakes"] == 0


async def test_strangers_wait_for_their_turn_and_those_we_know_do_not(monkeypatch) -> None:
    async with (
        open_test_host() as server,
        open_test_host() as known,
        open_test_host() as stranger,
        trio.open_nursery() as nursery,
    ):
        server.serve("/echo/1", echo, streams_max=8)
        await known.connect(server.addresses)
        with trio.fail_after(20):
            while any(each.newcomer is not None for each in links(server)):
                await known.request(server.peer_id, "/echo/1", b"x")
        turns = server._driver._turnstile._turns
        monkeypatch.setattr(turns, "next_s", lambda now_s: now_s + 0.01)  # never
        nursery.start_soon(stranger.connect, server.addresses)
        for _ in range(50):
            assert await known.request(server.peer_id, "/echo/1", b"x") == b"x"
        assert server.connected_peers() == (known.peer_id,)
        monkeypatch.undo()
        with trio.fail_after(20):
            while stranger.peer_id not in server.connected_peers():  # noqa: ASYNC110
                await trio.sleep(0.01)


async def test_what_waits_for_a_turn_is_bounded() -> None:
    async with open_test_host() as server, open_test_host() as client:
        await client.connect(server.addresses)
        (link,) = links(server)
        link.newcomer = Newcomer(server._driver._turnstile, "a", "")
        for size in (1200, 65_000, 1):
            assert not any(link.receive(bytes(size), ("127.0.0.1", 9)) for _ in range(1300))
            assert sum(len(data) for data, _ in link._waiting) <= WAITING_BYTES_MAX
        assert link._waiting_bytes == WAITING_BYTES_MAX


async def test_random_bytes_from_the_port_we_listen_on_open_our_nat() -> None:
    """Source: libp2p specs, relay/DCUtR.md: 10 to 200 ms apart, by the side that is dialed."""
    other = trio.socket.socket(type=trio.socket.SOCK_DGRAM)
    await other.bind(("127.0.0.1", 0))
    async with open_test_host() as host, trio.open_nursery() as nursery:
        transport = host._driver._swarm.transport_manager.get_transports()[-1]
        target = parse(f"/ip4/127.0.0.1/udp/{other.getsockname()[1]}/quic-v1")
        nursery.start_soon(transport.open_nat, target)
        with trio.fail_after(20):
            came = [await other.recvfrom(2000) for _ in range(4)]
        nursery.cancel_scope.cancel()
        own = int(host.addresses[0].split("/")[4])
    assert {source for _, source in came} == {("127.0.0.1", own)}
    assert len({data for data, _ in came}) == 4
    assert all(len(data) < INITIAL_BYTES_MIN for data, _ in came)
    other.close()


async def test_over_quic_one_side_dials_and_the_other_opens_its_nat() -> None:
    async with open_test_host() as one, open_test_host() as other:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for own, peer, role in ((one, other, Role.CLIENT), (other, one, Role.SERVER)):
                    dial = Dial((without_peer(peer.addresses[0]),), 0.0, role)
                    nursery.start_soon(own._driver._punching._dial, peer.peer_id, dial)
        assert [each.is_initiator for each in links(one)] == [True]
        assert [each.is_initiator for each in links(other)] == [False]


async def test_a_host_that_does_not_listen_opens_no_nat() -> None:
    async with open_test_host(TCP) as host:
        transport = host._driver._swarm.transport_manager.get_transports()[-1]
        with trio.fail_after(20):
            await transport.open_nat(parse("/ip4/127.0.0.1/udp/9/quic-v1"))


async def test_peers_tell_where_they_see_the_port_of_quic() -> None:
    async with open_test_host() as server, open_test_host() as client:
        await client.connect(server.addresses)
        with trio.fail_after(20):
            while not client._driver._observations.mapped():  # noqa: ASYNC110
                await trio.sleep(0.01)
        own = client.addresses[0].rpartition("/p2p/")[0]
        assert client._driver._observations.mapped() == (own,)
