"""Hole punching: what is decided, for any network between the two; and what is dialed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay import RemoteProtocolError
from overlay.reach.punch import (
    QUIC_ADDRESSES_MAX,
    RTT_S_MAX,
    Answerer,
    Asker,
    Dial,
    Role,
    own_candidates,
    worth_dialing,
)
from overlay.reach.punch_wire import ADDRESSES_MAX, Kind, Message, decode, encode
from overlay.relay.wire import MESSAGE_BYTES_MAX

ONE = "/ip4/8.8.4.4/tcp/4001"
OTHER = "/ip4/1.1.1.1/tcp/4002"
LAN = "/ip4/192.168.1.7/tcp/4001"
delays = st.floats(0, RTT_S_MAX / 2)
octets, ports = st.integers(0, 255), st.integers(0, 70_000)
addresses = st.builds(
    "/ip4/{}.{}.{}.{}/{}".format, octets, octets, octets, octets,
    st.builds("tcp/{}".format, ports) | st.builds("udp/{}/quic-v1".format, ports),
)  # fmt: skip
messages = st.one_of(
    st.builds(Message, st.sampled_from(Kind), st.lists(addresses, max_size=12).map(tuple)),
    st.builds(Message, st.just(Kind.SYNC)),
)  # fmt: skip


def talk(there_s: float, back_s: float, start_s: float = 100.0) -> tuple[Dial, Dial]:
    """Let both cores talk over a relay with these delays; return who dials what and when."""
    asker, answerer = Asker([ONE], []), Answerer([OTHER], [])
    reply = answerer.take(asker.start(start_s), start_s + there_s)
    assert isinstance(reply, Message)
    sync, asked = asker.take(reply, start_s + there_s + back_s)
    answered = answerer.take(sync, start_s + 2 * there_s + back_s)
    assert isinstance(answered, Dial)
    return asked, answered


@given(there_s=delays, back_s=delays)
def test_both_dial_at_once_but_for_the_difference_between_the_two_ways(there_s, back_s) -> None:
    asked, answered = talk(there_s, back_s)
    assert abs(asked.at_s - answered.at_s) <= abs(there_s - back_s) / 2 + 1e-6
    assert (asked.role, answered.role) == (Role.SERVER, Role.CLIENT)
    assert (asked.addresses, answered.addresses) == ((OTHER,), (ONE,))


@given(st.lists(messages, max_size=4))
def test_an_answerer_dials_only_after_a_connect_and_a_sync(said) -> None:
    answerer = Answerer([OTHER], [])
    for index, message in enumerate(said):
        expected = (Kind.CONNECT, Kind.SYNC)[index] if index < 2 else None
        if message.kind is not expected:
            with pytest.raises(RemoteProtocolError):
                answerer.take(message, 1.0)
            return
        step = answerer.take(message, 1.0)
        assert isinstance(step, Dial) == (index == 1)
        if isinstance(step, Dial):
            return


def test_an_asker_takes_no_sync_and_no_late_answer() -> None:
    for answer, at_s in ((Message(Kind.SYNC), 1.0), (Message(Kind.CONNECT), RTT_S_MAX + 1.1)):
        asker = Asker([ONE], [])
        asker.start(1.0)
        with pytest.raises(RemoteProtocolError):
            asker.take(answer, at_s)


@given(st.lists(addresses | st.text(max_size=30)), st.lists(st.just("8.8.4.4"), max_size=1))
def test_nobody_is_made_to_dial_what_is_not_public(named, behind) -> None:
    import ipaddress

    chosen = worth_dialing(named, behind)
    assert len(chosen) <= ADDRESSES_MAX
    for each in chosen:
        ip = ipaddress.ip_address(each.split("/")[2])
        assert ip.is_global or behind
        assert not (ip.is_loopback or ip.is_multicast or ip.is_link_local or ip.is_unspecified)
        assert 0 < int(each.split("/")[4]) < 1 << 16


def test_private_addresses_are_dialed_only_behind_the_same_nat() -> None:
    assert worth_dialing([ONE, LAN], ["1.2.3.4"]) == (ONE,)
    assert worth_dialing([ONE, LAN], ["8.8.4.4"]) == (ONE, LAN)
    assert worth_dialing([LAN], ["192.168.1.7"]) == ()


def test_what_others_see_comes_first_then_the_guess_that_the_nat_keeps_ports() -> None:
    mapped = ("/ip4/8.8.4.4/tcp/50123",)
    announced = (LAN, "/ip4/127.0.0.1/tcp/4001", "/ip4/1.1.1.1/tcp/1/ws")
    assert own_candidates(mapped, announced) == (*mapped, ONE, LAN)


def test_a_nat_is_guessed_to_keep_the_port_of_quic_too() -> None:
    mapped = ("/ip4/8.8.4.4/tcp/50123", "/ip6/2001:4860::1/tcp/4001")
    own = (LAN, "/ip4/192.168.1.7/udp/4001/quic-v1")
    found = own_candidates(mapped, own)
    assert found == (*mapped, ONE, "/ip4/8.8.4.4/udp/4001/quic-v1", *own)


def test_few_addresses_of_quic_are_dialed_and_none_crowds_out_tcp() -> None:
    quic = [f"/ip4/8.8.4.{n}/udp/4001/quic-v1" for n in range(9)]
    tcp = [f"/ip4/8.8.4.{n}/tcp/4001" for n in range(9)]
    left = ADDRESSES_MAX - QUIC_ADDRESSES_MAX
    assert worth_dialing(quic + tcp, []) == (*tcp[:left], *quic[:QUIC_ADDRESSES_MAX])
    assert worth_dialing(tcp, []) == tuple(tcp[:ADDRESSES_MAX])


@given(messages)
def test_messages_survive_the_wire(message) -> None:
    framed = encode(message)
    length = len(framed) - (1 if len(framed) <= 128 else 2)
    body = framed[len(framed) - length :]
    back = decode(body)
    assert back.kind is message.kind
    assert len(back.addresses) <= ADDRESSES_MAX
    assert set(back.addresses) <= set(message.addresses)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_fault_of_the_peer(data) -> None:
    try:
        decode(data)
    except RemoteProtocolError as error:
        assert error.penalty > 0


def test_a_message_beyond_its_bound_is_refused_unread() -> None:
    with pytest.raises(RemoteProtocolError, match="too long"):
        decode(bytes(MESSAGE_BYTES_MAX + 1))
