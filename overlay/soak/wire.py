"""Attacks on a real node over loopback TCP: slow streams, half-open connections, churn."""

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final

import trio

from overlay.errors import OverlayError
from overlay.gossip.service import GossipConfig
from overlay.host import DhtConfig, HostConfig, open_host
from overlay.identity import generate_identity
from overlay.limits.budget import Ceiling, LimitsConfig
from overlay.node import Node
from overlay.soak.rows import Row, resident_mib
from overlay.transport import Stream

LOOPBACK: Final = ("/ip4/127.0.0.1/tcp/0",)
ECHO: Final = "/echo/1"
STREAMS: Final = 1000
HALF_OPEN: Final = 200


def run(seconds: float) -> Iterator[Row]:
    """Run every attack for about *seconds* each; yield its rows when it is over."""
    attacks: list[Callable[[], Awaitable[list[Row]]]] = [
        partial(_slow_streams, False),
        partial(_slow_streams, True),
        _half_open,
        partial(_churn, seconds),
    ]
    for attack in attacks:
        yield from trio.run(attack)


@asynccontextmanager
async def _open(limits: LimitsConfig | None = None) -> AsyncIterator[Node]:
    config = HostConfig(
        listen_addresses=LOOPBACK,
        network="soak",
        dht=DhtConfig(explore_interval_s=0),
        gossip=GossipConfig(),
        limits=limits or LimitsConfig(),
    )
    async with open_host(config, generate_identity(), clock=time.time) as node:  # noqa: TID251
        yield node


async def _echo(stream: Stream) -> None:
    await stream.send(await stream.receive())


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
            {"streams": len(opened), "served": served, "growth_mib": growth_mib, "left": left},
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
            {"connections": HALF_OPEN, "held": held, "waited_s": waited_s},
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
            {"visits": visits, "growth_mib": growth_mib, "growth_tasks": tasks},
        )
    ]


async def _visit(anchor: Node) -> None:
    async with _open() as guest:
        await guest.connect(anchor.addresses)
        await guest.request(anchor.peer_id, ECHO, b"x")
        await guest.find_providers(b"model")
