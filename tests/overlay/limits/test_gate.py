"""The gate at work: bans cut connections, strangers pay under load, ceilings hold on the wire."""

import time
from contextlib import AsyncExitStack

import pytest
import trio
from trio.testing import MockClock

from overlay import (
    DhtConfig,
    HostConfig,
    PeerUnavailable,
    RemoteProtocolError,
    Stream,
    generate_identity,
    open_host,
)
from overlay.gossip.score import PUBLISH_THRESHOLD
from overlay.limits.budget import Ceiling, Holder, LimitsConfig
from overlay.limits.gate import Gate
from overlay.memory import open_network
from overlay.node import Node
from overlay.transport import GossipMessage, Verdict

ECHO = "/echo/1"


async def echo(stream: Stream) -> None:
    await stream.send(await stream.receive())


async def open_pair(stack: AsyncExitStack, limits: LimitsConfig) -> tuple[Node, Node]:
    network = await stack.enter_async_context(open_network(seed=3))
    config = HostConfig(network="memory", limits=limits, dht=DhtConfig(explore_interval_s=0))
    server = await stack.enter_async_context(network.open_host(generate_identity(), config=config))
    client = await stack.enter_async_context(network.open_host(generate_identity(), config=config))
    await client.connect(server.addresses)
    return server, client


def load(gate: Gate, percent: int) -> None:
    """Pretend that others hold so much of the streams."""
    total = gate.config.streams.total * percent // 100
    assert gate.streams.take(Holder(None), total) is None


async def test_under_load_a_stranger_pays_once_and_is_served() -> None:
    async with AsyncExitStack() as stack:
        server, client = await open_pair(stack, LimitsConfig())
        server.serve(ECHO, echo, streams_max=8)
        load(server.gate, 76)
        with trio.fail_after(30):
            assert await client.request(server.peer_id, ECHO, b"x") == b"x"
            assert server.gate.refused["stranger without a ticket"] == 1
            assert await client.request(server.peer_id, ECHO, b"y") == b"y"
        assert server.gate.refused["stranger without a ticket"] == 1


async def test_without_load_no_ticket_is_sold() -> None:
    async with AsyncExitStack() as stack:
        server, client = await open_pair(stack, LimitsConfig())
        assert not await client.earn_ticket(server.peer_id)
        with pytest.raises(PeerUnavailable):
            await client.request(server.peer_id, "/unknown/1", b"x")


async def test_faults_ban_a_peer_and_cut_its_connection(autojump_clock: MockClock) -> None:
    async def find_fault(stream: Stream) -> None:
        await stream.receive()
        raise RemoteProtocolError("nonsense", penalty=30)

    async with AsyncExitStack() as stack:
        server, client = await open_pair(stack, LimitsConfig(ban_s=60))
        server.serve(ECHO, find_fault, streams_max=8)
        for _ in range(2):
            with pytest.raises((PeerUnavailable, RemoteProtocolError)):
                await client.request(server.peer_id, ECHO, b"x")
        await trio.sleep(1)
        assert server.gate.banned(client.peer_id)
        assert client.peer_id not in server.connected_peers()
        with pytest.raises(PeerUnavailable, match="banned"):
            await server.open_stream(client.peer_id, ECHO)
        await trio.sleep(60)
        assert not server.gate.banned(client.peer_id)


async def test_draining_lets_work_end_and_takes_no_more(autojump_clock: MockClock) -> None:
    async def work(stream: Stream) -> None:
        await stream.receive()
        await trio.sleep(5)
        await stream.send(b"done")

    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        server, client = await open_pair(stack, LimitsConfig())
        server.serve(ECHO, work, streams_max=8)
        stream = await client.open_stream(server.peer_id, ECHO)
        await stream.send(b"job")
        await trio.sleep(1)
        assert not await server.drain(1)
        with pytest.raises(PeerUnavailable):
            await client.request(server.peer_id, ECHO, b"x")
        nursery.start_soon(server.drain, 60)
        assert await stream.receive() == b"done"
        assert await server.drain(1)


def open_tcp_host(limits: LimitsConfig):
    config = HostConfig(
        listen_addresses=("/ip4/127.0.0.1/tcp/0",),
        network="test",
        limits=limits,
        dht=DhtConfig(explore_interval_s=0),
    )
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


async def test_streams_of_one_peer_stop_at_its_ceiling_and_others_are_served() -> None:
    limits = LimitsConfig(streams=Ceiling(100, 100, 10), first_frame_s=1.0)
    async with (
        open_tcp_host(limits) as server,
        open_tcp_host(limits) as greedy,
        open_tcp_host(limits) as honest,
    ):
        server.serve(ECHO, echo, streams_max=100)
        await greedy.connect(server.addresses)
        await honest.connect(server.addresses)
        opened = 0
        for _ in range(20):
            try:
                await greedy.open_stream(server.peer_id, ECHO)
                opened += 1
            except PeerUnavailable:
                continue
        assert opened <= 10
        assert server.gate.streams.held_by(greedy.peer_id) <= 10
        assert server.gate.refused["streams of peer"] >= 10
        assert await honest.request(server.peer_id, ECHO, b"x") == b"x"
        with trio.fail_after(30):
            while server.gate.streams.held_by(greedy.peer_id) > 3:  # noqa: ASYNC110  (a counter)
                await trio.sleep(0.1)


async def test_a_banned_peer_does_not_get_in_again() -> None:
    async with open_tcp_host(LimitsConfig()) as server, open_tcp_host(LimitsConfig()) as client:
        server.serve(ECHO, echo, streams_max=8)
        await client.connect(server.addresses)
        server.gate.blame(client.peer_id, 100, "flood")
        with trio.fail_after(20):
            while client.peer_id in server.connected_peers():  # noqa: ASYNC110  (no event)
                await trio.sleep(0.05)
            with pytest.raises(PeerUnavailable):
                await client.connect(server.addresses)
                await client.request(server.peer_id, ECHO, b"x")
        assert server.gate.figures()["bans"] == 1


async def test_half_open_connections_stop_at_their_ceiling() -> None:
    limits = LimitsConfig(handshakes=Ceiling(5, 5, 5))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(open_tcp_host(limits))
        port = int(server.addresses[0].split("/")[4])
        for _ in range(8):
            socket = await trio.open_tcp_stream("127.0.0.1", port)
            stack.push_async_callback(trio.aclose_forcefully, socket)
        with trio.fail_after(20):
            while server.gate.refused["handshakes of total"] < 3:  # noqa: ASYNC110  (a counter)
                await trio.sleep(0.05)
        assert server.gate.handshakes.total == 5


async def test_a_forwarder_of_rejected_messages_is_graylisted_and_one_of_ignored_is_not() -> None:
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(open_tcp_host(LimitsConfig())) for _ in range(3)]
        judge, liar, slow = hosts
        verdicts = {b"false": Verdict.REJECT, b"stale": Verdict.IGNORE}

        def validate(_source: str, data: bytes) -> Verdict:
            return verdicts.get(data[:5], Verdict.ACCEPT)

        await liar.connect(judge.addresses)
        await slow.connect(judge.addresses)
        messages = await stack.enter_async_context(judge.subscribe("quotes", validate))
        for other in (liar, slow):
            await stack.enter_async_context(other.subscribe("quotes", lambda *_: True))
        scores = judge._driver._pubsub._gossip.scorer._scores
        with trio.fail_after(60):
            while judge.gossip_refused.get("rejected", 0) < 5:
                await liar.publish("quotes", b"false %f" % trio.current_time())
                await slow.publish("quotes", b"stale %f" % trio.current_time())
                await trio.sleep(0.1)
        by_peer = {str(peer): scores.score(peer, trio.current_time()) for peer in scores._peers}
        assert by_peer[liar.peer_id] < PUBLISH_THRESHOLD
        assert by_peer[slow.peer_id] >= 0
        await liar.publish("quotes", b"true at last")
        await trio.sleep(1)
        assert all(each.data != b"true at last" for each in _drain(messages))


def _drain(messages: trio.MemoryReceiveChannel[GossipMessage]) -> list[GossipMessage]:
    drained = []
    while True:
        try:
            drained.append(messages.receive_nowait())
        except trio.WouldBlock:
            return drained
