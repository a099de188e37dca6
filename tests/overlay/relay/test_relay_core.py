"""A relay's books: no ceiling is ever passed, whatever peers do."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.errors import RemoteProtocolError
from overlay.ids import PeerId
from overlay.relay.core import RelayConfig, RelayCore
from overlay.relay.wire import (
    Kind,
    Message,
    Status,
    decode_hop,
    decode_stop,
    encode_hop,
    encode_stop,
)

PEERS = [PeerId(name) for name in "ABCDEF"]
CONFIG = RelayConfig(
    reservations=3, reservations_per_prefix=2, reservation_s=60, circuits=5,
    circuits_per_source=2, circuits_per_prefix=3, circuits_per_target=3,
)  # fmt: skip
A_PEER = PeerId("12D3KooWJj4H2h25ZgApBWmUAgFenArh6axMpMYKSxrQ7F9sjRgN")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.sampled_from(PEERS), st.sampled_from(["", "p", "q"])),
        st.tuples(st.just("open"), st.sampled_from(PEERS), st.sampled_from(PEERS)),
        st.tuples(st.just("close"), st.integers(0, 5), st.just("")),
        st.tuples(st.just("release"), st.sampled_from(PEERS), st.just("")),
        st.tuples(st.just("wait"), st.integers(0, 90), st.just("")),
    ),
    max_size=60,
)


@given(steps)
def test_no_ceiling_is_passed(script) -> None:
    core, now_s, open_circuits = RelayCore(CONFIG), 1000.0, []
    for step, one, other in script:
        if step == "reserve":
            expires = core.reserve(one, other, now_s)
            assert expires in (0, int(now_s) + 60)
        elif step == "open":
            prefix = "p" if one < "D" else ""
            if core.open(one, prefix, other, now_s) is Status.OK:
                assert one != other
                assert other in core
                open_circuits.append((one, prefix, other))
        elif step == "close" and open_circuits:
            core.close(*open_circuits.pop(one % len(open_circuits)))
        elif step == "release":
            core.release(one)
        elif step == "wait":
            now_s += one
        assert len(core) <= 3
        assert core.circuits == len(open_circuits) <= 5
        for peer in PEERS:
            assert sum(source == peer for source, _, _ in open_circuits) <= 2
            assert sum(target == peer for _, _, target in open_circuits) <= 3
        assert sum(prefix == "p" for _, prefix, _ in open_circuits) <= 3
        prefixes = [each.prefix for each in core._reservations.values()]
        assert all(prefixes.count(prefix) <= 2 for prefix in ("p", "q"))


def test_a_reservation_is_renewed_even_when_the_relay_is_full() -> None:
    core = RelayCore(CONFIG)
    for name in "ABC":
        assert core.reserve(PeerId(name), "", 0.0) == 60
    assert core.reserve(PeerId("D"), "", 1.0) == 0
    assert core.reserve(PeerId("A"), "", 30.0) == 90
    assert core.open(PeerId("D"), "", PeerId("B"), 60.0) is Status.NO_RESERVATION
    assert core.open(PeerId("D"), "", PeerId("A"), 60.0) is Status.OK


messages = st.builds(
    Message,
    st.sampled_from([Kind.CONNECT, Kind.STATUS]),
    st.sampled_from([None, A_PEER]),
    st.sampled_from(Status),
    duration_s=st.integers(0, 2**32 - 1),
    data_bytes=st.integers(0, 2**64 - 1),
)


@given(messages)
def test_messages_survive_the_wire(message) -> None:
    assert decode_hop(encode_hop(message)[1 + (len(encode_hop(message)) > 128) :]) == message
    assert decode_stop(encode_stop(message)[1 + (len(encode_stop(message)) > 128) :]) == message


def test_a_reservation_survives_the_wire() -> None:
    way = f"/ip4/8.8.4.4/tcp/1/p2p/{A_PEER}/p2p-circuit"
    message = Message(
        Kind.STATUS, status=Status.OK, expires_at_unix_s=2**40, addresses=(way,), data_bytes=1
    )
    assert decode_hop(encode_hop(message)[1:]) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data) -> None:
    for decode in (decode_hop, decode_stop):
        try:
            assert isinstance(decode(data), Message)
        except RemoteProtocolError as error:
            assert error.penalty == 10
