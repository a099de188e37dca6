"""What every `Host` promises, on the real network and on the one inside the process."""

from contextlib import AsyncExitStack

import pytest
import trio

from overlay import (
    FRAME_BYTES_MAX,
    GossipConfig,
    LocalProtocolError,
    PeerUnavailable,
    RemoteProtocolError,
    Stream,
    StreamClosed,
    generate_identity,
)
from overlay.dht.records import record_key, sign_record
from overlay.node import Node

PATIENCE_S = 20.0


async def echo(stream: Stream) -> None:
    while True:
        try:
            frame = await stream.receive()
        except StreamClosed:
            return
        await stream.send(frame)


async def open_hosts(stack: AsyncExitStack, swarm, count: int, **options) -> list[Node]:
    """A star: everybody is connected to the first host."""
    hosts = [await stack.enter_async_context(swarm.open_host(**options)) for _ in range(count)]
    for host in hosts[1:]:
        assert await host.connect(hosts[0].addresses) == hosts[0].peer_id
    return hosts


async def until(condition, patience_s: float = PATIENCE_S) -> None:
    with trio.fail_after(patience_s):
        while not condition():  # noqa: ASYNC110  (the host has no event for it)
            await trio.sleep(0.02)


@pytest.fixture
async def pair(swarm):
    async with AsyncExitStack() as stack:
        yield await open_hosts(stack, swarm, 2)


# -- streams ----------------------------------------------------------------------------


async def test_frames_travel_both_ways_in_order(pair):
    server, client = pair
    server.serve("/echo/1", echo, streams_max=8)
    stream = await client.open_stream(server.peer_id, "/echo/1")
    assert stream.peer_id == server.peer_id
    frames = [b"", b"a", bytes(70_000), b"last"]
    for frame in frames:
        await stream.send(frame)
    assert [await stream.receive() for _ in frames] == frames
    await stream.aclose()


async def test_both_sides_may_open_streams(pair):
    server, client = pair
    client.serve("/echo/1", echo, streams_max=8)
    assert await server.request(client.peer_id, "/echo/1", b"from the listener") == (
        b"from the listener"
    )


async def test_the_peer_is_known_to_the_handler(pair):
    server, client = pair

    async def whoami(stream: Stream) -> None:
        await stream.receive()
        await stream.send(stream.peer_id.encode())

    server.serve("/whoami/1", whoami, streams_max=1)
    assert await client.request(server.peer_id, "/whoami/1", b"") == client.peer_id.encode()


async def test_a_large_transfer_waits_for_a_slow_reader(pair):
    server, client = pair
    sent_bytes = 0
    seen_ahead = []

    async def slow_reader(stream: Stream) -> None:
        await trio.sleep(0.5)
        seen_ahead.append(sent_bytes)
        total = 0
        while True:
            try:
                total += len(await stream.receive())
            except StreamClosed:
                break
            await trio.sleep(0.01)
        await stream.send(str(total).encode())

    server.serve("/slow/1", slow_reader, streams_max=1)
    stream = await client.open_stream(server.peer_id, "/slow/1")
    for _ in range(64):
        await stream.send(bytes(65_536))
        sent_bytes += 65_536
    await stream.finish()
    assert await stream.receive() == b"4194304"
    assert seen_ahead[0] < 2 << 20, "the sender was not held back"


async def test_finish_ends_one_direction_only(pair):
    server, client = pair

    async def count(stream: Stream) -> None:
        frames = 0
        with pytest.raises(StreamClosed):
            while True:
                await stream.receive()
                frames += 1
        for index in range(frames):
            await stream.send(str(index).encode())

    server.serve("/count/1", count, streams_max=1)
    stream = await client.open_stream(server.peer_id, "/count/1")
    for _ in range(3):
        await stream.send(b"x")
    await stream.finish()
    assert [await stream.receive() for _ in range(3)] == [b"0", b"1", b"2"]
    with pytest.raises(StreamClosed):
        await stream.receive()
    with pytest.raises(LocalProtocolError):
        await stream.send(b"too late")


async def test_a_reset_is_not_mistaken_for_an_orderly_end(pair):
    server, client = pair

    async def resetting(stream: Stream) -> None:
        await stream.receive()
        await stream.reset()

    server.serve("/reset/1", resetting, streams_max=1)
    stream = await client.open_stream(server.peer_id, "/reset/1")
    await stream.send(b"go")
    with pytest.raises(PeerUnavailable) as caught:
        await stream.receive()
    assert not isinstance(caught.value, StreamClosed)


async def test_a_handler_sees_the_reset_of_its_peer(pair):
    server, client = pair
    caught: list[Exception] = []
    done = trio.Event()

    async def waiting(stream: Stream) -> None:
        await stream.send(await stream.receive())
        try:
            await stream.receive()
        except PeerUnavailable as error:
            caught.append(error)
        done.set()

    server.serve("/wait/1", waiting, streams_max=1)
    stream = await client.open_stream(server.peer_id, "/wait/1")
    await stream.send(b"x")
    assert await stream.receive() == b"x"
    await stream.reset()
    with trio.fail_after(PATIENCE_S):
        await done.wait()
    assert not isinstance(caught[0], StreamClosed)


async def test_cancelled_sends_leave_the_connection_usable(pair):
    server, client = pair

    async def deaf(stream: Stream) -> None:
        await trio.sleep_forever()

    server.serve("/echo/1", echo, streams_max=4)
    server.serve("/deaf/1", deaf, streams_max=100)
    for _ in range(5):
        stream = await client.open_stream(server.peer_id, "/deaf/1")
        with trio.move_on_after(0.05) as scope:
            while True:
                await stream.send(bytes(FRAME_BYTES_MAX))
        assert scope.cancelled_caught
        with pytest.raises(LocalProtocolError):
            await stream.send(b"after half a frame")
        await stream.aclose()
    with trio.fail_after(PATIENCE_S):
        assert await client.request(server.peer_id, "/echo/1", b"fine") == b"fine"


async def test_a_cancelled_receive_loses_nothing(pair):
    server, client = pair

    async def slow_frames(stream: Stream) -> None:
        await stream.receive()
        for index in range(10):
            await trio.sleep(0.02)
            await stream.send(bytes([index]) * 20_000)

    server.serve("/slow/1", slow_frames, streams_max=1)
    stream = await client.open_stream(server.peer_id, "/slow/1")
    await stream.send(b"")
    frames: list[bytes] = []
    with trio.fail_after(PATIENCE_S):
        while len(frames) < 10:
            with trio.move_on_after(0.003):
                frames.append(await stream.receive())
    assert frames == [bytes([index]) * 20_000 for index in range(10)]


async def test_a_frame_too_long_is_our_own_bug(pair):
    server, client = pair
    server.serve("/echo/1", echo, streams_max=1)
    stream = await client.open_stream(server.peer_id, "/echo/1")
    with pytest.raises(LocalProtocolError):
        await stream.send(bytes(FRAME_BYTES_MAX + 1))
    await stream.reset()


@pytest.mark.parametrize("error", [ValueError("bug"), RemoteProtocolError("theirs")])
async def test_a_handler_that_raises_costs_its_stream_only(pair, error, caplog):
    server, client = pair

    async def raising(stream: Stream) -> None:
        await stream.receive()
        raise error

    server.serve("/raise/1", raising, streams_max=1)
    server.serve("/echo/1", echo, streams_max=1)
    for _ in range(3):
        with pytest.raises(PeerUnavailable):
            await client.request(server.peer_id, "/raise/1", b"")
    assert await client.request(server.peer_id, "/echo/1", b"alive") == b"alive"
    bugs = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(bugs) == (3 if isinstance(error, ValueError) else 0)


async def test_an_unknown_protocol_is_unavailable(pair):
    server, client = pair
    with pytest.raises(PeerUnavailable):
        await client.open_stream(server.peer_id, "/nobody/1")


async def test_an_unknown_peer_is_unavailable(pair):
    _, client = pair
    with pytest.raises(PeerUnavailable):
        await client.open_stream(generate_identity().peer_id, "/echo/1")


async def test_a_peer_id_that_is_none_is_refused(pair):
    _, client = pair
    with pytest.raises(RemoteProtocolError):
        await client.open_stream("not a peer id", "/echo/1")


async def test_streams_beyond_the_limit_are_reset_and_slots_come_back(pair):
    server, client = pair
    server.serve("/echo/1", echo, streams_max=2)
    held = [await client.open_stream(server.peer_id, "/echo/1") for _ in range(2)]
    for stream in held:
        await stream.send(b"mine")
        assert await stream.receive() == b"mine"
    with pytest.raises(PeerUnavailable):
        await client.request(server.peer_id, "/echo/1", b"one too many")
    for stream in held:
        await stream.aclose()

    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                assert await client.request(server.peer_id, "/echo/1", b"room") == b"room"
            except PeerUnavailable:
                await trio.sleep(0.02)
            else:
                return


async def test_a_protocol_is_served_once(pair):
    server, _ = pair
    server.serve("/echo/1", echo, streams_max=2)
    with pytest.raises(LocalProtocolError):
        server.serve("/echo/1", echo, streams_max=2)


async def test_a_request_obeys_its_callers_deadline(pair):
    server, client = pair

    async def silent(stream: Stream) -> None:
        await stream.receive()
        await trio.sleep_forever()

    server.serve("/silent/1", silent, streams_max=1)
    server.serve("/echo/1", echo, streams_max=1)
    start = trio.current_time()
    with pytest.raises(trio.TooSlowError), trio.fail_after(0.3):
        await client.request(server.peer_id, "/silent/1", b"")
    assert trio.current_time() - start < 20
    assert await client.request(server.peer_id, "/echo/1", b"next") == b"next"


async def test_no_answer_is_the_peers_fault(pair):
    server, client = pair

    async def mute(stream: Stream) -> None:
        await stream.receive()

    server.serve("/mute/1", mute, streams_max=1)
    with pytest.raises(RemoteProtocolError):
        await client.request(server.peer_id, "/mute/1", b"")


async def test_a_host_that_closes_is_missed(swarm):
    async with AsyncExitStack() as stack:
        [server] = await open_hosts(stack, swarm, 1)
        server.serve("/echo/1", echo, streams_max=1)
        async with swarm.open_host() as client:
            await client.connect(server.addresses)
            assert await client.request(server.peer_id, "/echo/1", b"x") == b"x"
            await until(lambda: client.peer_id in server.connected_peers())
        await until(lambda: client.peer_id not in server.connected_peers())


async def test_errors_of_the_block_keep_their_type(swarm):
    with pytest.raises(PeerUnavailable, match="mine"):
        async with swarm.open_host():
            raise PeerUnavailable("mine")


async def test_addresses_that_do_not_belong_together_are_our_bug(pair):
    server, client = pair
    for addresses in ([], ["/ip4/127.0.0.1/tcp/1"], [*server.addresses, *client.addresses]):
        with pytest.raises(LocalProtocolError):
            await client.connect(addresses)


# -- the DHT ----------------------------------------------------------------------------


async def test_providers_are_found_by_others(swarm):
    async with AsyncExitStack() as stack:
        hosts = await open_hosts(stack, swarm, 6)
        with trio.fail_after(60):
            assert await hosts[5].find_providers(b"llama") == []
            await hosts[1].provide(b"llama")
            await hosts[2].provide(b"llama")
            found = await hosts[5].find_providers(b"llama")
            assert {each.peer_id for each in found} == {hosts[1].peer_id, hosts[2].peer_id}
            assert all(each.addresses for each in found)
            await hosts[3].provide(b"llama")
            assert len(await hosts[5].find_providers(b"llama")) == 3, "the first answer stuck"
            assert len(await hosts[5].find_providers(b"llama", providers_max=2)) == 2


async def test_a_provider_found_is_dialed_on_demand(swarm):
    async with AsyncExitStack() as stack:
        hosts = await open_hosts(stack, swarm, 5)
        hosts[1].serve("/echo/1", echo, streams_max=1)
        with trio.fail_after(60):
            await hosts[1].provide(b"whisper")
            [found] = await hosts[4].find_providers(b"whisper")
            assert await hosts[4].request(found.peer_id, "/echo/1", b"hello") == b"hello"


async def test_alone_there_is_nobody_to_tell(swarm):
    async with swarm.open_host() as host:
        with pytest.raises(PeerUnavailable):
            await host.provide(b"llama")
        with pytest.raises(PeerUnavailable):
            await host.put_record("statement", b"x", expires_at_unix_s=int(swarm.now_unix_s()) + 60)


async def test_the_latest_record_wins(swarm):
    expires_at_unix_s = int(swarm.now_unix_s()) + 600
    async with AsyncExitStack() as stack:
        hosts = await open_hosts(stack, swarm, 5)
        owner, reader = hosts[1], hosts[4]
        with trio.fail_after(60):
            assert await reader.get_record(owner.peer_id, "statement") is None
            for value in (b"first", b"second" * 2000, b"third"):
                await owner.put_record("statement", value, expires_at_unix_s=expires_at_unix_s)
                assert await reader.get_record(owner.peer_id, "statement") == value
            await owner.put_record("statement", b"third", expires_at_unix_s=expires_at_unix_s)
            assert await reader.get_record(owner.peer_id, "other name") is None


async def test_an_expired_record_is_gone(swarm):
    async with AsyncExitStack() as stack:
        hosts = await open_hosts(stack, swarm, 5)
        owner, reader = hosts[1], hosts[4]
        with pytest.raises(LocalProtocolError):
            await owner.put_record("s", b"x", expires_at_unix_s=int(swarm.now_unix_s()) - 1)
        expires_at_unix_s = int(swarm.now_unix_s()) + 2
        with trio.fail_after(60):
            await owner.put_record("s", b"x", expires_at_unix_s=expires_at_unix_s)
            assert await reader.get_record(owner.peer_id, "s") == b"x"
            await trio.sleep(expires_at_unix_s - swarm.now_unix_s() + 0.05)
            assert await reader.get_record(owner.peer_id, "s") is None


async def test_a_forged_record_is_not_stored(swarm):
    async with AsyncExitStack() as stack:
        hosts = await open_hosts(stack, swarm, 5)
        victim, mallory, forger = hosts[1], hosts[2], generate_identity()
        now_unix_s = swarm.now_unix_s()
        forged = sign_record(
            forger,
            victim._network,
            "statement",
            b"send the money here",
            seq=int(now_unix_s * 1_000_000),
            expires_at_unix_s=int(now_unix_s) + 600,
            now_unix_s=now_unix_s,
        )
        with trio.fail_after(60):
            key = record_key(victim.peer_id, "statement")
            assert await mallory._driver.put_value(key, forged) == 0
            assert await hosts[4].get_record(victim.peer_id, "statement") is None


async def test_a_record_too_long_is_our_bug(pair, swarm):
    _, client = pair
    with pytest.raises(LocalProtocolError):
        await client.put_record(
            "s", bytes(16 * 1024 + 1), expires_at_unix_s=int(swarm.now_unix_s()) + 60
        )


# -- gossip -----------------------------------------------------------------------------


def accept(_source, _data) -> bool:
    return True


async def gossip_ready(publisher: Node, topic: str, receivers) -> None:
    """Publish until everybody hears it: the mesh of GossipSub takes a heartbeat to form."""
    heard = [False] * len(receivers)

    async def listen(index, receiver):
        await receiver.receive()
        heard[index] = True

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for index, receiver in enumerate(receivers):
                nursery.start_soon(listen, index, receiver)
            while not all(heard):
                await publisher.publish(topic, b"warm-up")
                await trio.sleep(0.2)
    await trio.sleep(0.3)
    for receiver in receivers:
        while True:
            try:
                receiver.receive_nowait()
            except trio.WouldBlock:
                break


async def test_gossip_reaches_everybody_once(swarm):
    async with AsyncExitStack() as stack:
        hosts = await open_hosts(stack, swarm, 6, explores=True)
        receivers = [
            await stack.enter_async_context(host.subscribe("quotes", accept)) for host in hosts
        ]
        await gossip_ready(hosts[3], "quotes", receivers)
        sent = {f"quote {index}".encode() for index in range(20)}
        for data in sent:
            await hosts[3].publish("quotes", data)
        with trio.fail_after(PATIENCE_S):
            for receiver in receivers:
                messages = [await receiver.receive() for _ in sent]
                assert {message.data for message in messages} == sent
                assert {message.source for message in messages} == {hosts[3].peer_id}
                assert {message.topic for message in messages} == {"quotes"}
        await trio.sleep(0.3)
        for receiver in receivers:
            with pytest.raises(trio.WouldBlock):
                receiver.receive_nowait()


async def test_what_a_validator_refuses_is_not_passed_on(swarm):
    async with AsyncExitStack() as stack:
        middle, left, right = await open_hosts(stack, swarm, 3)  # left - middle - right

        def picky(_source, data: bytes) -> bool:
            if data == b"poison":
                raise ValueError("a validator with a bug")
            return data != b"bad"

        in_the_middle = await stack.enter_async_context(middle.subscribe("quotes", picky))
        at_the_right = await stack.enter_async_context(right.subscribe("quotes", accept))
        await stack.enter_async_context(left.subscribe("quotes", accept))
        await gossip_ready(left, "quotes", [in_the_middle, at_the_right])
        for data in (b"bad", b"poison", b"good"):
            await left.publish("quotes", data)
        with trio.fail_after(PATIENCE_S):
            assert (await in_the_middle.receive()).data == b"good"
            assert (await at_the_right.receive()).data == b"good"
        assert middle.gossip_refused["invalid"] == 2


async def test_a_flood_is_cut_to_the_limit(swarm):
    limits = GossipConfig(source_rate_per_s=1.0, source_burst=20)
    loud = GossipConfig(source_rate_per_s=1e6)
    async with AsyncExitStack() as stack:
        hosts = await open_hosts(stack, swarm, 1, gossip=limits)
        hosts += await open_hosts(stack, swarm, 1, gossip=loud)
        await hosts[1].connect(hosts[0].addresses)
        receiver = await stack.enter_async_context(hosts[0].subscribe("quotes", accept))
        await stack.enter_async_context(hosts[1].subscribe("quotes", accept))
        await gossip_ready(hosts[1], "quotes", [receiver])
        for index in range(300):
            await hosts[1].publish("quotes", b"%d" % index)
        await until(lambda: hosts[0].gossip_refused.get("author rate", 0) > 40)
        assert receiver.statistics().current_buffer_used <= 40


async def test_a_burst_of_an_honest_node_waits_and_all_of_it_comes(swarm):
    async with AsyncExitStack() as stack:
        hosts = await open_hosts(stack, swarm, 2)
        receiver = await stack.enter_async_context(hosts[0].subscribe("quotes", accept))
        await stack.enter_async_context(hosts[1].subscribe("quotes", accept))
        await gossip_ready(hosts[1], "quotes", [receiver])
        for index in range(20):
            await hosts[1].publish("quotes", b"%d" % index)
        with trio.fail_after(PATIENCE_S):
            assert {(await receiver.receive()).data for _ in range(20)} == {
                b"%d" % index for index in range(20)
            }
        assert not hosts[0].gossip_refused


async def test_a_slow_subscriber_loses_the_newest_and_they_are_counted(swarm):
    async with AsyncExitStack() as stack:
        hosts = await open_hosts(stack, swarm, 2)
        receiver = await stack.enter_async_context(
            hosts[0].subscribe("quotes", accept, queued_max=3)
        )
        await gossip_ready(hosts[1], "quotes", [receiver])
        dropped_before = hosts[0].gossip_dropped.get("quotes", 0)
        for index in range(10):
            await hosts[1].publish("quotes", b"%d" % index)
        await until(lambda: hosts[0].gossip_dropped.get("quotes", 0) - dropped_before == 7)
        assert receiver.statistics().current_buffer_used == 3


async def test_a_message_too_long_is_our_bug(pair):
    _, client = pair
    with pytest.raises(LocalProtocolError):
        await client.publish("quotes", bytes(64 * 1024 + 1))


async def test_leaving_the_block_leaves_the_topic(pair):
    server, client = pair
    async with server.subscribe("quotes", accept) as receiver:
        await gossip_ready(client, "quotes", [receiver])
    await client.publish("quotes", b"nobody listens")
    async with server.subscribe("quotes", accept) as receiver:
        await gossip_ready(client, "quotes", [receiver])


async def test_two_subscribers_of_one_host_share_a_topic(pair):
    server, client = pair
    async with (
        server.subscribe("quotes", accept) as one,
        server.subscribe("quotes", accept) as other,
    ):
        await gossip_ready(client, "quotes", [one, other])
        await client.publish("quotes", b"for both")
        with trio.fail_after(PATIENCE_S):
            assert (await one.receive()).data == (await other.receive()).data == b"for both"
