"""Notes carried by hand come back whole, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.errors import PaymentError
from cocoon.messages import CloseRequest
from cocoon.payments.notes import PREFIXES, PayeeNote, VoucherNote, read_note, write_note

NOTE = PayeeNote(
    chain_network_id=-3,
    payee_address="0:" + "ab" * 32,
    payee_key=bytes(range(32)),
    challenge_s_min=9,
)


def test_a_note_comes_back_whole_also_with_blanks_around_it():
    assert read_note(f"  {write_note(NOTE)}\n", PayeeNote) == NOTE


def test_one_wrong_character_anywhere_is_noticed():
    text = write_note(NOTE)
    for i in range(len(PREFIXES[PayeeNote]), len(text)):
        wrong = text[:i] + ("A" if text[i] != "A" else "B") + text[i + 1 :]
        try:
            assert read_note(wrong, PayeeNote) == NOTE, "unused bits of the last character"
            assert i == len(text) - 1
        except PaymentError:
            continue
    for end in range(len(text)):
        with pytest.raises(PaymentError):
            read_note(text[:end], PayeeNote)


@pytest.mark.parametrize("kind", [VoucherNote, CloseRequest])
def test_another_kind_of_note_is_refused(kind):
    with pytest.raises(PaymentError, match="starts with"):
        read_note(write_note(NOTE), kind)


@given(st.text(max_size=200), st.sampled_from(["", "cocoon-payee-", "cocoon-voucher-"]))
def test_any_text_is_a_payment_error_and_nothing_else(text, prefix):
    with pytest.raises(PaymentError):
        read_note(prefix + text, PayeeNote)
