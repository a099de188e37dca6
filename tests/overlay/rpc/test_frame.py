"""Frames: what goes in comes out, however it is cut; nothing too long is held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay import FRAME_BYTES_MAX, LocalProtocolError, RemoteProtocolError
from overlay.rpc.frame import HEADER_BYTES, FrameReader, encode_frame


def drain(reader: FrameReader) -> list[bytes]:
    frames = []
    while (frame := reader.next_frame()) is not None:
        frames.append(frame)
    return frames


@given(st.lists(st.binary(max_size=200), max_size=8), st.lists(st.integers(1, 50), min_size=1))
def test_frames_survive_any_cut(frames: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(map(encode_frame, frames))
    reader = FrameReader()
    received: list[bytes] = []
    position = 0
    for index in range(len(wire) + 1):
        step = cuts[index % len(cuts)]
        reader.feed(wire[position : position + step])
        received += drain(reader)
        position += step
    assert received == frames
    reader.end()


@given(st.binary(max_size=300))
def test_garbage_is_frames_or_the_peers_fault_and_nothing_else(data: bytes) -> None:
    reader = FrameReader()
    reader.feed(data)
    try:
        frames = drain(reader)
        reader.end()
    except RemoteProtocolError:
        return
    assert b"".join(map(encode_frame, frames)) == data


def test_the_longest_frame_passes_and_one_byte_more_does_not() -> None:
    reader = FrameReader()
    reader.feed(encode_frame(bytes(FRAME_BYTES_MAX)))
    assert reader.next_frame() == bytes(FRAME_BYTES_MAX)
    with pytest.raises(LocalProtocolError):
        encode_frame(bytes(FRAME_BYTES_MAX + 1))


def test_an_oversized_announcement_is_refused_before_its_body_comes() -> None:
    reader = FrameReader()
    reader.feed((FRAME_BYTES_MAX + 1).to_bytes(HEADER_BYTES, "big"))
    with pytest.raises(RemoteProtocolError) as caught:
        reader.next_frame()
    assert caught.value.penalty == 10
    assert not reader.inside_frame


def test_the_end_inside_a_frame_is_the_peers_fault() -> None:
    for cut in (1, HEADER_BYTES, HEADER_BYTES + 2):
        reader = FrameReader()
        reader.feed(encode_frame(b"body")[:cut])
        assert reader.next_frame() is None
        assert reader.inside_frame
        with pytest.raises(RemoteProtocolError):
            reader.end()


def test_the_length_of_an_unfinished_frame_is_known_after_its_header() -> None:
    reader = FrameReader()
    reader.feed(b"\0\0")
    assert reader.frame_bytes == HEADER_BYTES
    reader.feed(b"\0\x09x")
    assert reader.frame_bytes == HEADER_BYTES + 9
