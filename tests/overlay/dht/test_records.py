"""Signed records: only the owner's newest unexpired word counts."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay import Identity, LocalProtocolError, RemoteProtocolError
from overlay.dht import records
from overlay.dht.records import (
    CLOCK_SKEW_S,
    LIFETIME_S_MAX,
    RECORD_BYTES_MAX,
    VALUE_BYTES_MAX,
    RecordBody,
    SignedRecord,
    newest_record,
    open_record,
    provider_key,
    record_key,
    select_newest,
    sign_record,
)

OWNER, STRANGER = Identity(b"o" * 32), Identity(b"s" * 32)
NOW = 1_800_000_000.0
KEY = record_key(OWNER.peer_id, "statement")


def signed(
    value: bytes = b"v",
    *,
    identity: Identity = OWNER,
    seq: int = int(NOW) * 1_000_000,
    expires_at_unix_s: int = int(NOW) + 60,
) -> bytes:
    return sign_record(
        identity,
        "net",
        "statement",
        value,
        seq=seq,
        expires_at_unix_s=expires_at_unix_s,
        now_unix_s=NOW,
    )


@given(st.binary(max_size=VALUE_BYTES_MAX))
def test_what_is_signed_can_be_opened(value: bytes) -> None:
    encoded = signed(value)
    assert len(encoded) <= RECORD_BYTES_MAX
    body = open_record(encoded, "net", KEY, now_unix_s=NOW)
    assert (body.value, body.peer_id) == (value, OWNER.peer_id)


@given(st.data())
def test_a_changed_byte_is_refused(data: st.DataObject) -> None:
    encoded = bytearray(signed(b"some value"))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RemoteProtocolError):
        open_record(bytes(encoded), "net", KEY, now_unix_s=NOW)


@given(st.binary(max_size=300))
def test_garbage_is_the_peers_fault(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        open_record(data, "net", KEY, now_unix_s=NOW)
    assert select_newest([data, signed()]) == 1


def test_a_record_counts_on_its_own_network_only() -> None:
    with pytest.raises(RemoteProtocolError, match="signature"):
        open_record(signed(), "other", KEY, now_unix_s=NOW)


def test_a_record_counts_under_its_own_key_only() -> None:
    for key in (record_key(STRANGER.peer_id, "statement"), record_key(OWNER.peer_id, "x")):
        with pytest.raises(RemoteProtocolError, match="key"):
            open_record(signed(), "net", key, now_unix_s=NOW)


def test_a_stranger_cannot_sign_for_the_owner() -> None:
    body = msgspec.msgpack.encode(
        RecordBody(OWNER.peer_id, "statement", b"evil", int(NOW) * 10**6, int(NOW) + 60)
    )
    signature = STRANGER.sign(records._signed_bytes("net", body))
    forged = msgspec.msgpack.encode(SignedRecord(body, signature))
    with pytest.raises(RemoteProtocolError, match="signature"):
        open_record(forged, "net", KEY, now_unix_s=NOW)


def test_a_record_ends_at_its_expiry() -> None:
    encoded = signed(expires_at_unix_s=int(NOW) + 60)
    open_record(encoded, "net", KEY, now_unix_s=NOW + 59.9)
    with pytest.raises(RemoteProtocolError, match="expired"):
        open_record(encoded, "net", KEY, now_unix_s=NOW + 60)


def test_a_record_from_the_future_cannot_block_the_owners_next_one() -> None:
    far = int((NOW + CLOCK_SKEW_S + 1) * 1_000_000)
    with pytest.raises(RemoteProtocolError, match="future"):
        open_record(signed(seq=far), "net", KEY, now_unix_s=NOW)


@pytest.mark.parametrize(
    ("name", "value", "expires_in_s"),
    [
        ("", b"", 60),
        ("n" * 65, b"", 60),
        ("n", bytes(VALUE_BYTES_MAX + 1), 60),
        ("n", b"", 0),
        ("n", b"", LIFETIME_S_MAX + 1),
    ],
)
def test_what_others_would_refuse_is_our_bug(name: str, value: bytes, expires_in_s: int) -> None:
    with pytest.raises(LocalProtocolError):
        sign_record(
            OWNER,
            "net",
            name,
            value,
            seq=1,
            expires_at_unix_s=int(NOW) + expires_in_s,
            now_unix_s=NOW,
        )


def test_the_newest_valid_record_wins() -> None:
    base = int(NOW) * 1_000_000
    old, new = signed(b"old", seq=base), signed(b"new", seq=base + 1)
    newer_but_forged = signed(b"forged", identity=STRANGER, seq=base + 2)
    values = [old, b"junk", newer_but_forged, new]
    best = newest_record(values, "net", KEY, now_unix_s=NOW)
    assert best is not None
    assert best.value == b"new"
    assert newest_record([b"junk"], "net", KEY, now_unix_s=NOW) is None
    assert select_newest([old, new]) == select_newest([b"junk", old]) == 1
    assert select_newest([old, old]) == 0


def test_provider_keys_have_one_length() -> None:
    assert {len(provider_key(key)) for key in (b"", b"x", bytes(1000))} == {64}
    assert provider_key(b"a") != provider_key(b"b")
