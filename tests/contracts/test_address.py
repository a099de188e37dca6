import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core import Address  # noqa: TID251 - the independent library

from contracts.address import friendly_address, parse_address
from contracts.cells import join_address
from contracts.errors import InvalidData

accounts = st.binary(min_size=32, max_size=32)


@given(accounts, st.sampled_from([0, -1]), st.booleans(), st.booleans())
def test_the_friendly_form_is_that_of_an_independent_library(
    account: bytes, workchain: int, bounceable: bool, test_only: bool
) -> None:
    raw = join_address(workchain, account)
    friendly = friendly_address(raw, bounceable=bounceable, test_only=test_only)
    theirs = Address((workchain, account))
    assert friendly == theirs.to_str(is_bounceable=bounceable, is_test_only=test_only)
    assert parse_address(friendly) == raw


@given(accounts, st.integers(0, 47), st.sampled_from("ABab01-_"))
def test_one_mistyped_character_is_noticed(account: bytes, position: int, typed: str) -> None:
    friendly = friendly_address(join_address(0, account))
    mistyped = friendly[:position] + typed + friendly[position + 1 :]
    if mistyped != friendly:
        with pytest.raises(InvalidData):
            parse_address(mistyped)


def test_both_alphabets_of_base64_are_read() -> None:
    friendly = friendly_address(join_address(0, b"\xff" * 32))
    standard = friendly.replace("-", "+").replace("_", "/")
    assert standard != friendly
    assert parse_address(standard) == parse_address(friendly)


@given(st.text(max_size=80))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidData):
        parse_address(text)


def test_a_raw_address_comes_back_in_lower_case() -> None:
    assert parse_address("0:" + "AB" * 32) == "0:" + "ab" * 32


@given(accounts, st.integers(0, 255).filter(lambda tag: tag & 0x7F not in {0x11, 0x51}))
def test_unknown_flags_are_refused_under_a_right_checksum(account: bytes, tag: int) -> None:
    data = bytes((tag, 0)) + account
    text = base64.urlsafe_b64encode(data + binascii.crc_hqx(data, 0).to_bytes(2)).decode()
    with pytest.raises(InvalidData, match="flags"):
        parse_address(text)


@given(accounts, st.sampled_from(["!", "=", " ", "\n", "é", ":"]), st.integers(0, 48))
def test_a_stray_character_is_refused(account: bytes, stray: str, position: int) -> None:
    friendly = friendly_address(join_address(0, account))
    for text in (
        friendly[:position] + stray + friendly[position:],
        friendly[:position] + stray + friendly[position + 1 :],
    ):
        with pytest.raises(InvalidData):
            parse_address(text)
