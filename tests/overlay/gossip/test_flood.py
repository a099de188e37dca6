"""What a flood of gossip may cost a node, counted on whole nodes in virtual time."""

import itertools
import math
from collections import Counter
from contextlib import AsyncExitStack

import pytest
import trio
from trio.testing import MockClock

from overlay import OverlayError, _libp2p_gossip, generate_identity
from overlay._libp2p_gossip import PROMPT
from overlay._libp2p_memory import open_memory_ether
from overlay.memory import EPOCH_UNIX_S
from overlay.node import Node
from overlay.protobuf import framed
from overlay.soak.flooders import MESHSUB, TOPIC, messages_of

SECONDS = 4
FLOOD_PER_S = 100
HONEST_PER_S = 4
HONEST = SECONDS * HONEST_PER_S


async def flooded(kind: str, monkeypatch, packed: int = 1, *, jammed: bool = False) -> Counter[str]:
    """Let one attacker flood a node that an honest one publishes to; count what that costs.

    Each RPC has *packed* messages. When it is *jammed*, the node gives nobody a turn.
    """
    counted: Counter[str] = Counter()
    check = _libp2p_gossip.signed_by_its_author

    def checked(message) -> bool:
        counted["checks"] += not message.data.startswith(b"honest")
        return check(message)

    monkeypatch.setattr(_libp2p_gossip, "signed_by_its_author", checked)
    async with (
        open_memory_ether(network="soak", clock=_clock, between=lambda *_: 0.01) as ether,
        trio.open_nursery() as nursery,
        AsyncExitStack() as stack,
    ):
        attacker_id = generate_identity()
        target = await stack.enter_async_context(ether.open_host(generate_identity()))
        honest = await stack.enter_async_context(ether.open_host(generate_identity()))
        attacker = await stack.enter_async_context(ether.open_host(attacker_id))

        def validate(source, _data) -> bool:
            counted["honest" if source == honest.peer_id else "validated"] += 1
            return True

        await stack.enter_async_context(target.subscribe(TOPIC, validate))
        await honest.connect(target.addresses)
        await attacker.connect(target.addresses)
        await trio.sleep(3)
        if jammed:
            target._driver._pubsub._turnstile._turns.begin(math.inf)
        nursery.start_soon(_publish, honest)
        rpcs = _packed(messages_of(attacker_id, kind), packed)
        counted["sent"] = packed * await _flood(attacker, target, rpcs)
        await trio.sleep(SECONDS)
        counted["banned"] = int(target.gate.banned(attacker.peer_id))
    return counted


async def _publish(honest: Node) -> None:
    for number in range(HONEST):
        await honest.publish(TOPIC, b"honest %d" % number)
        await trio.sleep(1 / HONEST_PER_S)


async def _flood(attacker: Node, target: Node, messages) -> int:
    sent = 0
    try:
        stream = await attacker._driver.open_stream(target.peer_id, MESHSUB)
        for _ in range(SECONDS * FLOOD_PER_S // 10):
            await stream.write(b"".join(itertools.islice(messages, 10)))
            sent += 10
            await trio.sleep(10 / FLOOD_PER_S)
    except OverlayError:
        pass  # cut off
    return sent


def _packed(messages, count: int):
    while True:
        parts = [_unframed(each) for each in itertools.islice(messages, count)]
        yield framed(b"".join(parts))


def _clock() -> float:
    return EPOCH_UNIX_S + trio.current_time()


async def test_forged_messages_cost_six_checks_and_then_the_connection(
    monkeypatch, autojump_clock: MockClock
) -> None:
    counted = await flooded("forged", monkeypatch)
    assert counted["checks"] <= 6
    assert counted["validated"] == 0
    assert counted["honest"] == HONEST
    assert counted["banned"]
    assert counted["sent"] < 200


async def test_replays_cost_one_check(monkeypatch, autojump_clock: MockClock) -> None:
    counted = await flooded("replayed", monkeypatch)
    assert counted["checks"] == counted["validated"] == 1
    assert counted["honest"] == HONEST
    assert counted["sent"] == SECONDS * FLOOD_PER_S


async def test_sound_messages_cost_what_a_new_author_may_and_then_the_connection(
    monkeypatch, autojump_clock: MockClock
) -> None:
    counted = await flooded("sound", monkeypatch)
    assert counted["checks"] == counted["validated"]
    assert 10 <= counted["checks"] <= 20
    assert counted["honest"] == HONEST
    assert counted["banned"]
    assert counted["sent"] < 200


async def test_many_messages_in_one_rpc_cost_no_more(
    monkeypatch, autojump_clock: MockClock
) -> None:
    counted = await flooded("sound", monkeypatch, packed=100)
    assert 10 <= counted["checks"] <= 20
    assert counted["honest"] == HONEST
    assert counted["banned"]


def _unframed(message: bytes) -> bytes:
    for size in (1, 2):
        if framed(message[size:]) == message:
            return message[size:]
    raise AssertionError(message)


async def test_an_honest_neighbour_does_not_wait_for_a_turn(
    monkeypatch, autojump_clock: MockClock
) -> None:
    counted = await flooded("sound", monkeypatch, jammed=True)
    assert counted["checks"] <= PROMPT.burst
    assert counted["honest"] == HONEST


@pytest.mark.parametrize("kind", ["forged", "replayed", "sound", "throw-away"])
def test_a_kind_of_flood_is_what_it_says(kind: str) -> None:
    messages = list(itertools.islice(messages_of(generate_identity(), kind), 5))
    ids, authors = set(), set()
    for each in messages:
        message = _libp2p_gossip.rpc_pb2.RPC.FromString(_unframed(each)).publish[0]
        ids.add(_libp2p_gossip.content_id(message))
        authors.add(message.from_id)
        assert _libp2p_gossip.signed_by_its_author(message) == (kind != "forged")
    assert len(ids) == (1 if kind == "replayed" else 5)
    assert len(authors) == (5 if kind in ("forged", "throw-away") else 1)
