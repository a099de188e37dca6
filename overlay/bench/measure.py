"""The measurements, each a function of the stack; run in a child process of their own."""

import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import trio

from overlay.bench.stacks import Ours, Peer, open_peer, peer_of
from overlay.errors import OverlayError, StreamClosed
from overlay.transport import Stream

ECHO: Final = "/bench/echo/1"
SINK: Final = "/bench/sink/1"
BODY: Final = bytes(100)
UPLOAD_BYTES: Final = 100 * 1_000_000
CHUNK_BYTES: Final = 64 * 1024
CONNECTIONS: Final = 40
GOSSIP_NODES: Final = 30
DHT_NODES: Final = 30
KILLED: Final = 9
DEGREE: Final = 4
TOPIC: Final = "bench"
LOCAL_CPU_MS: Final = 1.0
"""Look-ups that took less were answered from the own store, and are not counted."""

Figures = dict[str, float]


async def serve(stack: str) -> None:
    """Serve echo and sink until stdin ends; the first line of stdout is our address."""
    async with open_peer(stack) as peer:
        peer.serve(ECHO, _echo)
        peer.serve(SINK, _sink)
        _say({"addresses": peer.addresses})
        await _stdin(sys.stdin.read)


async def streams(stack: str, addresses: tuple[str, ...]) -> Figures:
    """Measure requests and an upload against the server at *addresses*."""
    server = peer_of(addresses)
    async with open_peer(stack) as peer:
        await peer.connect(addresses)
        stream = await peer.open_stream(server, ECHO)
        reused = await _times_ms(500, lambda: _ask(stream))
        await stream.aclose()
        fresh = await _times_ms(150, lambda: _ask_fresh(peer, addresses))
        upload = max([await _upload_mb_per_s(peer, addresses) for _ in range(3)])
    return {
        "request_reused_ms": statistics.median(reused),
        "request_new_stream_ms": statistics.median(fresh),
        "upload_mb_per_s": upload,
    }


async def connections(stack: str) -> Figures:
    """Measure the CPU of a new connection, both sides together."""
    async with open_peer(stack) as server, open_peer(stack) as client:
        if not isinstance(client, Ours):
            raise TypeError("only ours can hang up")
        await client.connect(server.addresses)
        before_s = time.process_time()
        for _ in range(CONNECTIONS):
            await client.reconnect(server.addresses)
        cpu_s = time.process_time() - before_s
    return {"connection_cpu_ms": 1000 * cpu_s / CONNECTIONS}


async def gossip(stack: str) -> Figures:
    """Measure the CPU of one delivery with validation over `GOSSIP_NODES` nodes."""
    rng = random.Random(1)  # noqa: S311  (a topology)
    delivered = 0
    delays_s: list[float] = []

    def deliver(data: bytes) -> None:
        nonlocal delivered
        delivered += 1
        delays_s.append(time.perf_counter() - float(data[:24]))

    async with trio.open_nursery() as nursery, AsyncExitStack() as stack_of_hosts:
        peers = [
            await stack_of_hosts.enter_async_context(open_peer(stack, gossip=True))
            for _ in range(GOSSIP_NODES)
        ]
        await _wire_up(peers, rng)
        for peer in peers:
            nursery.start_soon(peer.subscribe, TOPIC, deliver)
        await trio.sleep(5)
        before_s, messages = time.process_time(), 100
        for _ in range(messages):
            await rng.choice(peers).publish(
                TOPIC, f"{time.perf_counter():<24f}".encode().ljust(300)
            )
            await trio.sleep(0.2)
        await _until(lambda: delivered >= messages * GOSSIP_NODES, 8)
        cpu_s = time.process_time() - before_s
        nursery.cancel_scope.cancel()
    return {
        "gossip_cpu_ms_per_delivery": 1000 * cpu_s / max(1, delivered),
        "gossip_delivered_percent": 100 * delivered / (messages * GOSSIP_NODES),
        "gossip_delay_ms": 1000 * statistics.median(delays_s),
    }


async def dht(stack: str) -> Figures:
    """Measure the CPU of DHT operations, both sides, and look-ups after 30 % were killed."""
    rng = random.Random(2)  # noqa: S311  (a choice of peers)
    async with trio.open_nursery() as nursery:
        swarm = [await _start(nursery, stack) for _ in range(DHT_NODES)]
        for peer, _ in swarm[1:]:
            await peer.connect(swarm[0][0].addresses)
        for peer, _ in swarm * 2:
            await peer.explore()
        await trio.sleep(3)
        keys = [rng.randbytes(32) for _ in range(12)]
        for peer, _ in swarm[:6]:  # connect these to everybody, so that no dialing is measured
            await peer.provide(rng.randbytes(32))
            await peer.find_providers(rng.randbytes(32))
        provide_cpu = [await _cpu_ms(swarm[i % 3][0].provide, key) for i, key in enumerate(keys)]
        find_cpu, found = [], 0
        for index, key in enumerate(keys):
            asker = swarm[3 + index % 3][0]
            find_cpu.append(await _cpu_ms(asker.find_providers, key))
            found += await asker.find_providers(key) > 0
        for _, stop in swarm[-KILLED:]:
            stop.cancel()
        after_s, found_after = [], 0
        for index, key in enumerate(keys[:8]):
            start_s = time.perf_counter()
            found_after += await swarm[8 + index][0].find_providers(key) > 0
            after_s.append(time.perf_counter() - start_s)
        nursery.cancel_scope.cancel()
    return {
        "dht_provide_cpu_ms": statistics.median(provide_cpu),
        "dht_find_cpu_ms": statistics.median([each for each in find_cpu if each > LOCAL_CPU_MS]),
        "dht_found_percent": 100 * found / len(keys),
        "dht_after_kill_ms": statistics.median(
            [1000 * each for each in after_s if 1000 * each > LOCAL_CPU_MS]
        ),
        "dht_found_after_kill_percent": 100 * found_after / 8,
    }


async def idle(stack: str, addresses: tuple[str, ...]) -> Figures:
    """Measure ourselves, idle, once 50 peers (started by the parent) are connected."""
    del addresses
    async with open_peer(stack, dht=True, gossip=True) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.subscribe, TOPIC, lambda _data: None)
        _say({"addresses": peer.addresses})
        await _stdin(sys.stdin.readline)
        await trio.sleep(12)
        before_s, start_s = time.process_time(), time.perf_counter()
        await trio.sleep(20)
        share = (time.process_time() - before_s) / (time.perf_counter() - start_s)
        figures = {"idle_memory_mb": _memory_mb(), "idle_cpu_percent": 100 * share}
        nursery.cancel_scope.cancel()
    return figures


async def crowd(stack: str, addresses: tuple[str, ...], count: int) -> None:
    """Connect *count* peers to *addresses* and stay until stdin ends."""
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack_of_hosts:
        for _ in range(count):
            peer = await stack_of_hosts.enter_async_context(open_peer(stack, dht=True, gossip=True))
            await peer.connect(addresses)
            nursery.start_soon(peer.subscribe, TOPIC, lambda _data: None)
        _say({"ready": True})
        await _stdin(sys.stdin.read)
        nursery.cancel_scope.cancel()


async def _start(nursery: trio.Nursery, stack: str) -> tuple[Peer, trio.CancelScope]:
    send, receive = trio.open_memory_channel[Peer](1)
    scope = trio.CancelScope()

    async def run() -> None:
        with scope:
            async with open_peer(stack, dht=True) as peer:
                send.send_nowait(peer)
                await trio.sleep_forever()

    nursery.start_soon(run)
    return await receive.receive(), scope


async def _wire_up(peers: list[Peer], rng: random.Random) -> None:
    for index, peer in enumerate(peers):
        others = [peers[index - 1], *rng.sample(peers, DEGREE)]
        for other in others:
            if other is not peer:
                await peer.connect(other.addresses)


async def _echo(stream: Stream) -> None:
    while True:
        try:
            frame = await stream.receive()
        except StreamClosed:
            break
        await stream.send(frame)
    await stream.aclose()


async def _sink(stream: Stream) -> None:
    total_bytes = 0
    while True:
        try:
            total_bytes += len(await stream.receive())
        except StreamClosed:
            break
    await stream.send(total_bytes.to_bytes(8, "big"))
    await stream.aclose()


async def _ask(stream: Stream) -> None:
    await stream.send(BODY)
    if await stream.receive() != BODY:
        raise AssertionError("the echo changed")


async def _ask_fresh(peer: Peer, addresses: tuple[str, ...]) -> None:
    stream = await peer.open_stream(peer_of(addresses), ECHO)
    await _ask(stream)
    await stream.finish()
    try:
        await stream.receive()
    except StreamClosed:
        await stream.aclose()


async def _upload_mb_per_s(peer: Peer, addresses: tuple[str, ...]) -> float:
    stream = await peer.open_stream(peer_of(addresses), SINK)
    chunk = bytes(CHUNK_BYTES)
    start_s = time.perf_counter()
    for _ in range(UPLOAD_BYTES // CHUNK_BYTES):
        await stream.send(chunk)
    await stream.finish()
    received_bytes = int.from_bytes(await stream.receive(), "big")
    seconds = time.perf_counter() - start_s
    await stream.aclose()
    if received_bytes != UPLOAD_BYTES // CHUNK_BYTES * CHUNK_BYTES:
        raise AssertionError(f"only {received_bytes} bytes arrived")
    return received_bytes / seconds / 1e6


async def _times_ms(count: int, work: Callable[[], Awaitable[None]]) -> list[float]:
    times_ms: list[float] = []
    for _ in range(count):
        start_s = time.perf_counter()
        await work()
        times_ms.append(1000 * (time.perf_counter() - start_s))
    return times_ms


async def _cpu_ms(work: Callable[[bytes], Awaitable[object]], key: bytes) -> float:
    before_s = time.process_time()
    try:
        await work(key)
    except OverlayError as error:
        print(f"failed: {error!r}", file=sys.stderr)  # noqa: T201
    return 1000 * (time.process_time() - before_s)


async def _until(condition: Callable[[], bool], patience_s: float) -> None:
    with trio.move_on_after(patience_s):
        while not condition():  # noqa: ASYNC110  (a counter has no event)
            await trio.sleep(0.05)


def _memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


async def _stdin(read: Callable[[], str]) -> None:
    await trio.to_thread.run_sync(read, abandon_on_cancel=True)  # type: ignore[call-arg]


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201
