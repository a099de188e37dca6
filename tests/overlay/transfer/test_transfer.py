"""Contents arrive whole or not at all, go on where they stopped, and stay within bounds."""

import os

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from overlay import LocalProtocolError, PeerId, PeerUnavailable, RemoteProtocolError
from overlay._memory_stream import stream_pair
from overlay.rpc.stream import FrameStream
from overlay.transfer.core import (
    CHUNK_BYTES,
    INDEX_BYTES,
    Manifest,
    Receiving,
    decode_manifest,
    decode_missing,
    encode_manifest,
    encode_missing,
    make_manifest,
    split,
)
from overlay.transfer.service import MAX_AGE_S, ContentStore, manifest_of, send_file

BIG = 1 << 30


@given(st.sets(st.integers(0, 99)), st.integers(100, 200))
def test_bit_maps_say_what_is_missing(missing, chunks) -> None:
    assert decode_missing(encode_missing(missing, chunks), chunks) == sorted(missing)


@given(st.binary(max_size=200))
def test_a_manifest_is_refused_or_consistent(data) -> None:
    try:
        manifest = decode_manifest(data, size_bytes_max=BIG)
    except RemoteProtocolError:
        return
    assert len(manifest.digests) == 32 * manifest.chunks


def test_a_manifest_travels_and_names_its_content() -> None:
    data = os.urandom(CHUNK_BYTES + 5)
    manifest = make_manifest(split(data))
    assert decode_manifest(encode_manifest(manifest), size_bytes_max=BIG) == manifest
    other = make_manifest(split(data[:-1] + bytes([data[-1] ^ 1])))
    assert other.content_id != manifest.content_id
    with pytest.raises(RemoteProtocolError, match="at most"):
        decode_manifest(encode_manifest(manifest), size_bytes_max=CHUNK_BYTES)


def test_chunks_are_full_but_for_the_last() -> None:
    with pytest.raises(LocalProtocolError):
        make_manifest([b"short", b"more"])
    assert make_manifest([]) == Manifest(0, b"")


def test_only_missing_chunks_with_the_right_hash_are_taken() -> None:
    data = os.urandom(2 * CHUNK_BYTES)
    first, second = split(data)
    receiving = Receiving(make_manifest([first, second]), held=[0])
    for wrong in (b"", b"\0", (0).to_bytes(4, "big") + first, (9).to_bytes(4, "big") + second):
        with pytest.raises(RemoteProtocolError):
            receiving.take(wrong)
    with pytest.raises(RemoteProtocolError, match="hash"):
        receiving.take((1).to_bytes(4, "big") + first)
    frame = (1).to_bytes(INDEX_BYTES, "big") + second
    assert receiving.take(frame) == (1, second)
    assert receiving.complete
    with pytest.raises(RemoteProtocolError):
        receiving.take(frame)


def streams() -> tuple[FrameStream, FrameStream]:
    one, other = stream_pair(PeerId("sender"), PeerId("receiver"), 0.0)
    lingering = lambda _raw: None  # noqa: E731
    return (
        FrameStream(one, inbound=False, linger=lingering),
        FrameStream(other, inbound=True, linger=lingering),
    )


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "content"
    path.write_bytes(os.urandom(3 * CHUNK_BYTES + 17))
    return path


class Cut(Exception):
    pass


class CutStream:
    """A stream that breaks after some frames were sent."""

    def __init__(self, stream: FrameStream, frames: int) -> None:
        self.stream, self.frames = stream, frames
        self.receive = stream.receive

    async def send(self, body: bytes) -> None:
        if not self.frames:
            await self.stream.finish()
            raise Cut
        self.frames -= 1
        await self.stream.send(body)


async def transfer(path, store, frames: int = 10**6, size_bytes_max: int = BIG) -> tuple[int, str]:
    """Return how many bytes went, and how the receiver ended."""
    sender, receiver = streams()
    manifest = await manifest_of(path)
    result = []

    async def receive() -> None:
        try:
            result.append((await store.receive(receiver, size_bytes_max=size_bytes_max)).name)
        except (RemoteProtocolError, PeerUnavailable) as error:
            await receiver.reset()
            result.append(type(error).__name__)

    sent = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        try:
            sent = await send_file(CutStream(sender, frames), path, manifest)
        except (Cut, PeerUnavailable):
            pass
    return sent, result[0]


async def test_a_content_arrives_and_is_not_sent_twice(content, tmp_path) -> None:
    store = ContentStore(tmp_path / "store", bytes_max=BIG)
    manifest = await manifest_of(content)
    sent, name = await transfer(content, store)
    assert sent == manifest.size_bytes
    assert name == manifest.content_id.hex()
    assert store.path(manifest.content_id).read_bytes() == content.read_bytes()
    assert (await transfer(content, store))[0] == 0


async def test_a_broken_transfer_goes_on_where_it_stopped(content, tmp_path) -> None:
    store = ContentStore(tmp_path / "store", bytes_max=BIG)
    assert (await transfer(content, store, frames=3))[1] == "StreamClosed"
    sent, _ = await transfer(content, ContentStore(tmp_path / "store", bytes_max=BIG))
    assert sent == CHUNK_BYTES + 17
    manifest = await manifest_of(content)
    assert store.path(manifest.content_id).read_bytes() == content.read_bytes()


async def test_what_a_crash_damaged_is_sent_again(content, tmp_path) -> None:
    store = ContentStore(tmp_path / "store", bytes_max=BIG)
    await transfer(content, store, frames=4)
    [part] = (tmp_path / "store").glob("*.part")
    with part.open("r+b") as file:
        file.write(b"damaged")
    sent, _ = await transfer(content, store)
    assert sent == CHUNK_BYTES + 17


async def test_what_does_not_fit_is_refused_before_it_comes(content, tmp_path) -> None:
    small = ContentStore(tmp_path / "store", bytes_max=CHUNK_BYTES)
    assert await transfer(content, small) == (0, "RemoteProtocolError")
    wide = ContentStore(tmp_path / "store", bytes_max=BIG)
    assert (await transfer(content, wide, size_bytes_max=1000))[1] == "RemoteProtocolError"
    assert list((tmp_path / "store").iterdir()) == []


async def test_unfinished_contents_are_dropped_after_a_week(content, tmp_path) -> None:
    store = ContentStore(tmp_path / "store", bytes_max=BIG)
    await transfer(content, store, frames=3)
    [part] = (tmp_path / "store").glob("*.part")
    store.drop_old(part.stat().st_mtime + MAX_AGE_S)
    assert part.exists()
    store.drop_old(part.stat().st_mtime + MAX_AGE_S + 1)
    assert not part.exists()
