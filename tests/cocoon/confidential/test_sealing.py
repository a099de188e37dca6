"""What was sealed opens once, in order, for one job and direction; nothing else opens."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocoon.confidential.sealing import (
    PAD_STEP_BYTES,
    PREFIX_BYTES,
    SEAL_PUBLIC_BYTES,
    SEALED_KEY_BYTES,
    TAG_BYTES,
    Direction,
    Opener,
    SealBroken,
    Sealer,
    SealKey,
    load_seal_public,
    open_content_key,
    open_input,
    padded_size,
    seal_content_key,
    seal_input,
    segments_of,
    stream_key,
    unpadded,
    wipe,
)
from cocoon.errors import PeerMisbehaved
from cocoon.messages import SEGMENT_BYTES_MAX, Meter, OutputPiece, encode
from overlay.errors import LocalProtocolError

KEY = SealKey.generate()
TH = hashlib.sha256(b"agreed").digest()
OTHER_TH = hashlib.sha256(b"something else").digest()
CEK = bytearray(range(32))
PREFIX = b"prefix7"

Segments = list[tuple[bytes, bool]]


def sealer(
    direction: Direction = Direction.OUTPUT,
    th: bytes = TH,
    cek: bytearray = CEK,
    prefix: bytes = PREFIX,
) -> Sealer:
    return Sealer(bytearray(cek), th, direction, prefix)


def opener(
    direction: Direction = Direction.OUTPUT,
    th: bytes = TH,
    cek: bytearray = CEK,
    prefix: bytes = PREFIX,
) -> Opener:
    return Opener(bytearray(cek), th, direction, prefix)


def seal_output(*pieces: bytes, th: bytes = TH, prefix: bytes = PREFIX) -> Segments:
    out = sealer(th=th, prefix=prefix)
    ends = [index == len(pieces) - 1 for index in range(len(pieces))]
    return [(out.seal(piece, last=last), last) for piece, last in zip(pieces, ends, strict=True)]


def open_output(segments: Segments, into: Opener | None = None) -> list[bytes]:
    into = into or opener()
    pieces = [into.open(segment, last=last) for segment, last in segments]
    into.finish()
    return pieces


# --- the content key ---


def test_a_content_key_reaches_the_holder_of_the_one_time_key() -> None:
    content_key, sealed = seal_content_key(KEY.public_bytes, TH)
    assert len(KEY.public_bytes) == SEAL_PUBLIC_BYTES
    assert len(sealed) == SEALED_KEY_BYTES
    assert open_content_key(KEY, TH, sealed) == content_key
    assert len(content_key) == 32


def test_no_changed_byte_of_the_envelope_is_accepted() -> None:
    _, sealed = seal_content_key(KEY.public_bytes, TH)
    accepted = 0
    for index in range(len(sealed)):
        for bit in (0x01, 0x80):
            changed = bytearray(sealed)
            changed[index] ^= bit
            try:
                open_content_key(KEY, TH, bytes(changed))
            except SealBroken:
                continue
            accepted += 1
    assert accepted == 0


@pytest.mark.parametrize(
    "open_wrongly",
    [
        lambda sealed: open_content_key(KEY, OTHER_TH, sealed),
        lambda sealed: open_content_key(SealKey.generate(), TH, sealed),
        lambda sealed: open_content_key(KEY, TH, sealed[:-1]),
        lambda sealed: open_content_key(KEY, TH, sealed + b"\0"),
        lambda _: open_content_key(KEY, TH, b""),
    ],
    ids=["other job", "other key", "cut", "extended", "empty"],
)
def test_an_envelope_opens_for_its_key_and_job_only(
    open_wrongly: Callable[[bytes], bytearray],
) -> None:
    _, sealed = seal_content_key(KEY.public_bytes, TH)
    with pytest.raises(SealBroken):
        open_wrongly(sealed)


def test_an_envelope_with_a_key_of_another_length_is_refused() -> None:
    from cocoon.confidential import sealing

    short = sealing._SUITE.encrypt(
        bytes(31), load_seal_public(KEY.public_bytes), info=sealing._KEY_INFO + TH
    )
    with pytest.raises(SealBroken):
        open_content_key(KEY, TH, short)


def test_an_erased_key_opens_nothing() -> None:
    key = SealKey.generate()
    _, sealed = seal_content_key(key.public_bytes, TH)
    key.erase()
    with pytest.raises(SealBroken, match="no longer there"):
        open_content_key(key, TH, sealed)


@pytest.mark.parametrize(
    "public",
    [b"", bytes(SEAL_PUBLIC_BYTES - 1), b"\xff" * SEAL_PUBLIC_BYTES, bytes(SEAL_PUBLIC_BYTES)],
    ids=["empty", "short", "all ones", "all zeros"],
)
def test_nothing_is_sealed_to_what_is_no_key(public: bytes) -> None:
    with pytest.raises(SealBroken):
        seal_content_key(public, TH)


def test_a_broken_seal_is_the_peers_fault() -> None:
    assert issubclass(SealBroken, PeerMisbehaved)


def test_each_direction_and_job_has_its_own_key() -> None:
    keys = {
        bytes(stream_key(CEK, th, direction)) for th in (TH, OTHER_TH) for direction in Direction
    }
    assert len(keys) == 4


def test_wiping_overwrites_in_place() -> None:
    key = bytearray(b"secret")
    alias = memoryview(key)
    wipe(key)
    assert bytes(alias) == bytes(6)


def test_streams_do_not_need_the_content_key_after_they_began() -> None:
    content_key = bytearray(CEK)
    out = Sealer(content_key, TH, Direction.OUTPUT, PREFIX)
    wipe(content_key)
    assert opener().open(out.seal(b"x", last=True), last=True) == b"x"


def test_a_stream_wipes_its_own_key_once_it_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytearray] = []

    def watched(content_key: bytearray, th: bytes, direction: Direction) -> bytearray:
        made.append(stream_key(content_key, th, direction))
        return made[-1]

    monkeypatch.setattr("cocoon.confidential.sealing.stream_key", watched)
    opener()
    assert made == [bytearray(32)]


# --- streams ---


@settings(deadline=None)
@given(st.lists(st.binary(max_size=100), min_size=1, max_size=8))
def test_output_pieces_of_any_size_come_out_as_they_went_in(pieces: list[bytes]) -> None:
    assert open_output(seal_output(*pieces)) == pieces


@pytest.mark.parametrize(
    "size_bytes",
    [0, 1, 255, 256, *(SEGMENT_BYTES_MAX + n for n in (-1, 0, 1)), 2 * SEGMENT_BYTES_MAX - 1],
)
def test_inputs_round_trip_at_every_segment_border(size_bytes: int) -> None:
    data = b"\x5a" * size_bytes
    out = sealer(Direction.INPUT)
    segments = seal_input(data, out)
    into = opener(Direction.INPUT)
    assert len(segments) == segments_of(padded_size(size_bytes))
    assert open_input(segments, len(segments), into) == data
    assert into.digest() == out.digest()


# --- sizes ---


def test_sealed_output_of_one_token_is_as_long_as_that_of_another() -> None:
    sizes = {len(seal_output(_piece(text))[0][0]) for text in ("", "a", " antidisestablishment")}
    assert sizes == {PAD_STEP_BYTES + TAG_BYTES}


def _piece(text: str) -> bytes:
    meter = Meter(prompt_tokens=60_000, output_tokens=60_000)
    return encode(OutputPiece(meter=meter, token_ids=(250_000,), text=text))


def test_the_sizes_of_a_sealed_input_tell_its_size_only_roughly() -> None:
    totals = {
        sum(map(len, seal_input(bytes(size), sealer(Direction.INPUT))))
        for size in range(9_000, 10_000)
    }
    assert len(totals) <= 3


@given(st.integers(0, 1 << 27))
def test_padding_costs_little_and_keeps_few_sizes_apart(size_bytes: int) -> None:
    padded = padded_size(size_bytes)
    assert padded - 1 - size_bytes < max(PAD_STEP_BYTES, size_bytes // 16 + 1)
    assert padded_size(padded - 1) == padded
    assert padded % PAD_STEP_BYTES == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(PAD_STEP_BYTES),
        b"x" * PAD_STEP_BYTES,
        b"x\x01",
        b"x\x01" + bytes(PAD_STEP_BYTES),
        b"x\x01" + bytes(2 * PAD_STEP_BYTES - 2),
    ],
)
def test_padding_to_any_but_the_one_right_size_is_refused(data: bytes) -> None:
    with pytest.raises(SealBroken, match="not padded"):
        unpadded(data)


def test_a_provider_that_does_not_pad_is_refused() -> None:
    plain = opener()._aead.encrypt(PREFIX + bytes(4) + b"\x01", b"abc", opener()._associated)
    with pytest.raises(SealBroken, match="not padded"):
        opener().open(plain, last=True)


def test_the_prefix_is_random_unless_given() -> None:
    prefixes = {Sealer(CEK, TH, Direction.OUTPUT).prefix for _ in range(16)}
    assert len(prefixes) == 16
    assert all(len(prefix) == PREFIX_BYTES for prefix in prefixes)


def test_no_changed_bit_of_a_segment_is_accepted() -> None:
    [(segment, _)] = seal_output(b"a short answer, in one sealed segment")
    accepted = 0
    for index in range(len(segment)):
        for bit in range(8):
            changed = bytearray(segment)
            changed[index] ^= 1 << bit
            try:
                opener().open(bytes(changed), last=True)
            except SealBroken:
                continue
            accepted += 1
    assert accepted == 0


def test_no_changed_bit_of_the_prefix_is_accepted() -> None:
    [(segment, _)] = seal_output(b"text")
    for index in range(8 * PREFIX_BYTES):
        prefix = bytearray(PREFIX)
        prefix[index // 8] ^= 1 << (index % 8)
        with pytest.raises(SealBroken):
            opener(prefix=bytes(prefix)).open(segment, last=True)


def _flag(segments: Segments, index: int, *, last: bool) -> Segments:
    return [(s, last if i == index else flag) for i, (s, flag) in enumerate(segments)]


TAMPERINGS: dict[str, Callable[[Segments, Segments, Segments], Segments]] = {
    "truncated": lambda s, _o, _j: s[:-1],
    "truncated, end claimed": lambda s, _o, _j: _flag(s[:-1], len(s) - 2, last=True),
    "first dropped": lambda s, _o, _j: s[1:],
    "middle dropped": lambda s, _o, _j: s[:1] + s[2:],
    "swapped": lambda s, _o, _j: [s[1], s[0], *s[2:]],
    "duplicated": lambda s, _o, _j: [s[0], *s],
    "last repeated": lambda s, _o, _j: [*s, s[-1]],
    "extended": lambda s, o, _j: [*s, *o],
    "end denied": lambda s, _o, _j: _flag(s, len(s) - 1, last=False),
    "early end claimed": lambda s, _o, _j: _flag(s, 0, last=True),
    "spliced with another stream of the job": lambda s, o, _j: [*s[:1], *o[1:]],
    "spliced with another job": lambda s, _o, j: [*s[:1], *j[1:]],
    "wholly another job": lambda _s, _o, j: j,
    "nothing at all": lambda _s, _o, _j: [],
    "a segment cut short": lambda s, _o, _j: [(s[0][0][:-1], False), *s[1:]],
    "a segment made longer": lambda s, _o, _j: [(s[0][0] + b"\0", False), *s[1:]],
    "less than a tag": lambda s, _o, _j: [(bytes(15), False), *s[1:]],
    "two segments joined": lambda s, _o, _j: [(s[0][0] + s[1][0], False), *s[2:]],
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_with_a_stream_never_passes(name: str) -> None:
    pieces = (b"one", b"two", b"three", b"four")
    own, other_job = seal_output(*pieces), seal_output(*pieces, th=OTHER_TH)
    other_stream = seal_output(*pieces, prefix=b"another")
    assert open_output(own) == list(pieces)
    with pytest.raises(SealBroken):
        open_output(TAMPERINGS[name](own, other_stream, other_job))


@settings(deadline=None)
@given(st.permutations(range(5)))
def test_only_the_sealed_order_opens(order: list[int]) -> None:
    pieces = [bytes([index]) for index in range(5)]
    shuffled = [seal_output(*pieces)[index] for index in order]
    if order == sorted(order):
        assert open_output(shuffled) == pieces
    else:
        with pytest.raises(SealBroken):
            open_output(shuffled)


def test_input_and_output_segments_are_not_interchangeable() -> None:
    into = sealer(Direction.INPUT).seal(b"question", last=True)
    out = sealer(Direction.OUTPUT).seal(b"answer", last=True)
    with pytest.raises(SealBroken):
        opener(Direction.OUTPUT).open(into, last=True)
    with pytest.raises(SealBroken):
        opener(Direction.INPUT).open(out, last=True)


def test_a_refused_segment_leaves_the_stream_where_it_was() -> None:
    (first, _), (second, _) = seal_output(b"one", b"two")
    into = opener()
    before = into.digest()
    with pytest.raises(SealBroken):
        into.open(second, last=True)
    assert (into.digest(), into.segments) == (before, 0)
    assert into.open(first) + into.open(second, last=True) == b"onetwo"


def test_input_segments_before_the_last_are_full() -> None:
    with pytest.raises(LocalProtocolError):
        sealer(Direction.INPUT).seal(b"short", last=False)
    with pytest.raises(SealBroken):
        opener(Direction.INPUT).open(bytes(5 + TAG_BYTES), last=False)


def test_too_long_segments_are_refused_before_they_are_opened() -> None:
    with pytest.raises(LocalProtocolError):
        sealer().seal(bytes(SEGMENT_BYTES_MAX + 1))
    with pytest.raises(SealBroken, match="cannot come here"):
        opener().open(bytes(SEGMENT_BYTES_MAX + TAG_BYTES + 1))


def test_nothing_is_sealed_after_the_end() -> None:
    out = sealer()
    out.seal(b"", last=True)
    with pytest.raises(LocalProtocolError):
        out.seal(b"more")


@pytest.mark.parametrize("prefix", [b"", b"sixsix", b"eight888"])
def test_a_prefix_of_another_length_is_refused(prefix: bytes) -> None:
    with pytest.raises(SealBroken):
        opener(prefix=prefix)


@settings(deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_garbage_is_a_broken_seal_and_nothing_else(garbage: bytes, last: bool) -> None:
    with pytest.raises(SealBroken):
        opener().open(garbage, last=last)


# --- digests ---


def test_both_sides_have_the_same_digest_after_every_segment() -> None:
    out, into = sealer(), opener()
    digests = []
    for index in range(4):
        into.open(out.seal(b"x" * index, last=index == 3), last=index == 3)
        assert into.digest() == out.digest()
        digests.append(out.digest())
    assert len(set(digests)) == 4


def test_digests_tell_jobs_directions_prefixes_and_keys_apart() -> None:
    streams = [
        sealer(),
        sealer(Direction.INPUT),
        sealer(th=OTHER_TH),
        sealer(prefix=b"another"),
        sealer(cek=bytearray(32)),
    ]
    assert len({stream.digest() for stream in streams}) == 5


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=6), max_size=4),
    st.lists(st.binary(max_size=6), max_size=4),
)
def test_digests_tell_apart_where_segments_end(one: list[bytes], other: list[bytes]) -> None:
    from cocoon.confidential.sealing import _Stream

    def digest(segments: list[bytes]) -> bytes:
        stream = _Stream(CEK, TH, Direction.OUTPUT, PREFIX)
        for segment in segments:
            stream._passed(segment, last=False)
        return stream.digest()

    assert (digest(one) == digest(other)) == (one == other)
