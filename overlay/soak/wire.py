"""Attacks on a real node over loopback TCP: floods, slow streams, half-open connections."""

import itertools
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final

import trio

from overlay.errors import OverlayError
from overlay.gossip.service import GossipConfig
from overlay.host import DhtConfig, HostConfig, open_host
from overlay.identity import Identity, generate_identity
from overlay.limits.arrivals import ArrivalsConfig
from overlay.limits.budget import Ceiling, LimitsConfig
from overlay.node import Node
from overlay.protobuf import framed
from overlay.soak.handlers import fields
from overlay.soak.rows import Row, resident_mib
from overlay.transport import GossipMessage, Stream

LOOPBACK: Final = ("/ip4/127.0.0.1/tcp/0",)
TOPIC: Final = "quotes"
ECHO: Final = "/echo/1"
ATTACKERS: Final = 10
FLOOD_PER_S: Final = 1000
STREAMS: Final = 1000
HALF_OPEN: Final = 200
GROWTH_MIB_MAX: Final = 64.0
RECOVERY_S: Final = 5.0
REDIAL_S: Final = 0.1
"""How long an attacker waits when it was cut off."""
FIRST_SOURCE: Final = 66
"""Attackers come from 127.0.0.66 and the addresses after it, honest nodes from 127.0.0.1."""
AS_PUBLIC: Final = LimitsConfig(arrivals=ArrivalsConfig(local_factor=1))
"""Treats loopback addresses like those of strangers."""
SLACK_MS: Final = 50.0
"""Noise of a shared machine that is not held against the p99."""


def run(seconds: float) -> Iterator[Row]:
    """Run every attack for about *seconds* each; yield its rows when it is over."""
    attacks: list[Callable[[], Awaitable[list[Row]]]] = [
        partial(_flood, seconds, 1, "forged"),
        partial(_flood, seconds, ATTACKERS, "forged"),
        partial(_flood, seconds, ATTACKERS, "replayed"),
        partial(_flood, seconds, ATTACKERS, "sound"),
        partial(_slow_streams, False),
        partial(_slow_streams, True),
        _half_open,
        partial(_churn, seconds),
    ]
    for attack in attacks:
        yield from trio.run(attack)


@asynccontextmanager
async def _open(
    limits: LimitsConfig | None = None, identity: Identity | None = None
) -> AsyncIterator[Node]:
    config = HostConfig(
        listen_addresses=LOOPBACK,
        network="soak",
        dht=DhtConfig(explore_interval_s=0),
        gossip=GossipConfig(),
        limits=limits or LimitsConfig(),
    )
    identity = identity or generate_identity()
    async with open_host(config, identity, clock=time.time) as node:  # noqa: TID251
        yield node


async def _echo(stream: Stream) -> None:
    await stream.send(await stream.receive())


async def _flood(seconds: float, sources: int, kind: str) -> list[Row]:
    """Honest gossip before, during and after ten peers flood with messages of one *kind*.

    They are "forged" (bad signatures), "replayed" (one good message again and again) or "sound"
    (each new, and signed by who sends it). Who is banned dials again, ten times a second, from
    *sources* addresses.
    """
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        publisher, middle, reader = [
            await stack.enter_async_context(_open(AS_PUBLIC)) for _ in range(3)
        ]
        await publisher.connect(middle.addresses)
        await reader.connect(middle.addresses)
        delays_ms: list[float] = []
        for node in (publisher, middle):
            nursery.start_soon(_follow, node, lambda _message: None)

        def note(message: GossipMessage) -> None:
            if message.source == publisher.peer_id:
                delays_ms.append(_age_ms(message))

        nursery.start_soon(_follow, reader, note)
        await trio.sleep(3)
        quiet = await _publish(publisher, delays_ms, seconds)
        before_mib = resident_mib()
        command = [sys.executable, "-m", "overlay.soak", "--sources", str(sources)]
        command += ["--kind", kind]
        command += ["--flood", *middle.addresses]
        flood = await nursery.start(partial(trio.run_process, command, check=False))
        await trio.sleep(4)
        loud = await _publish(publisher, delays_ms, seconds)
        refused = {**middle.gossip_refused, **middle.gate.refused}
        flood.terminate()
        growth_mib = resident_mib() - before_mib
        await trio.sleep(RECOVERY_S)
        after = await _publish(publisher, delays_ms, seconds / 2)
        nursery.cancel_scope.cancel()
    return [
        Row(
            f"{kind} quotes at {FLOOD_PER_S}/s from {ATTACKERS} peers at {sources} addresses, "
            "which redial when they are banned: honest p99",
            f"{quiet:.0f} ms before, {loud:.0f} ms during, {after:.0f} ms after; {refused}",
            f"at most doubled (and {SLACK_MS:.0f} ms of noise)",
            loud <= 2 * quiet + SLACK_MS and after <= 2 * quiet + SLACK_MS,
        ),
        Row(
            "memory during the flood",
            f"{growth_mib:+.0f} MiB",
            f"{GROWTH_MIB_MAX:.0f} MiB",
            growth_mib <= GROWTH_MIB_MAX,
        ),
    ]


async def _follow(node: Node, take: Callable[[GossipMessage], None]) -> None:
    async with node.subscribe(TOPIC, lambda *_: True) as messages:
        async for message in messages:
            take(message)


def _age_ms(message: GossipMessage) -> float:
    return 1000 * (time.perf_counter() - float(message.data))


async def _publish(publisher: Node, delays_ms: list[float], seconds: float) -> float:
    """Publish four messages a second; return the p99 of their delay at the reader."""
    delays_ms.clear()
    for _ in range(max(8, int(4 * seconds))):
        await publisher.publish(TOPIC, str(time.perf_counter()).encode())
        await trio.sleep(0.25)
    await trio.sleep(1)
    if len(delays_ms) < 2:
        return float("inf")
    return statistics.quantiles(delays_ms, n=100)[-1]


async def flood(addresses: list[str], sources: int, kind: str) -> None:
    """Be the attackers, in a process of their own, until killed."""
    dial, turn = trio.open_tcp_stream, itertools.count()

    async def dial_from_elsewhere(host: str, port: int) -> trio.SocketStream:
        source = f"127.0.0.{FIRST_SOURCE + next(turn) % sources}"
        return await dial(host, port, local_address=source)

    trio.open_tcp_stream = dial_from_elsewhere  # type: ignore[assignment]
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        for _ in range(ATTACKERS):
            identity = generate_identity()
            attacker = await stack.enter_async_context(_open(identity=identity))
            nursery.start_soon(_flood_from, attacker, addresses, messages_of(identity, kind))
        await trio.sleep_forever()


async def _flood_from(attacker: Node, addresses: list[str], messages: Iterator[bytes]) -> None:
    """Send *messages* for as long as the target takes them."""
    pause_s = ATTACKERS / FLOOD_PER_S * 10
    while True:
        try:
            target = await attacker.connect(addresses)
            raw = await attacker._driver.open_stream(  # noqa: SLF001  (the attacker's own)
                target, "/cocoon/soak/meshsub/1.1.0"
            )
            while True:
                await raw.write(b"".join(itertools.islice(messages, 10)))
                await trio.sleep(pause_s)
        except OverlayError:
            await trio.sleep(REDIAL_S)


def messages_of(identity: Identity, kind: str) -> Iterator[bytes]:
    """Yield framed GossipSub RPCs of one message each, without end; see `_flood`."""
    rng = random.Random(identity.public_key)  # noqa: S311  (garbage)
    author = bytes.fromhex("002408011220") + identity.public_key
    topic = f"cocoon/soak/{TOPIC}".encode()
    same = rng.randbytes(16)
    while True:
        source = author if kind != "forged" else author[:6] + rng.randbytes(32)
        data = same if kind == "replayed" else str(time.perf_counter()).encode()
        parts = [(1, source), (2, data), (3, rng.randbytes(8)), (4, topic)]
        body = fields(*parts)
        signed = bytes(64) if kind == "forged" else identity.sign(b"libp2p-pubsub:" + body)
        yield framed(fields((2, body + fields((5, signed)))))


async def _slow_streams(trickles: bool) -> list[Row]:
    """Open a thousand streams that never say anything, or that say a byte every second.

    Honest requests are served meanwhile, and the slow ones cut after their time.
    """
    limits = LimitsConfig(first_frame_s=5.0, work=Ceiling(4096, 4096, 512))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(_open(limits))
        honest = await stack.enter_async_context(_open())
        attackers = [await stack.enter_async_context(_open()) for _ in range(4)]
        server.serve(ECHO, _echo, streams_max=2000)
        await honest.connect(server.addresses)
        before_mib = resident_mib()
        opened: list[Stream] = []
        for attacker in attackers:
            await attacker.connect(server.addresses)
            opened += await _open_silent(attacker, server, STREAMS // len(attackers))
        held, served = server.gate.streams.total, 0
        async with trio.open_nursery() as nursery:
            if trickles:
                nursery.start_soon(_trickle, opened)
            for _ in range(20):
                with trio.move_on_after(5):
                    served += await honest.request(server.peer_id, ECHO, b"x") == b"x"
            growth_mib = resident_mib() - before_mib
            await trio.sleep(limits.first_frame_s + limits.stall_s + 7)
            nursery.cancel_scope.cancel()
        left = server.gate.streams.total
    what = "streams that say a byte a second" if trickles else "silent streams"
    return [
        Row(
            f"{len(opened)} {what} ({held} held): honest requests",
            f"{served} of 20 served, {growth_mib:+.0f} MiB with their senders, {left} streams left",
            "20 of 20, at most 40 streams left",
            served == 20 and left <= 40,
        )
    ]


async def _trickle(streams: list[Stream]) -> None:
    """Begin a frame of 100 bytes on every stream, and never end it."""
    for turn in itertools.count():
        piece = (100).to_bytes(4, "big") if turn == 0 else b"x"
        for stream in streams:
            with suppress(OverlayError):
                await stream._raw.write(piece)  # type: ignore[attr-defined]  # noqa: SLF001
        await trio.sleep(1)


async def _open_silent(attacker: Node, server: Node, count: int) -> list[Stream]:
    opened = []
    for _ in range(count):
        with suppress(OverlayError):
            opened.append(await attacker.open_stream(server.peer_id, ECHO))
    return opened


async def _half_open() -> list[Row]:
    """Connect sockets that never begin a handshake; let honest nodes in meanwhile."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(_open())
        server.serve(ECHO, _echo, streams_max=8)
        port = int(server.addresses[0].split("/")[4])
        for _ in range(HALF_OPEN):
            socket = await trio.open_tcp_stream("127.0.0.1", port)
            stack.push_async_callback(trio.aclose_forcefully, socket)
        await trio.sleep(1)
        held = server.gate.handshakes.total
        start_s = trio.current_time()
        served = False
        while not served and trio.current_time() - start_s < 60:
            served = await _try_once(server)
        waited_s = trio.current_time() - start_s
    return [
        Row(
            f"{HALF_OPEN} half-open connections ({held} held): an honest node",
            f"served after {waited_s:.1f} s" if served else "not served",
            "served within 30 s",
            served and waited_s <= 30,
        )
    ]


async def _try_once(server: Node) -> bool:
    async with _open() as honest:
        with trio.move_on_after(5):
            try:
                await honest.connect(server.addresses)
                return await honest.request(server.peer_id, ECHO, b"x") == b"x"
            except OverlayError:
                await trio.sleep(0.5)
    return False


async def _churn(seconds: float) -> list[Row]:
    """Let nodes come and go; memory and tasks of the process must stay flat."""
    async with _open() as anchor:
        anchor.serve(ECHO, _echo, streams_max=64)
        for _ in range(10):
            await _visit(anchor)
        before_mib, before_tasks = resident_mib(), trio.lowlevel.current_statistics().tasks_living
        end_s, visits = trio.current_time() + seconds, 0
        while trio.current_time() < end_s:
            await _visit(anchor)
            visits += 1
        await trio.sleep(12)
        growth_mib = resident_mib() - before_mib
        tasks = trio.lowlevel.current_statistics().tasks_living - before_tasks
    allowed_mib = 16 + visits * 0.02
    return [
        Row(
            f"{visits} nodes came, spoke and left",
            f"{growth_mib:+.1f} MiB, {tasks:+d} tasks",
            f"at most {allowed_mib:.0f} MiB and 20 tasks",
            growth_mib <= allowed_mib and tasks <= 20,
        )
    ]


async def _visit(anchor: Node) -> None:
    async with _open() as guest:
        await guest.connect(anchor.addresses)
        await guest.request(anchor.peer_id, ECHO, b"x")
        await guest.find_providers(b"model")
