"""AutoNAT v2: one address at a time, paid for where it is not the asker's, proved by a nonce."""

import random
import time

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from overlay import DhtConfig, HostConfig, PeerId, RemoteProtocolError, generate_identity, open_host
from overlay.addresses import without_peer
from overlay.driver import ByteStream
from overlay.errors import OverlayError
from overlay.node import Node
from overlay.reach.autonat2 import TARGET_RATE, TOLL_BYTES, Answerer, AutoNat2, Dial
from overlay.reach.autonat2_wire import (
    REQUEST_PROTOCOL,
    Answer,
    Data,
    DialStatus,
    Question,
    Status,
    Toll,
    decode,
    decode_back,
    encode,
    encode_back,
    was_taken,
)
from overlay.reach.dialback import PEER_RATE, TOTAL_RATE, Reply
from overlay.reach.punch import tcp_ip
from overlay.reach.verdict import port_of
from overlay.relay.core import RelayConfig

WAIT_S = 20.0
HERE = "/ip4/8.8.4.4/tcp/50123"
OWN, OTHER, SIX, PRIVATE = (
    "/ip4/8.8.4.4/tcp/4001",
    "/ip4/9.9.9.9/tcp/4001",
    "/ip6/2001:4860::1/tcp/4001",
    "/ip4/192.168.1.7/tcp/4001",
)
QUIC = "/ip4/8.8.4.4/udp/4001/quic-v1"
TOLL = 30_000


def open_test_host(**options):
    options.setdefault("listen_addresses", ("/ip4/127.0.0.1/tcp/0",))
    config = HostConfig(network="test", dht=DhtConfig(explore_interval_s=0), **options)
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


def answerer(observed: str = HERE, versions=(4,)) -> Answerer:
    def can_dial(address: str) -> bool:
        kinds = [f"ip{each}" for each in versions]
        return address.split("/")[1] in kinds and ("quic" in versions or "quic" not in address)

    return Answerer(observed, can_dial, TOLL)


@pytest.mark.parametrize(
    ("named", "observed", "versions", "step"),
    [
        ([OWN], HERE, (4,), Dial(0, OWN, 7, paid=False)),
        (["", "/ip4/8.8.4.4/udp/1", OWN], HERE, (4,), Dial(2, OWN, 7, paid=False)),
        ([OTHER, OWN], HERE, (4,), Toll(0, TOLL)),
        ([SIX, OWN], HERE, (4,), Dial(1, OWN, 7, paid=False)),
        ([SIX], HERE, (4, 6), Toll(0, TOLL)),
        ([QUIC, OWN], HERE, (4,), Dial(1, OWN, 7, paid=False)),
        ([QUIC, OWN], HERE, (4, "quic"), Dial(0, QUIC, 7, paid=False)),
        ([OWN], QUIC, (4,), Dial(0, OWN, 7, paid=False)),
        ([PRIVATE], HERE, (4,), Answer(Status.DIAL_REFUSED)),
        ([PRIVATE], "/ip4/192.168.1.7/tcp/9", (4,), Dial(0, PRIVATE, 7, paid=False)),
        (["/ip4/224.0.0.9/tcp/1"], HERE, (4,), Answer(Status.DIAL_REFUSED)),
        ([OWN], "", (4,), Answer(Status.DIAL_REFUSED)),
        ([], HERE, (4,), Answer(Status.DIAL_REFUSED)),
    ],
)
def test_the_first_address_that_may_be_dialed_is_chosen(named, observed, versions, step) -> None:
    assert answerer(observed, versions).take(Question(tuple(named), 7)) == step


@given(st.lists(st.binary(min_size=1, max_size=4096), min_size=1, max_size=40))
def test_a_foreign_address_is_dialed_only_when_its_toll_is_paid(parts) -> None:
    asked = answerer()
    assert asked.take(Question((OTHER,), 7)) == Toll(0, TOLL)
    paid = 0
    for each in parts:
        paid += len(each)
        step = asked.take(Data(each))
        assert (step is None) == (paid < TOLL)
        if step is not None:
            assert step == Dial(0, OTHER, 7, paid=True)
            return


@pytest.mark.parametrize(
    "messages",
    [
        [Data(b"x")],
        [Question((OTHER,), 1), Data(b"")],
        [Question((OTHER,), 1), Question((OTHER,), 1)],
        [Toll(0, 1)],
        [Answer(Status.OK)],
    ],
)
def test_whoever_speaks_out_of_turn_is_refused(messages) -> None:
    asked = answerer()
    for each in messages[:-1]:
        asked.take(each)
    with pytest.raises(RemoteProtocolError):
        asked.take(messages[-1])


class Talker:
    """A stream whose other side has said all that it says."""

    prefix = ""

    def __init__(self, *said: bytes, peer: str = "1") -> None:
        self.peer_id = PeerId(peer)
        self._said, self.heard = b"".join(said), b""

    async def read(self, bytes_max: int) -> bytes:
        await trio.lowlevel.checkpoint()
        data, self._said = self._said[:bytes_max], self._said[bytes_max:]
        return data

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.heard += data

    async def finish(self) -> None:
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        await trio.lowlevel.checkpoint()


def make(dials: list[str], here: str = HERE) -> AutoNat2:
    async def dial(_peer: PeerId, address: str, _nonce: int) -> Reply:
        await trio.lowlevel.checkpoint()
        dials.append(address)
        return Reply.REACHED

    rng = random.Random(1)  # noqa: S311  (tolls)
    return AutoNat2(lambda _peer: here, lambda _address: True, dial, rng=rng)


async def served(autonat: AutoNat2, *said: bytes, peer: str = "1") -> Answer | Toll:
    talker = Talker(*said, peer=peer)
    await autonat.serve_request(talker)
    return decode(talker.heard[1:])


async def test_no_peer_makes_us_dial_more_often_than_its_share() -> None:
    dials: list[str] = []
    autonat, question = make(dials), encode(Question((OWN,), 1))
    said = [await served(autonat, question) for _ in range(20)]
    assert said[0] == Answer(Status.OK, 0, DialStatus.OK)
    assert dials == [OWN] * PEER_RATE.burst
    assert said[PEER_RATE.burst :] == [Answer(Status.REQUEST_REJECTED)] * (20 - PEER_RATE.burst)


async def test_many_peers_together_do_not_either() -> None:
    dials: list[str] = []
    autonat, question = make(dials), encode(Question((OWN,), 1))
    for number in range(100):
        await served(autonat, question, peer=str(number))
    assert TOTAL_RATE.burst <= len(dials) <= TOTAL_RATE.burst + 4


async def test_nor_do_they_make_us_dial_one_victim() -> None:
    dials: list[str] = []
    autonat, paid = make(dials), [encode(Data(bytes(4000)))] * 26
    for number in range(10):
        asker = Talker(encode(Question((OTHER,), 1)), *paid, peer=str(number))
        await autonat.serve_request(asker)
    assert dials == [OTHER] * TARGET_RATE.burst


async def test_who_does_not_pay_gets_no_dial() -> None:
    dials: list[str] = []
    talker = Talker(encode(Question((OTHER,), 1)), encode(Data(bytes(4000))))
    await make(dials).serve_request(talker)
    toll = decode(talker.heard[1:])
    assert isinstance(toll, Toll)
    assert TOLL_BYTES[0] <= toll.size_bytes <= TOLL_BYTES[1]
    assert dials == []


async def test_a_claim_without_its_dial_is_not_believed() -> None:
    lie = encode(Answer(Status.OK, 0, DialStatus.OK))
    with pytest.raises(RemoteProtocolError, match="did not come"):
        await make([]).ask(Talker(lie), [OWN])
    assert await make([]).ask(Talker(encode(Answer(Status.OK, 0, DialStatus.DIAL_ERROR))), [OWN])
    for said in (Answer(Status.OK, 1, DialStatus.DIAL_ERROR), Toll(0, TOLL_BYTES[1] + 1)):
        with pytest.raises(RemoteProtocolError):
            await make([]).ask(Talker(encode(said)), [OWN])


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        (Answer(Status.REQUEST_REJECTED), Reply.BUSY),
        (Answer(Status.DIAL_REFUSED), Reply.UNKNOWN),
        (Answer(Status.OK, 0, DialStatus.DIAL_BACK_ERROR), Reply.ANOTHER),
        (Answer(Status.OK, 0, DialStatus.DIAL_ERROR), Reply.SILENT),
    ],
)
async def test_what_the_answer_means(said, reply) -> None:
    assert (await make([]).ask(Talker(encode(said)), [OWN]))[0] is reply


# -- on real sockets --


async def ask(asker: Node, other: Node, *addresses: str) -> tuple[Reply, str]:
    with trio.fail_after(WAIT_S):
        answer = await asker.ask_dialback(other.peer_id, addresses)
    return answer.reply, answer.dialed


def at(port: int) -> str:
    return f"/ip4/127.0.0.1/tcp/{port}"


async def test_a_dial_back_tells_who_answers_at_an_address() -> None:
    async with open_test_host() as asker, open_test_host() as other, open_test_host() as third:
        await asker.connect(other.addresses)
        own, foreign = (at(port_of(each.addresses[0])) for each in (asker, third))
        assert await ask(asker, other, own) == (Reply.REACHED, own)
        assert await ask(asker, other, foreign) == (Reply.ANOTHER, foreign)
        assert await ask(asker, other, at(9)) == (Reply.SILENT, at(9))
        assert (await ask(asker, other, "/ip4/10.9.8.7/tcp/1"))[0] is Reply.UNKNOWN
        assert other.connected_peers() == (asker.peer_id,), "no dial back stays open"
        with trio.fail_after(WAIT_S):
            while asker.connected_peers() != (other.peer_id,):  # noqa: ASYNC110
                await trio.sleep(0.02)


async def test_a_dial_back_by_quic_tells_who_answers_there() -> None:
    by_quic = {"listen_addresses": ("/ip4/127.0.0.1/udp/0/quic-v1",), "quic": True}
    async with (
        open_test_host(**by_quic) as asker,
        open_test_host(**by_quic) as other,
        open_test_host(**by_quic) as third,
        open_test_host() as without,
    ):
        await asker.connect(other.addresses)
        own, foreign = (without_peer(each.addresses[0]) for each in (asker, third))
        nobody = "/ip4/127.0.0.1/udp/9/quic-v1"
        assert await ask(asker, other, own) == (Reply.REACHED, own)
        assert await ask(asker, other, foreign) == (Reply.ANOTHER, foreign)
        assert await ask(asker, other, nobody) == (Reply.SILENT, nobody)
        assert other.connected_peers() == (asker.peer_id,), "no dial back stays open"
        await other.connect(without.addresses)
        assert (await ask(other, without, own))[0] is Reply.UNKNOWN, "it does not speak QUIC"


async def test_a_toll_is_asked_for_and_paid(monkeypatch) -> None:
    """On loopback no address is a foreign one: here all are."""
    tolls: list[int] = []

    def begin(self: Answerer, question: Question) -> Toll:
        self._dial = Dial(0, question.addresses[0], question.nonce, paid=True)
        tolls.append(self._left_bytes)
        return Toll(0, self._left_bytes)

    monkeypatch.setattr(Answerer, "_begin", begin)
    async with open_test_host() as asker, open_test_host() as other:
        await asker.connect(other.addresses)
        own = at(port_of(asker.addresses[0]))
        assert await ask(asker, other, own) == (Reply.REACHED, own)
    assert TOLL_BYTES[0] <= tolls[0] <= TOLL_BYTES[1]


async def test_identify_tells_how_others_see_us() -> None:
    async with open_test_host() as one, open_test_host() as other:
        await one.connect(other.addresses)
        with trio.fail_after(WAIT_S):
            while not one.observed:  # noqa: ASYNC110
                await trio.sleep(0.05)
        assert one.observed[0].startswith("/ip4/127.0.0.1/tcp/")
        assert not any("/p2p-circuit" in each for each in one.addresses)


async def test_who_comes_through_a_relay_is_not_dialed_back() -> None:
    async with (
        open_test_host(relay=RelayConfig()) as relay,
        open_test_host(
            relays=(relay.addresses[0],), announce_addresses=("/ip4/127.0.0.1/tcp/9",)
        ) as hidden,
        open_test_host() as asker,
    ):
        with trio.fail_after(WAIT_S):
            while not (ways := [a for a in hidden.addresses if "/p2p-circuit" in a]):  # noqa: ASYNC110
                await trio.sleep(0.05)
        await asker.connect(ways)
        assert (await ask(asker, hidden, at(9)))[0] is Reply.UNKNOWN


async def test_a_peer_that_does_not_speak_it_is_no_answer() -> None:
    async def hang_up(raw: ByteStream) -> None:
        await raw.reset()

    async with open_test_host() as asker, open_test_host() as other:
        await asker.connect(other.addresses)
        other._driver.serve(REQUEST_PROTOCOL, hang_up)
        with pytest.raises(OverlayError):
            await ask(asker, other, at(9))


# -- the wire --

texts = st.lists(st.sampled_from([OWN, OTHER, SIX]), max_size=4).map(tuple)
numbers = st.integers(0, 2**32 - 1)
messages = (
    st.builds(Question, texts, st.integers(0, 2**64 - 1))
    | st.builds(Answer, st.sampled_from(Status), numbers, st.sampled_from(DialStatus))
    | st.builds(Toll, numbers, st.integers(0, 2**64 - 1))
    | st.builds(Data, st.binary(max_size=100))
)


@given(messages, st.integers(0, 2**64 - 1))
def test_messages_survive_the_wire(message, nonce) -> None:
    framed = encode(message)
    assert decode(framed[1 if len(framed) <= 128 else 2 :]) == message
    assert decode_back(encode_back(nonce)[1:]) == nonce


@given(st.binary(max_size=100))
def test_any_bytes_are_a_message_or_a_fault_of_the_peer(data) -> None:
    for read in (decode, decode_back, was_taken):
        try:
            read(data)
        except RemoteProtocolError as error:
            assert error.penalty > 0


@given(st.lists(st.sampled_from([OWN, OTHER, SIX, PRIVATE, "", "/dns/x/tcp/1"])))
def test_what_is_dialed_is_the_askers_or_public(named) -> None:
    step = answerer(HERE, (4, 6)).take(Question(tuple(named), 1))
    if not isinstance(step, Answer):
        ip = tcp_ip(named[step.index])
        assert ip is not None
        assert ip.is_global
        assert isinstance(step, Toll) == (ip != tcp_ip(HERE))
