"""The network inside the process: latency, partitions, deaths, and a seed."""

import pytest
import trio
from trio.testing import MockClock

from overlay import PeerUnavailable, Stream, StreamClosed, generate_identity
from overlay.dht.service import REPUBLISH_S
from overlay.memory import PROVIDER_LIFETIME_S, open_network


async def echo(stream: Stream) -> None:
    while True:
        try:
            await stream.send(await stream.receive())
        except StreamClosed:
            return


async def test_latency_is_what_was_asked_for(autojump_clock: MockClock) -> None:
    async with (
        open_network(latency_s=0.05) as network,
        network.open_host(generate_identity()) as server,
        network.open_host(generate_identity()) as client,
    ):
        server.serve("/echo/1", echo, streams_max=1)
        await client.connect(server.addresses)
        stream = await client.open_stream(server.peer_id, "/echo/1")
        start = trio.current_time()
        await stream.send(b"x")
        await stream.receive()
        assert trio.current_time() - start == pytest.approx(0.1)
        await stream.aclose()


async def test_a_partition_breaks_streams_and_heals(autojump_clock: MockClock) -> None:
    async with (
        open_network() as network,
        network.open_host(generate_identity()) as server,
        network.open_host(generate_identity()) as client,
    ):
        server.serve("/echo/1", echo, streams_max=4)
        await client.connect(server.addresses)
        stream = await client.open_stream(server.peer_id, "/echo/1")
        network.partition(server.peer_id, client.peer_id)
        with pytest.raises(PeerUnavailable):
            await stream.receive()
        with pytest.raises(PeerUnavailable):
            await client.connect(server.addresses)
        assert client.connected_peers() == ()
        network.heal(server.peer_id, client.peer_id)
        await client.connect(server.addresses)
        assert await client.request(server.peer_id, "/echo/1", b"again") == b"again"


async def test_a_killed_peer_is_gone_and_its_block_goes_on(autojump_clock: MockClock) -> None:
    async with (
        open_network() as network,
        network.open_host(generate_identity()) as client,
        network.open_host(generate_identity()) as server,
    ):
        server.serve("/echo/1", echo, streams_max=4)
        await client.connect(server.addresses)
        stream = await client.open_stream(server.peer_id, "/echo/1")
        network.kill(server.peer_id)
        with pytest.raises(PeerUnavailable):
            await stream.receive()
        with pytest.raises(PeerUnavailable):
            await client.open_stream(server.peer_id, "/echo/1")
        with pytest.raises(PeerUnavailable):
            await server.open_stream(client.peer_id, "/echo/1")
        await trio.sleep(1)


async def test_the_record_of_a_dead_provider_fades(autojump_clock: MockClock) -> None:
    async with (
        open_network() as network,
        network.open_host(generate_identity()) as reader,
        network.open_host(generate_identity()) as provider,
    ):
        await provider.connect(reader.addresses)
        await provider.provide(b"model")
        await trio.sleep(3 * PROVIDER_LIFETIME_S + REPUBLISH_S / 2)
        assert len(await reader.find_providers(b"model")) == 1, "it was provided again"
        network.kill(provider.peer_id)
        assert len(await reader.find_providers(b"model")) == 1, "stale entries are normal"
        await trio.sleep(PROVIDER_LIFETIME_S)
        assert await reader.find_providers(b"model") == []


async def test_an_address_must_belong_to_its_peer(autojump_clock: MockClock) -> None:
    async with (
        open_network() as network,
        network.open_host(generate_identity()) as one,
        network.open_host(generate_identity()) as other,
    ):
        wrong = one.addresses[0].rpartition("/p2p/")[0] + f"/p2p/{other.peer_id}"
        with pytest.raises(PeerUnavailable):
            await other.connect([f"/memory/99/p2p/{one.peer_id}"])
        with pytest.raises(PeerUnavailable):
            await one.connect([wrong])


async def test_some_gossip_is_lost_when_asked_for(autojump_clock: MockClock) -> None:
    async with (
        open_network(seed=3, gossip_loss=0.5) as network,
        network.open_host(generate_identity()) as one,
        network.open_host(generate_identity()) as other,
    ):
        await one.connect(other.addresses)
        async with other.subscribe("t", lambda _source, _data: True) as receiver:
            for index in range(40):
                await one.publish("t", b"%d" % index)
                await trio.sleep(1)
            assert 5 < receiver.statistics().current_buffer_used < 35


async def test_a_handler_that_ends_while_its_host_closes_breaks_nothing() -> None:
    async with open_network() as network, network.open_host(generate_identity()) as asker:
        served = trio.Event()

        async def slow(stream: Stream) -> None:
            served.set()
            with trio.CancelScope(shield=True):  # as a write to the disk would be
                await trio.sleep(0.05)

        async with network.open_host(generate_identity()) as closing:
            closing.serve("/slow/1", slow, streams_max=1)
            await asker.connect(closing.addresses)
            stream = await asker.open_stream(closing.peer_id, "/slow/1")
            await stream.send(b"x")
            await served.wait()
