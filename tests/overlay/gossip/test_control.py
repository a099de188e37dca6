"""What a stranger can make a node do and keep by control messages and subscriptions: little."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from overlay import LocalProtocolError, OverlayError, generate_identity
from overlay._libp2p_gossip import SUBSCRIBING, SUBSCRIPTIONS_MAX
from overlay._libp2p_memory import open_memory_ether
from overlay._libp2p_router import (
    ANSWERS,
    BACKOFF_S_MAX,
    ENTRIES_MAX,
    IDS_MAX,
    STRANGE_GRAFTS_MAX,
    bounded,
    rpc_pb2,
)
from overlay.gossip.limits import TOPIC_CHARS_MAX, TOPICS_MAX
from overlay.gossip.seen import ID_BYTES
from overlay.memory import EPOCH_UNIX_S
from overlay.node import Node
from overlay.protobuf import framed
from overlay.soak.census import count_entries
from overlay.soak.flooders import MESHSUB, TOPIC
from overlay.soak.handlers import fields

FOLLOWED = f"cocoon/soak/{TOPIC}"
Control = rpc_pb2.ControlMessage
Rpc = rpc_pb2.RPC

topics = st.sampled_from([FOLLOWED, "another of ours", "strange", "stranger", "x" * 1000])
ids = st.binary(max_size=ID_BYTES + 2) | st.binary(min_size=ID_BYTES, max_size=ID_BYTES)
controls = st.builds(
    lambda grafts, prunes, ihaves, iwants, idontwants: Control(
        graft=[rpc_pb2.ControlGraft(topicID=each) for each in grafts],
        prune=[rpc_pb2.ControlPrune(topicID=each, backoff=till) for each, till in prunes],
        ihave=[rpc_pb2.ControlIHave(topicID=each, messageIDs=named) for each, named in ihaves],
        iwant=[rpc_pb2.ControlIWant(messageIDs=named) for named in iwants],
        idontwant=[rpc_pb2.ControlIDontWant(messageIDs=named) for named in idontwants],
    ),
    st.lists(topics, max_size=20),
    st.lists(st.tuples(topics, st.integers(0, 2**64 - 1)), max_size=20),
    st.lists(st.tuples(topics, st.lists(ids, max_size=5)), max_size=20),
    st.lists(st.lists(ids, max_size=5), max_size=20),
    st.lists(st.lists(ids, max_size=2), max_size=2),
)


@given(controls, st.booleans())
def test_what_is_left_of_a_control_message_is_about_our_topics_once_each(control, gossips) -> None:
    ours = {FOLLOWED, "another of ours"}
    kept = bounded(control, ours, gossips=gossips)
    for entries in (kept.prune, kept.ihave):
        named = [each.topicID for each in entries]
        assert len(named) == len(set(named) & ours)
    assert all(each.backoff <= BACKOFF_S_MAX for each in kept.prune)
    grafted = [each.topicID for each in kept.graft]
    assert [grafted.count(each) for each in ours] == [
        any(each == asked.topicID for asked in control.graft) for each in ours
    ]
    assert sum(each not in ours for each in grafted) <= STRANGE_GRAFTS_MAX
    assert max(map(len, grafted), default=0) <= TOPIC_CHARS_MAX
    wanted = [named for each in kept.iwant for named in each.messageIDs]
    assert len(kept.iwant) <= 1
    assert len(wanted) == len(set(wanted))
    assert all(len(each) == ID_BYTES for each in wanted)
    assert not kept.idontwant
    assert gossips or not (kept.ihave or kept.iwant)


def test_what_an_honest_neighbour_sends_is_left_as_it_is() -> None:
    sound = Control(
        graft=[rpc_pb2.ControlGraft(topicID=FOLLOWED)],
        prune=[rpc_pb2.ControlPrune(topicID=FOLLOWED, backoff=60)],
        ihave=[rpc_pb2.ControlIHave(topicID=FOLLOWED, messageIDs=[b"i" * ID_BYTES])],
        iwant=[rpc_pb2.ControlIWant(messageIDs=[b"w" * ID_BYTES, b"v" * ID_BYTES])],
    )
    assert bounded(sound, {FOLLOWED}, gossips=True) == sound


def test_no_more_is_looked_at_than_is_kept() -> None:
    many = Control(
        prune=[rpc_pb2.ControlPrune(topicID=f"{each}") for each in range(2 * ENTRIES_MAX)],
        iwant=[rpc_pb2.ControlIWant(messageIDs=[each.to_bytes(ID_BYTES, "big")])
               for each in range(2 * ENTRIES_MAX)],
        ihave=[rpc_pb2.ControlIHave(topicID=FOLLOWED, messageIDs=[
            each.to_bytes(ID_BYTES, "big") for each in range(2 * IDS_MAX)])],
    )  # fmt: skip
    kept = bounded(many, {f"{each}" for each in range(2 * ENTRIES_MAX)} | {FOLLOWED}, gossips=True)
    assert len(kept.prune) == ENTRIES_MAX
    assert len(kept.iwant[0].messageIDs) == ENTRIES_MAX
    assert len(kept.ihave[0].messageIDs) == IDS_MAX


class Scene(NamedTuple):
    """A node, one that publishes to it, and a stranger's stream to it."""

    target: Node
    honest: Node
    stranger: Node
    say: object
    heard: list[bytes]


@asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    def clock() -> float:
        return EPOCH_UNIX_S + trio.current_time()

    heard: list[bytes] = []

    def validate(_source, data: bytes) -> bool:
        heard.append(data)
        return True

    async with (
        open_memory_ether(network="soak", clock=clock, between=lambda *_: 0.01) as ether,
        AsyncExitStack() as stack,
    ):
        target, honest, stranger = [
            await stack.enter_async_context(ether.open_host(generate_identity())) for _ in range(3)
        ]
        await stack.enter_async_context(target.subscribe(TOPIC, validate))
        await honest.connect(target.addresses)
        await stranger.connect(target.addresses)
        await trio.sleep(3)
        stream = await stranger._driver.open_stream(target.peer_id, MESHSUB)

        async def say(rpc: rpc_pb2.RPC | None = None, **parts: object) -> None:
            await stream.write(framed((rpc or Rpc(**parts)).SerializeToString()))
            await trio.sleep(0.2)

        yield Scene(target, honest, stranger, say, heard)


async def test_topics_that_are_no_text_are_nothing_to_a_node(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    no_text = fields((1, b"\xff"))
    message = fields((1, b"author"), (2, b"data"), (3, b"1"), (4, b"\xff"))
    control = fields((1, no_text), (3, no_text), (4, no_text))
    subscription = b"\x08\x01" + fields((2, b"\xff"))
    async with scene() as (target, honest, _stranger, say, heard):
        for part in ((1, subscription), (2, message), (3, control)):
            await say(Rpc.FromString(fields(part)))
        assert all(isinstance(topic, str) for topic in target._driver._pubsub.peer_topics)
        await honest.publish(TOPIC, b"heard all the same")
        await trio.sleep(2)
    assert heard == [b"heard all the same"]
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


async def test_prunes_of_a_stranger_leave_nothing_behind(autojump_clock: MockClock) -> None:
    async with scene() as (target, _honest, _stranger, say, _heard):
        before = count_entries(target._driver._pubsub._gossip)
        for part in range(20):
            prunes = [
                rpc_pb2.ControlPrune(topicID=f"{part} {each}", backoff=2**63)
                for each in range(2000)
            ]
            await say(control=Control(prune=prunes))
        after = count_entries(target._driver._pubsub._gossip)
        assert {
            name: after[name] - before[name] for name in after if after[name] > before[name] + 50
        } == {}


async def test_a_message_is_sent_again_a_few_times_however_often_one_asks(
    autojump_clock: MockClock,
) -> None:
    async with scene() as (target, _honest, _stranger, say, _heard):
        await target.publish(TOPIC, b"news" * 1000)
        router = target._driver._pubsub._gossip
        (named,) = router.mcache.msgs
        sent: list[Rpc] = []
        pushed, router.send_rpc = router.send_rpc, lambda peer, rpc, **more: sent.append(rpc)
        for _ in range(20):
            await say(control=Control(iwant=[rpc_pb2.ControlIWant(messageIDs=[named] * 2000)]))
        router.send_rpc = pushed
        answers = [len(each.publish) for each in sent if each.publish]
        assert ANSWERS.burst <= sum(answers) <= ANSWERS.burst + 1


async def test_topics_with_long_names_and_restless_subscribers_are_ignored(
    autojump_clock: MockClock,
) -> None:
    def subscriptions(count: int, name: str = "topic", *, subscribe: bool = True) -> list[object]:
        named = [f"{name} {each}" for each in range(count)]
        return [Rpc.SubOpts(subscribe=subscribe, topicid=each) for each in named]

    async with scene() as (target, honest, stranger, say, heard):
        pubsub = target._driver._pubsub
        known = set(pubsub.peer_topics)
        await say(subscriptions=subscriptions(3, "x" * TOPIC_CHARS_MAX))
        assert set(pubsub.peer_topics) == known
        await say(subscriptions=subscriptions(SUBSCRIPTIONS_MAX))
        await say(subscriptions=subscriptions(SUBSCRIPTIONS_MAX, "more"))
        assert len(set(pubsub.peer_topics) - known) == SUBSCRIPTIONS_MAX
        changes: list[object] = []
        pubsub._replay_recent_messages = lambda *_: _noted(changes)
        with pytest.raises(OverlayError):
            for _ in range(30):
                await say(subscriptions=subscriptions(20, subscribe=False))
                await say(subscriptions=subscriptions(20))
        assert len(changes) <= SUBSCRIBING.burst
        assert target.gate.banned(stranger.peer_id)
        await honest.publish(TOPIC, b"still served")
        await trio.sleep(1)
        assert b"still served" in heard


async def _noted(changes: list[object]) -> None:
    changes.append(None)


async def test_a_sound_message_with_a_swollen_envelope_is_a_fault(
    autojump_clock: MockClock,
) -> None:
    def message(seqno: bytes) -> rpc_pb2.Message:
        body = fields((1, author), (2, b"small"), (3, seqno), (4, FOLLOWED.encode()))
        signature = identity.sign(b"libp2p-pubsub:" + body)
        return rpc_pb2.Message.FromString(body + fields((5, signature)))

    async with scene() as (target, _honest, stranger, say, heard):
        identity = generate_identity()
        author = bytes.fromhex("002408011220") + identity.public_key
        await say(publish=[message(b"s" * 4096)])
        assert heard == []
        await say(publish=[message(b"seqno..8")])
        assert heard == [b"small"]
        with pytest.raises(OverlayError):
            for _ in range(20):
                await say(publish=[message(b"s" * 4096)])
        assert target.gate.banned(stranger.peer_id)


async def test_a_node_follows_no_more_topics_than_others_take_note_of(
    autojump_clock: MockClock,
) -> None:
    async with scene() as (target, *_), AsyncExitStack() as stack:
        for number in range(TOPICS_MAX - 1):
            await stack.enter_async_context(target.subscribe(f"{number}", lambda *_: True))
        with pytest.raises(LocalProtocolError, match="100 topics"):
            await stack.enter_async_context(target.subscribe("one more", lambda *_: True))
        with pytest.raises(LocalProtocolError, match="more than 128"):
            await stack.enter_async_context(target.subscribe("x" * 128, lambda *_: True))
