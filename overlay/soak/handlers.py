"""A running node whose every protocol is fed with damaged messages, over real sockets.

`overlay.soak.fuzz` feeds the decoders; here the same garbage comes through Noise and yamux to the
handlers of one node, on streams that end in every way, and as bytes on raw sockets. The attacker is
a new peer every few hundred inputs. The node does not ban here: that would spare its handlers.
"""

import gc
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import trio

from overlay.dht.wire import Kind, Message, encode_framed
from overlay.driver import ByteStream
from overlay.errors import OverlayError
from overlay.host import DhtConfig, HostConfig, open_host
from overlay.identity import Identity, generate_identity
from overlay.limits.arrivals import ArrivalsConfig
from overlay.limits.budget import Ceiling, LimitsConfig
from overlay.node import Node
from overlay.protobuf import framed, varint
from overlay.reach import autonat2_wire as autonat2
from overlay.relay import wire as relay_wire
from overlay.relay.core import RelayConfig
from overlay.rendezvous import wire as rendezvous
from overlay.rendezvous.core import RendezvousConfig
from overlay.rendezvous.peer_record import seal
from overlay.rpc.frame import encode_frame
from overlay.soak.fuzz import LENGTH_MAX, mutate
from overlay.soak.rows import Row, resident_mib
from overlay.transport import PeerAddress, Stream

NETWORK: Final = "soak"
LOOPBACK: Final = ("/ip4/127.0.0.1/tcp/0",)
ECHO: Final = "/echo/1"
TOPIC: Final = "news"
INPUTS_PER_PEER: Final = 400
AT_ONCE: Final = 6
"""Attackers at the same time."""
INPUTS_PER_STREAM: Final = 16
SOCKETS_SHARE: Final = 0.05
STREAM_S: Final = 5.0
ANSWER_S: Final = 0.01
HONEST_S: Final = 10.0
SETTLE_S: Final = 15.0
GROWTH_MIB_MAX: Final = 64.0
TASKS_MAX: Final = 24
_ROOMY: Final = LimitsConfig(
    arrivals=ArrivalsConfig(local_factor=100_000), streams=Ceiling(100_000, 100_000, 100_000)
)
Damage = Callable[[random.Random, Sequence[bytes]], bytes]
_GREETING: Final = b"\x13/multistream/1.0.0\n\x07/noise\n"


def run(inputs: int, *, seed: int = 1) -> list[Row]:
    """Feed *inputs* inputs to a node of the overlay; return one row."""
    return trio.run(_run, inputs, seed)


async def _run(inputs: int, seed: int) -> list[Row]:
    async with open_subject() as subject:
        return [await attack(subject, inputs, seeds_of(subject), seed=seed)]


@asynccontextmanager
async def open_subject() -> AsyncIterator[Node]:
    """A node that serves all that the overlay has: DHT, gossip, relay, echo."""
    config = HostConfig(
        listen_addresses=LOOPBACK,
        network=NETWORK,
        relay=RelayConfig(),
        rendezvous_point=RendezvousConfig(),
        limits=_ROOMY,
        dht=DhtConfig(explore_interval_s=0),
    )
    async with (
        open_host(config, generate_identity(), clock=time.time) as node,  # noqa: TID251
        node.subscribe(TOPIC, lambda *_: True),
    ):
        node.serve(ECHO, _echo, streams_max=256)
        yield node


async def _echo(stream: Stream) -> None:
    while True:
        await stream.send(await stream.receive())


def protocols_of(node: Node) -> list[str]:
    """Return the protocols that *node* answers to."""
    host: Any = node._driver._host  # type: ignore[attr-defined]  # noqa: SLF001  (its handlers)
    return sorted(str(each) for each in host.get_mux().handlers if each is not None)


def seeds_of(node: Node) -> dict[str, list[bytes]]:
    """Return valid messages by the end of a protocol's name; they are then damaged."""
    peer = PeerAddress(node.peer_id, ("/ip4/8.8.8.8/tcp/4001",))
    dht = [
        encode_framed(Message(kind, b"key" * 8, b"value", (peer,), (peer,)))
        for kind in (Kind.PUT_VALUE, Kind.GET_VALUE, Kind.ADD_PROVIDER, Kind.GET_PROVIDERS)
    ]
    hop = [
        relay_wire.encode_hop(relay_wire.Message(relay_wire.Kind.RESERVE)),
        relay_wire.encode_hop(relay_wire.Message(relay_wire.Kind.CONNECT, node.peer_id)),
    ]
    stop = [relay_wire.encode_stop(relay_wire.Message(relay_wire.Kind.CONNECT, node.peer_id))]
    envelope = seal(Identity(b"f" * 32), peer.addresses, 1)
    questions = (
        autonat2.Question(("/ip4/127.0.0.1/tcp/9", *peer.addresses), 7),
        autonat2.Question(peer.addresses, 7),
        autonat2.Data(bytes(4096)),
    )
    meeting = [
        rendezvous.encode(rendezvous.Register("soak", envelope, 60)),
        rendezvous.encode(rendezvous.Discover("soak", 10, bytes(24))),
        rendezvous.encode(rendezvous.Unregister("soak")),
    ]
    return {
        "/kad/1.0.0": dht,
        "/meshsub/1.1.0": gossip_seeds(),
        "/hop": hop,
        "/stop": stop,
        "/rendezvous/1.0.0": meeting,
        "/ping/1.0.0": [bytes(32)],
        "/ticket/1": [encode_frame(b""), encode_frame(bytes(9))],
        "/dial-request": [autonat2.encode(each) for each in questions],
        "/dial-back": [autonat2.encode_back(7)],
        "": [encode_frame(b"body"), encode_frame(bytes(200))],
    }


def gossip_seeds() -> list[bytes]:
    """Return RPCs of GossipSub, written by hand: protobuf fields of bytes and text."""
    topic = f"cocoon/{NETWORK}/{TOPIC}".encode()
    author = bytes.fromhex("002408011220") + bytes(32)
    message = fields((1, author), (2, b"hello"), (3, bytes(8)), (4, topic), (5, bytes(64)))
    graft, prune = fields((1, topic)), fields((1, topic))
    ihave = fields((1, topic), (2, bytes(20)), (2, bytes(20)))
    control = fields((1, ihave), (2, fields((1, bytes(20)))), (3, graft), (4, prune))
    subscribe = b"\x08\x01" + fields((2, topic))
    return [framed(fields(part)) for part in ((2, message), (3, control), (1, subscribe))]


def fields(*parts: tuple[int, bytes]) -> bytes:
    """Return protobuf fields of bytes or text."""
    return b"".join(bytes([number << 3 | 2, *varint(len(v))]) + v for number, v in parts)


@dataclass(slots=True)
class _Attack:
    seeds: Mapping[str, Sequence[bytes]]
    rng: random.Random
    damage: Damage
    inputs: int = 0
    streams: int = 0
    refused: int = 0
    peers: int = 0
    honest: int = 0
    honest_failed: int = 0


async def attack(
    subject: Node,
    inputs: int,
    seeds: Mapping[str, Sequence[bytes]],
    *,
    seed: int = 1,
    damage: Damage | None = None,
) -> Row:
    """Feed *inputs* damaged messages to *subject*; return the row about it.

    Args:
        subject: a node that listens on loopback and serves `ECHO`.
        inputs: how many.
        seeds: valid messages, by the end of a protocol's name; "" for all others.
        seed: of the garbage.
        damage: returns a damaged message, given a generator and the valid ones; `damaged` if None.
    """
    rng = random.Random(seed)  # noqa: S311  (repeatable garbage)
    damage = damage or damaged
    subject.gate.blame = lambda *_: None  # type: ignore[method-assign]
    await _attack_as_peer(subject, INPUTS_PER_PEER, _Attack(seeds, rng, damage))  # fills caches
    done = _Attack(seeds, rng, damage)
    await trio.sleep(0.5)
    before_mib, before_tasks = resident_mib(), trio.lowlevel.current_statistics().tasks_living
    while done.inputs < inputs:
        share = min(INPUTS_PER_PEER, -(-(inputs - done.inputs) // AT_ONCE))
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(_attack_as_peer, subject, share, done)
        done.honest += 1
        done.honest_failed += not await _serves(subject)
    with trio.move_on_after(SETTLE_S):
        while trio.lowlevel.current_statistics().tasks_living > before_tasks:  # noqa: ASYNC110
            await trio.sleep(0.2)
    gc.collect()
    growth_mib = resident_mib() - before_mib
    tasks = trio.lowlevel.current_statistics().tasks_living - before_tasks
    return Row(
        f"{done.inputs} damaged inputs to the {len(protocols_of(subject))} protocols of a running "
        f"node, {done.streams} streams of {done.peers} peers ({done.refused} ended early)",
        f"{done.honest_failed} of {done.honest} honest requests between failed, "
        f"{growth_mib:+.1f} MiB, {tasks:+d} tasks",
        f"no request fails, at most {GROWTH_MIB_MAX:.0f} MiB and {TASKS_MAX} tasks",
        not done.honest_failed and growth_mib <= GROWTH_MIB_MAX and tasks <= TASKS_MAX,
        {
            "inputs": done.inputs,
            "protocols": len(protocols_of(subject)),
            "peers": done.peers,
            "honest_requests": done.honest,
            "honest_failed": done.honest_failed,
            "growth_mib": growth_mib,
            "growth_tasks": tasks,
        },
    )


async def _attack_as_peer(subject: Node, inputs: int, done: _Attack) -> None:
    protocols, left = protocols_of(subject), inputs
    seeds, rng = done.seeds, done.rng
    done.peers += 1
    async with _open_attacker() as attacker:
        while left > 0:
            if rng.random() < SOCKETS_SHARE:
                await _attack_socket(subject, rng)
                done.inputs += 1
                left -= 1
                continue
            protocol = rng.choice(protocols)
            valid = next(seeds[each] for each in seeds if protocol.endswith(each))
            pieces = [done.damage(rng, valid) for _ in range(rng.randrange(1, INPUTS_PER_STREAM))]
            done.inputs += len(pieces)
            left -= len(pieces)
            done.streams += 1
            try:
                with trio.move_on_after(STREAM_S):
                    await attacker.connect(subject.addresses)
                    raw = await attacker._driver.open_stream(subject.peer_id, protocol)  # noqa: SLF001
                    await _feed(raw, pieces, rng)
            except OverlayError:
                done.refused += 1


async def _feed(raw: ByteStream, pieces: list[bytes], rng: random.Random) -> None:
    try:
        for piece in pieces:
            await raw.write(piece)
            if rng.random() < 0.1:
                await trio.lowlevel.checkpoint()
        if rng.random() < 0.5:
            await raw.finish()
            with trio.move_on_after(ANSWER_S):
                await raw.read(1 << 16)
    finally:
        await raw.reset()


async def _attack_socket(subject: Node, rng: random.Random) -> None:
    """Send garbage where the handshake is expected."""
    port = int(subject.addresses[0].split("/")[4])
    data = rng.choice((b"", _GREETING)) + damaged(rng, [_GREETING, bytes(2) + bytes(64)])
    try:
        async with await trio.open_tcp_stream("127.0.0.1", port) as socket:
            await socket.send_all(data)
            with trio.move_on_after(ANSWER_S):
                await socket.receive_some(4096)
    except (OSError, trio.BrokenResourceError):
        return


def damaged(rng: random.Random, valid: Sequence[bytes]) -> bytes:
    """Return garbage, or one of the *valid* messages with some bytes changed."""
    if rng.random() < 0.2:
        return rng.randbytes(rng.randrange(LENGTH_MAX))
    return mutate(rng, rng.choice(valid))


async def _serves(subject: Node) -> bool:
    async with _open_attacker() as honest:
        with trio.move_on_after(HONEST_S):
            await honest.connect(subject.addresses)
            stream = await honest.open_stream(subject.peer_id, ECHO)
            await stream.send(b"x")
            return await stream.receive() == b"x"
    return False


@asynccontextmanager
async def _open_attacker() -> AsyncIterator[Node]:
    config = HostConfig(
        listen_addresses=LOOPBACK, network=NETWORK, dht=DhtConfig(explore_interval_s=0)
    )
    async with open_host(config, generate_identity(), clock=time.time) as node:  # noqa: TID251
        yield node
