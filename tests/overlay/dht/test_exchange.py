"""DHT messages on streams: used again, cancelled without harm, refused when malformed."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from overlay import PeerId, PeerUnavailable, RemoteProtocolError
from overlay._memory_stream import stream_pair
from overlay.dht.exchange import IDLE_S, Exchange, answer_stream
from overlay.dht.wire import (
    MESSAGE_BYTES_MAX,
    Kind,
    Message,
    MessageReader,
    decode,
    encode,
    encode_framed,
)
from overlay.transport import PeerAddress

US, THEM = PeerId("us"), PeerId("them")
PEER = PeerAddress(THEM, ())


class Server:
    def __init__(self, nursery: trio.Nursery, latency_s: float) -> None:
        self.nursery, self.latency_s = nursery, latency_s
        self.streams = 0
        self.asked: list[Message] = []

    async def open_stream(self, _peer: PeerAddress):
        ours, theirs = stream_pair(US, THEM, self.latency_s)
        self.streams += 1
        self.nursery.start_soon(self.run, theirs)
        await trio.sleep(self.latency_s)
        return ours

    async def run(self, raw) -> None:
        try:
            await answer_stream(raw, self.answer)
        except (RemoteProtocolError, PeerUnavailable):
            pass

    def answer(self, _peer_id: PeerId, request: Message) -> Message:
        self.asked.append(request)
        if request.key == b"refused":
            raise RemoteProtocolError("refused")
        return Message(request.kind, request.key, b"value of " + request.key)


@pytest.fixture
async def server(autojump_clock: MockClock):
    async with trio.open_nursery() as nursery:
        yield Server(nursery, 0.1)
        nursery.cancel_scope.cancel()


def get(name: bytes) -> Message:
    return Message(Kind.GET_VALUE, name)


async def test_many_questions_take_one_stream(server, autojump_clock) -> None:
    exchange, answers = Exchange(server.open_stream), {}

    async def ask(name: bytes) -> None:
        answers[name] = (await exchange.ask(PEER, get(name))).value

    async with trio.open_nursery() as nursery:
        for name in (b"a", b"b", b"c"):
            nursery.start_soon(ask, name)
    assert answers == {name: b"value of " + name for name in (b"a", b"b", b"c")}
    assert server.streams == 1


async def test_a_cancelled_question_leaves_the_stream_usable(server, autojump_clock) -> None:
    exchange = Exchange(server.open_stream)
    await exchange.ask(PEER, get(b"first"))
    for _ in range(3):
        with trio.move_on_after(0.05):
            await exchange.ask(PEER, get(b"late"))
    assert (await exchange.ask(PEER, get(b"next"))).key == b"next"
    assert server.streams == 1


async def test_an_idle_stream_is_closed_and_a_new_one_opened(server, autojump_clock) -> None:
    exchange = Exchange(server.open_stream)
    await exchange.ask(PEER, get(b"a"))
    await trio.sleep(IDLE_S)
    await exchange.prune()
    assert not exchange._contacts
    await exchange.ask(PEER, get(b"a"))
    assert server.streams == 2


async def test_a_stream_that_ended_meanwhile_is_replaced(server, autojump_clock) -> None:
    exchange = Exchange(server.open_stream)
    await exchange.ask(PEER, get(b"a"))
    exchange._contacts[THEM].line.raw.break_off()
    assert (await exchange.ask(PEER, get(b"b"))).key == b"b"
    assert server.streams == 2


async def test_a_refusal_is_unavailable_and_the_next_question_works(server, autojump_clock) -> None:
    exchange = Exchange(server.open_stream)
    add = Message(Kind.ADD_PROVIDER, b"refused", providers=(PeerAddress(US, ()),))
    with pytest.raises(PeerUnavailable):
        await exchange.ask(PEER, add)
    assert (await exchange.ask(PEER, get(b"b"))).key == b"b"


async def test_an_added_provider_is_confirmed(server, autojump_clock) -> None:
    exchange = Exchange(server.open_stream)
    answer = await exchange.ask(PEER, Message(Kind.ADD_PROVIDER, b"k"))
    assert answer.kind is Kind.PING
    assert [each.kind for each in server.asked] == [Kind.ADD_PROVIDER, Kind.PING]
    assert (await exchange.ask(PEER, get(b"b"))).key == b"b"


addresses = st.sampled_from(["/ip4/8.8.8.8/tcp/1", "/ip6/2001:db8::1/tcp/9", "/dns4/x.org/tcp/1"])
peer_ids = st.sampled_from(
    [
        "12D3KooWD5SngpWB5WgGe8Xp4wSvnYWxA4qySGny1vr68XztS3Uy",
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
    ]
)
peers = st.lists(
    st.builds(PeerAddress, peer_ids, st.lists(addresses, unique=True, max_size=3).map(tuple)),
    unique_by=lambda each: each.peer_id,
    max_size=2,
).map(tuple)
messages = st.builds(
    Message,
    st.sampled_from(Kind),
    st.binary(min_size=1, max_size=80),
    st.none() | st.binary(max_size=100),
    peers,
    peers,
)


@given(messages)
def test_messages_survive_the_wire(message) -> None:
    assert decode(encode(message)) == message


@given(st.lists(messages, max_size=4), st.integers(1, 50))
def test_messages_cut_anywhere_come_out_whole(sent, step) -> None:
    data = b"".join(map(encode_framed, sent))
    reader, received = MessageReader(), []
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        while (each := reader.next_message()) is not None:
            received.append(decode(each))
    assert received == sent


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_read_and_never_more(data) -> None:
    try:
        message = decode(data)
        assert len(message.closer) <= 20
    except RemoteProtocolError:
        pass
    reader = MessageReader()
    reader.feed(data)
    try:
        while reader.next_message() is not None:
            pass
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize("length", [b"\xff\xff\xff", b"\xff\xff\x7f"])
def test_a_length_beyond_the_limit_is_refused_at_once(length) -> None:
    reader = MessageReader()
    reader.feed(length)
    with pytest.raises(RemoteProtocolError):
        reader.next_message()
    with pytest.raises(RemoteProtocolError):
        decode(bytes(MESSAGE_BYTES_MAX + 1))
