"""AutoNAT v1: who asks is dialed where it comes from, and nobody else."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from overlay import PeerId, RemoteProtocolError
from overlay.errors import OverlayError
from overlay.reach.autonat import DIALED_MAX, AutoNat, worth_dialing_back
from overlay.reach.autonat_wire import Answer, Question, Status, decode, encode
from overlay.reach.dialback import PEER_RATE, Reply
from overlay.reach.verdict import ip_of

ASKER = PeerId("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")
OTHER = PeerId("12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq")
HERE = "/ip4/8.8.4.4/tcp/50123"
octets = st.sampled_from(["8.8.4.4", "8.8.8.8", "127.0.0.1", "10.0.0.1"])
addresses = st.lists(st.builds("/ip4/{}/tcp/{}".format, octets, st.integers(0, 70_000)))


@given(addresses | st.lists(st.text(max_size=20)), st.sampled_from([HERE, "", "/dns/x/tcp/1"]))
def test_only_the_address_that_the_question_came_from_is_dialed(named, observed) -> None:
    chosen = worth_dialing_back(named, observed)
    assert len(chosen) <= DIALED_MAX
    assert all(ip_of(each) == ip_of(observed) for each in chosen)
    if not observed:
        assert chosen == ()


def server(*, dials: list[str], here: str = HERE) -> AutoNat:
    async def dial(_peer: PeerId, address: str) -> Reply:
        await trio.lowlevel.checkpoint()
        dials.append(address)
        return Reply.REACHED if address.endswith("/4001") else Reply.SILENT

    return AutoNat(lambda _peer: here, dial)


@pytest.mark.parametrize(
    ("named", "status"),
    [
        (["/ip4/8.8.4.4/tcp/4001"], Status.OK),
        (["/ip4/8.8.4.4/tcp/9", "/ip4/8.8.4.4/tcp/4001"], Status.OK),
        (["/ip4/8.8.4.4/tcp/9"], Status.DIAL_ERROR),
        (["/ip4/1.1.1.1/tcp/4001"], Status.DIAL_REFUSED),
        ([], Status.DIAL_REFUSED),
    ],
)
async def test_the_answer_says_what_came_of_it(named, status) -> None:
    dials: list[str] = []
    answer = await server(dials=dials)._answer(ASKER, Question(ASKER, tuple(named)))
    assert answer.status is status
    assert all(ip_of(each) == "8.8.4.4" for each in dials)


async def test_nobody_asks_for_another_peer_through_a_relay_or_too_often() -> None:
    dials: list[str] = []
    question = Question(ASKER, ("/ip4/8.8.4.4/tcp/4001",))
    asked = await server(dials=dials)._answer(OTHER, question)
    assert asked.status is Status.BAD_REQUEST
    asked = await server(dials=dials, here="")._answer(ASKER, question)
    assert asked.status is Status.DIAL_REFUSED
    assert dials == []
    busy = server(dials=dials)
    said = [(await busy._answer(ASKER, question)).status for _ in range(3 * PEER_RATE.burst)]
    assert said.count(Status.OK) == len(dials) == PEER_RATE.burst


@given(
    st.builds(Question, st.just(ASKER), st.lists(st.just(HERE), max_size=5).map(tuple))
    | st.builds(Answer, st.sampled_from(Status), st.text(max_size=30), st.sampled_from([HERE, ""]))
)
def test_messages_survive_the_wire(message) -> None:
    framed = encode(message)
    assert decode(framed[1 if len(framed) <= 128 else 2 :]) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_fault_of_the_peer(data) -> None:
    try:
        decode(data)
    except OverlayError as error:
        assert isinstance(error, RemoteProtocolError)
