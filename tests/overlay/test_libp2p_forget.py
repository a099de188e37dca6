"""A node that runs for a month forgets whom it met, and how many streams it had."""

import threading
import time

import trio
from libp2p.peer.id import ID  # noqa: TID251

from overlay import DhtConfig, HostConfig, Stream, generate_identity, open_host
from overlay._libp2p_forget import ABSENT_MAX, ABSENT_S, Absent, forget_peers, forget_streams
from overlay.node import Node
from overlay.soak.census import count_entries

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)


def open_test_host():
    config = HostConfig(
        listen_addresses=LOOPBACK, network="test", dht=DhtConfig(explore_interval_s=0)
    )
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


async def echo_once(stream: Stream) -> None:
    await stream.send(await stream.receive())


def peer(number: int) -> ID:
    return ID(number.to_bytes(4, "big"))


def test_who_left_is_forgotten_after_a_while_and_who_came_back_is_not() -> None:
    absent, known = Absent(), [peer(1), peer(2), peer(3)]
    assert absent.due(known, lambda each: each == peer(1), 0.0) == []
    assert absent.due(known, lambda each: each == peer(2), ABSENT_S - 1) == []
    assert absent.due(known, lambda each: each == peer(2), ABSENT_S) == [peer(3)]
    assert absent.due([peer(1)], lambda _: False, 2 * ABSENT_S) == [peer(1)]
    assert absent.due([], lambda _: False, 2 * ABSENT_S) == []
    assert len(absent) == 0


def test_of_too_many_the_first_to_leave_go_at_once() -> None:
    absent = Absent()
    absent.due([peer(0), peer(1)], lambda _: False, 0.0)
    crowd = [peer(number) for number in range(ABSENT_MAX + 2)]
    assert set(absent.due(crowd, lambda _: False, 1.0)) == {peer(0), peer(1)}


async def test_nothing_is_left_of_streams_that_are_over() -> None:
    async with open_test_host() as server, open_test_host() as client:
        server.serve("/echo/1", echo_once, streams_max=8)
        await client.connect(server.addresses)
        for _ in range(40):
            assert await client.request(server.peer_id, "/echo/1", b"x") == b"x"
        for node in (server, client):
            with trio.fail_after(20):
                while (found := _entries(node))["CountingYamux.streams"] >= 20:  # noqa: ASYNC110
                    await trio.sleep(0.05)
            assert found["CountingYamux.stream_events"] == found["CountingYamux.streams"]


def _entries(node: Node) -> dict[str, int]:
    for connection in node._driver._swarm.get_connections():
        forget_streams(connection.muxed_conn)
    return count_entries(node)


async def test_a_host_that_closed_leaves_no_thread_behind() -> None:
    async with open_test_host():
        before = threading.active_count()
    for _ in range(3):
        async with open_test_host():
            await trio.lowlevel.checkpoint()
    assert threading.active_count() <= before


def sending_tasks(task: trio.lowlevel.Task) -> int:
    below = [each for nursery in task.child_nurseries for each in nursery.child_tasks]
    return ("handle_sending_messages" in task.name) + sum(map(sending_tasks, below))


async def test_a_neighbour_with_two_connections_at_a_time_gets_one_gossip_stream() -> None:
    async with open_test_host() as one, open_test_host() as other:
        await one.connect(other.addresses)
        pubsub, peer_id = one._driver._pubsub, ID.from_string(other.peer_id)
        with trio.fail_after(20):
            while peer_id not in pubsub.peers or not other._driver._pubsub.peers:  # noqa: ASYNC110
                await trio.sleep(0.02)
            root = trio.lowlevel.current_root_task()
            before = sending_tasks(root)
            pubsub.peers.pop(peer_id)
            pubsub.peer_queues.pop(peer_id).close()
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(pubsub._handle_new_peer, peer_id)
            await trio.sleep(0.1)
        assert sending_tasks(root) == before > 0


async def test_a_neighbour_that_left_is_no_neighbour() -> None:
    async with open_test_host() as one:
        pubsub = one._driver._pubsub
        async with open_test_host() as other:
            await one.connect(other.addresses)
            peer_id = ID.from_string(other.peer_id)
            with trio.fail_after(20):
                while peer_id not in pubsub.peers:  # noqa: ASYNC110
                    await trio.sleep(0.02)
            pubsub.forget_if_gone(peer_id)
            assert peer_id in pubsub.peers
            stream = pubsub.peers[peer_id]
        with trio.fail_after(20):
            while peer_id in pubsub.peers:  # noqa: ASYNC110
                await trio.sleep(0.02)
        pubsub.peers[peer_id] = stream  # as when it registers too late
        pubsub.forget_if_gone(peer_id)
        assert peer_id not in pubsub.peers


async def test_ihave_asks_what_was_delivered_so_that_nothing_comes_twice() -> None:
    async with open_test_host() as node:
        pubsub = node._driver._pubsub
        assert not pubsub.seen_messages.has(b"id" * 10)
        assert pubsub._seen.add(b"id" * 10, trio.current_time())
        assert pubsub.seen_messages.has(b"id" * 10)


async def test_a_peer_that_left_is_gone_from_the_store_and_can_come_back() -> None:
    async with open_test_host() as server:
        server.serve("/echo/1", echo_once, streams_max=8)
        swarm, absent = server._driver._swarm, Absent()
        async with open_test_host() as guest:
            await guest.connect(server.addresses)
            await guest.request(server.peer_id, "/echo/1", b"x")
            forget_peers(swarm, absent, swarm.get_peer_id())
            guest_id = ID.from_string(guest.peer_id)
            assert guest_id in swarm.peerstore.peer_ids()
            addresses = guest.addresses
            await server._driver.drop(guest.peer_id)
            absent._since_s[guest_id] = trio.current_time() - ABSENT_S
            forget_peers(swarm, absent, swarm.get_peer_id())
            assert guest_id not in swarm.peerstore.peer_ids()
            assert swarm.get_peer_id() in swarm.peerstore.peer_ids()
            with trio.fail_after(20):
                await server.connect(addresses)
