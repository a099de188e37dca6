import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from contracts.adnl import (
    FRAME_BYTES_MAX,
    HELLO_BYTES,
    PARAMS_BYTES,
    SIZE_BYTES,
    Session,
    accept_hello,
    client_hello,
)
from contracts.errors import InvalidData, LocalContractError

SERVER = b"\x07" * 32
KEY = bytes(SigningKey(SERVER).verify_key)
CLIENT = b"\x11" * 32
PARAMS = bytes(n * 3 % 256 for n in range(PARAMS_BYTES))
NONCE = b"\x22" * 32


def pair() -> tuple[Session, Session]:
    packet, client = client_hello(KEY, CLIENT, PARAMS)
    return client, accept_hello(SERVER, packet)


def carry(sender: Session, receiver: Session, payload: bytes) -> bytes:
    frame = sender.seal(payload, NONCE)
    assert receiver.open_size(frame[:SIZE_BYTES]) == len(frame) - SIZE_BYTES
    return receiver.open_body(frame[SIZE_BYTES:])


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=6))
def test_frames_arrive_as_they_were_sent_both_ways(talk: list[tuple[bool, bytes]]) -> None:
    client, server = pair()
    for to_server, payload in talk:
        sides = (client, server) if to_server else (server, client)
        assert carry(*sides, payload) == payload


def test_nothing_of_a_frame_can_be_read_on_the_way() -> None:
    client, _ = pair()
    frame = client.seal(b"a secret that nobody sees", NONCE)
    assert b"secret" not in frame
    assert NONCE not in frame


@pytest.mark.parametrize("position", [SIZE_BYTES, SIZE_BYTES + 33, -1])
def test_a_frame_that_was_changed_is_refused(position: int) -> None:
    client, server = pair()
    frame = bytearray(client.seal(b"payload", NONCE))
    frame[position] ^= 1
    server.open_size(bytes(frame[:SIZE_BYTES]))
    with pytest.raises(InvalidData, match="check sum"):
        server.open_body(bytes(frame[SIZE_BYTES:]))


def test_an_announced_size_is_bounded_before_anything_is_read() -> None:
    client, server = pair()
    wrong = bytes(each ^ 0xFF for each in client.seal(b"", NONCE)[:4])
    with pytest.raises(InvalidData, match="frame of"):
        server.open_size(wrong)


@pytest.mark.parametrize("position", [0, 31, 64, 95, 96, 255])
def test_a_handshake_that_was_changed_is_refused(position: int) -> None:
    packet = bytearray(client_hello(KEY, CLIENT, PARAMS)[0])
    packet[position] ^= 1
    with pytest.raises(InvalidData):
        accept_hello(SERVER, bytes(packet))


def test_a_handshake_for_another_server_or_of_another_size_is_refused() -> None:
    packet, _ = client_hello(KEY, CLIENT, PARAMS)
    with pytest.raises(InvalidData, match="another server"):
        accept_hello(b"\x08" * 32, packet)
    with pytest.raises(InvalidData, match="not a handshake"):
        accept_hello(SERVER, packet[:-1])


def test_a_key_that_is_none_is_our_own_fault() -> None:
    with pytest.raises(LocalContractError):
        client_hello(b"short", CLIENT, PARAMS)
    client, _ = pair()
    with pytest.raises(LocalContractError):
        client.seal(bytes(FRAME_BYTES_MAX), NONCE)


@given(st.binary(min_size=HELLO_BYTES, max_size=HELLO_BYTES))
def test_no_handshake_does_more_than_be_refused(packet: bytes) -> None:
    key_id = client_hello(KEY, CLIENT, PARAMS)[0][:32]
    for tried in (packet, key_id + packet[32:]):
        with pytest.raises(InvalidData):
            accept_hello(SERVER, tried)


@given(st.binary(min_size=4, max_size=200))
def test_no_bytes_in_a_session_do_more_than_be_refused(data: bytes) -> None:
    _, server = pair()
    with pytest.raises(InvalidData):
        server.open_size(data[:4])
        server.open_body(data[4:])
