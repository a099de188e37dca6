"""QUIC as datagrams in and datagrams out: who is let in, windows that follow the reader."""

import pytest
from aioquic.quic.packet import QuicPacketType, pull_quic_header  # noqa: TID251  (as a stranger)
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay import _aioquic as quic
from overlay import generate_identity
from overlay._aioquic import KNOCKS, Door, Quic, configuration, events
from overlay.errors import RemoteProtocolError
from overlay.tls_certificate import OwnCertificate, make_certificate
from tests.overlay.test_tls_certificate import NOW_UNIX_S, build

CLIENT, SERVER = generate_identity(), generate_identity()
HERE, THERE = ("127.0.0.1", 1), ("127.0.0.1", 2)


class Wire:
    """A client and a server with a door, and a clock that goes 1 ms for each turn."""

    def __init__(self, shown: OwnCertificate | None = None, *, anonymous: bool = False) -> None:
        own = shown or make_certificate(CLIENT, NOW_UNIX_S)
        settings = configuration(own, is_client=True)
        if anonymous:
            settings.certificate = settings.private_key = None
        self.now_s = 0.0
        self.client = Quic(configuration=settings)
        self.server: Quic | None = None
        self.door = Door()
        self.sent_away = 0
        self.heard: dict[str, list] = {"client": [], "server": []}
        self.client.connect(THERE, self.now_s)

    def turn(self) -> None:
        self.now_s += 0.001
        for data, _ in self.client.datagrams_to_send(self.now_s):
            if self.server is None:
                self._knock(data)
            if self.server is not None:
                self.server.receive_datagram(data, HERE, self.now_s)
        if self.server is not None:
            for data, _ in self.server.datagrams_to_send(self.now_s):
                self.client.receive_datagram(data, THERE, self.now_s)
        for name, side in (("client", self.client), ("server", self.server)):
            if side is None:
                continue
            if (timer_s := side.get_timer()) is not None and timer_s <= self.now_s:
                side.handle_timer(self.now_s)
            while (event := side.next_event()) is not None:
                self.heard[name].append(event)

    def _knock(self, data: bytes) -> None:
        knock = self.door.knock(data, HERE, self.now_s)
        if knock.answer:
            self.sent_away += 1
            assert len(knock.answer) < len(data)
            self.client.receive_datagram(knock.answer, THERE, self.now_s)
        if knock.accepted is not None:
            own = make_certificate(SERVER, NOW_UNIX_S)
            self.server = Quic(configuration=configuration(own, is_client=False), **knock.accepted)

    def has_shaken(self) -> bool:
        return all(
            any(isinstance(each, events.HandshakeCompleted) for each in heard)
            for heard in self.heard.values()
        )

    def until_shaken(self) -> "Wire":
        for _ in range(60):
            self.turn()
            if self.has_shaken():
                return self
        raise AssertionError("no end")

    def received(self) -> int:
        chunks = [e for e in self.heard["server"] if isinstance(e, events.StreamDataReceived)]
        return sum(len(each.data) for each in chunks)


def test_both_sides_know_each_other_after_the_client_was_sent_away_once() -> None:
    wire = Wire().until_shaken()
    assert wire.sent_away == 1
    assert wire.client.proven(NOW_UNIX_S).peer_id == SERVER.peer_id
    assert wire.server.proven(NOW_UNIX_S).peer_id == CLIENT.peer_id


def test_a_client_without_a_certificate_proves_nobody() -> None:
    wire = Wire(anonymous=True).until_shaken()
    with pytest.raises(RemoteProtocolError, match="not one certificate"):
        wire.server.proven(NOW_UNIX_S)


def test_a_certificate_that_is_not_libp2ps_proves_nobody() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    wire = Wire(OwnCertificate(build(key=key, extension=b""), key)).until_shaken()
    with pytest.raises(RemoteProtocolError, match="without the extension"):
        wire.server.proven(NOW_UNIX_S)


def test_a_stolen_certificate_does_not_help_without_its_key() -> None:
    theirs = make_certificate(SERVER, NOW_UNIX_S).certificate
    wire = Wire(OwnCertificate(theirs, ec.generate_private_key(ec.SECP256R1())))
    for _ in range(60):
        wire.turn()
    assert not any(isinstance(e, events.HandshakeCompleted) for e in wire.heard["server"])


def test_a_flood_of_strangers_is_answered_at_a_bounded_rate() -> None:
    """From addresses that are made up, so that no limit for one address holds."""
    client = Quic(configuration=configuration(make_certificate(CLIENT, NOW_UNIX_S), is_client=True))
    client.connect(THERE, 0.0)
    ((first, _),) = client.datagrams_to_send(0.0)[:1]
    door = Door()
    for now_s, answered in ((0.0, KNOCKS.burst), (1.0, KNOCKS.rate_per_s)):
        knocks = [door.knock(first, (f"9.9.{n >> 8}.{n & 255}", 1), now_s) for n in range(2000)]
        assert sum(bool(each.answer) for each in knocks) == answered


def test_the_windows_open_as_bytes_are_read_and_not_as_they_come() -> None:
    wire = Wire().until_shaken()
    stream_id = wire.client.get_next_available_stream_id()
    total = 3 * quic.STREAM_WINDOW_BYTES
    wire.client.send_stream_data(stream_id, bytes(total), end_stream=True)
    for _ in range(3000):
        wire.turn()
    assert wire.received() == quic.STREAM_WINDOW_BYTES
    assert wire.client.unacknowledged_bytes(stream_id) == total - quic.STREAM_WINDOW_BYTES
    read = 0
    for _ in range(6000):
        if wire.received() > read:
            wire.server.note_read(stream_id, wire.received() - read)
            read = wire.received()
        wire.turn()
        if read == total:
            break
    assert read == total


def test_the_window_of_a_connection_holds_whatever_the_number_of_streams() -> None:
    wire = Wire().until_shaken()
    for _ in range(6):
        stream_id = wire.client.get_next_available_stream_id()
        wire.client.send_stream_data(stream_id, bytes(quic.STREAM_WINDOW_BYTES))
    for _ in range(9000):
        wire.turn()
    assert wire.received() == quic.CONNECTION_WINDOW_BYTES


def test_a_stream_that_both_ended_is_over_and_an_abandoned_one_too() -> None:
    wire = Wire().until_shaken()
    ended, abandoned = 0, 4
    for stream_id in (ended, abandoned):
        wire.client.send_stream_data(stream_id, b"x", end_stream=stream_id == ended)
    for _ in range(20):
        wire.turn()
    wire.server.send_stream_data(ended, b"", end_stream=True)
    wire.client.abandon(abandoned, 0)
    for _ in range(60):
        wire.turn()
    assert any(isinstance(e, events.StreamReset) for e in wire.heard["server"])
    assert any(isinstance(e, events.StopSendingReceived) for e in wire.heard["server"])
    for side in (wire.client, wire.server):
        assert side.is_over(ended)
        assert side.is_over(abandoned)


def first_datagram() -> bytes:
    own = make_certificate(CLIENT, NOW_UNIX_S)
    client = Quic(configuration=configuration(own, is_client=True))
    client.connect(THERE, 0.0)
    return client.datagrams_to_send(0.0)[0][0]


def test_a_token_is_good_for_one_address_for_a_while() -> None:
    door, wire = Door(), Wire()
    wire.door = door
    (first, _), *_ = wire.client.datagrams_to_send(0.0)
    wire.client.receive_datagram(door.knock(first, HERE, 0.0).answer, THERE, 0.0)
    (second, _), *_ = wire.client.datagrams_to_send(0.0)
    assert door.knock(second, HERE, 1.0).accepted is not None
    assert door.knock(second, ("127.0.0.2", 1), 1.0).accepted is None
    assert door.knock(second, HERE, 100.0).accepted is None
    assert Door().knock(second, HERE, 1.0).accepted is None


def test_other_versions_are_told_ours_and_short_datagrams_nothing() -> None:
    first = first_datagram()
    other = first[:1] + b"\xba\xba\xba\xba" + first[5:]
    answer = Door().knock(other, HERE, 0.0).answer
    header = pull_quic_header(quic.Buffer(data=answer), host_cid_length=8)
    assert header.packet_type is QuicPacketType.VERSION_NEGOTIATION
    assert Door().knock(first[:1199], HERE, 0.0) == quic.Knock()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_door_and_a_connection_bear_any_bytes(data) -> None:
    first = first_datagram()
    damaged = bytearray(first)
    for _ in range(data.draw(st.integers(0, 5))):
        damaged[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    garbage = data.draw(st.one_of(st.just(bytes(damaged)), st.binary(max_size=1500)))
    door = Door()
    assert len(door.knock(garbage, HERE, 0.0).answer) <= len(garbage)
    quic.connection_id_of(garbage)
    server = Quic(
        configuration=configuration(make_certificate(SERVER, NOW_UNIX_S), is_client=False),
        original_destination_connection_id=b"12345678",
    )
    server.receive_datagram(garbage, HERE, 0.0)
    assert sum(len(each) for each, _ in server.datagrams_to_send(0.0)) <= 3 * len(garbage)
