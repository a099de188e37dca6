"""The transcript hash changes with every part of what was agreed, and with nothing else."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocoon.confidential.transcript import (
    evidence_id,
    length_prefixed,
    statement_id,
    transcript_hash,
)
from cocoon.messages import PaymentRef, Signed

PAYMENT = PaymentRef(
    chain_network_id=-239,
    channel_address="0:" + "ab" * 32,
    opened_lt=7,
    payer_key=bytes(range(32)),
    signed_total_nanoton=5,
)
PARTS: dict[str, bytes] = {
    "statement_id": b"s" * 32,
    "offer_bytes": b"offer",
    "offer_signature": b"g" * 64,
    "job_nonce": b"n" * 16,
}


def test_both_sides_compute_the_same_hash() -> None:
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(PAYMENT), type=PaymentRef)
    assert transcript_hash(**PARTS, payment=PAYMENT) == transcript_hash(**PARTS, payment=copy)
    assert len(transcript_hash(**PARTS, payment=PAYMENT)) == 32


@pytest.mark.parametrize("name", PARTS)
def test_every_bit_of_every_part_counts(name: str) -> None:
    whole = transcript_hash(**PARTS, payment=PAYMENT)
    part = PARTS[name]
    for index in range(8 * len(part)):
        changed = bytearray(part)
        changed[index // 8] ^= 1 << (index % 8)
        assert transcript_hash(**{**PARTS, name: bytes(changed)}, payment=PAYMENT) != whole


@pytest.mark.parametrize(
    "change",
    [
        {"chain_network_id": -3},
        {"chain_network_id": 239},
        {"channel_address": "0:" + "ac" * 32},
        {"opened_lt": 8},
        {"payer_key": bytes(32)},
        {"signed_total_nanoton": 6},
        {"routed": True},
    ],
    ids=str,
)
def test_every_field_of_the_payment_counts(change: dict[str, object]) -> None:
    other = msgspec.structs.replace(PAYMENT, **change)
    assert transcript_hash(**PARTS, payment=other) != transcript_hash(**PARTS, payment=PAYMENT)


def test_the_largest_numbers_of_a_message_fit() -> None:
    largest = msgspec.structs.replace(
        PAYMENT, chain_network_id=-(2**63), opened_lt=2**40, signed_total_nanoton=2**64 - 1
    )
    assert transcript_hash(**PARTS, payment=largest)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=6), max_size=5), st.lists(st.binary(max_size=6), max_size=5))
def test_joined_parts_can_be_read_in_one_way_only(one: list[bytes], other: list[bytes]) -> None:
    assert (length_prefixed(*one) == length_prefixed(*other)) == (one == other)


def test_a_statement_is_named_by_its_words_alone() -> None:
    one, again = (Signed(body=b"words", signature=bytes([n]) * 64) for n in (1, 2))
    assert statement_id(one) == statement_id(again)
    assert statement_id(one) != statement_id(Signed(body=b"other", signature=bytes(64)))


def test_names_of_different_things_never_collide() -> None:
    assert evidence_id(b"words") != statement_id(Signed(body=b"words", signature=bytes(64)))
    assert evidence_id(b"") != evidence_id(b"\0")
