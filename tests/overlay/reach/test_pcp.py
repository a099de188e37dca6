"""PCP and NAT-PMP: layouts of the RFCs, and answers from anybody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.errors import OverlayError, PeerUnavailable
from overlay.reach.pcp import (
    Mapping,
    OtherVersion,
    Protocol,
    decode_map,
    decode_pmp_address,
    decode_pmp_map,
    encode_map,
    encode_pmp_address,
    encode_pmp_map,
    gateway6_of,
    gateway_of,
)

NONCE = bytes(range(12))
PORT = 4001
ANSWER = bytes.fromhex(
    "02810000" "00000e10" "00000007" + "00" * 12  # version, opcode, result, lease, epoch
    + NONCE.hex() + "06000000" "0fa1" "9c40" "00000000000000000000ffff09090102"
)  # fmt: skip


def test_a_request_has_the_layout_of_the_rfc() -> None:
    request = encode_map(NONCE, "192.168.1.2", 4001, lease_s=3600, external_port=4001)
    assert request.hex() == (
        "02010000" "00000e10" "00000000000000000000ffffc0a80102"
        + NONCE.hex() + "06000000" "0fa1" "0fa1" "00000000000000000000ffff00000000"
    )  # fmt: skip
    assert encode_pmp_address() == b"\0\0"
    assert encode_pmp_map(4001, lease_s=7200).hex() == "000200000fa1000000001c20"


def test_a_request_for_ipv6_asks_for_a_way_in_to_our_own_address() -> None:
    request = encode_map(NONCE, "2001:db8::7", 4001, lease_s=3600, external_port=4001)
    assert request.hex() == (
        "02010000" "00000e10" "20010db8000000000000000000000007"
        + NONCE.hex() + "06000000" "0fa1" "0fa1" + "00" * 16
    )  # fmt: skip
    answer = ANSWER[:-18] + bytes.fromhex("0fa120010db8000000000000000000000007")
    assert decode_map(answer, NONCE, 4001) == Mapping(Protocol.PCP, "2001:db8::7", PORT, PORT, 3600)


def test_the_gateway_of_ipv6_is_read_from_the_systems_table() -> None:
    zero, link_local, public = "0" * 32, f"fe80{1:028x}", "20010db8" + f"{1:024x}"
    other = f"fd{0:030x} 40 {zero} 00 {zero} 100 1 0 1 eth1"
    assert gateway6_of("\n".join([other, f"{zero} 00 {zero} 00 {link_local} 400 3 0 3 eth0"])) == (
        "fe80::1%eth0"
    )
    assert gateway6_of(f"{zero} 00 {zero} 00 {public} 400 3 0 3 eth0") == "2001:db8::1"
    for none in ("", other, f"{zero} 00 {zero} 00 {zero} ffffffff 1 0 200200 lo"):
        assert gateway6_of(none) == ""


def test_an_answer_tells_where_the_port_is() -> None:
    mapping = decode_map(ANSWER, NONCE, 4001)
    assert mapping == Mapping(Protocol.PCP, "9.9.1.2", 40_000, 4001, 3600)
    assert decode_pmp_address(bytes.fromhex("008000000000000709090102")) == "9.9.1.2"
    pmp = decode_pmp_map(bytes.fromhex("00820000000000070fa19c4000000e10"), 4001)
    assert pmp == Mapping(Protocol.NAT_PMP, "", 40_000, 4001, 3600)


def test_answers_to_other_questions_are_passed_over() -> None:
    assert decode_map(ANSWER, bytes(12), 4001) is None
    assert decode_map(ANSWER, NONCE, 4002) is None
    assert decode_pmp_map(bytes.fromhex("00820000000000070fa19c4000000e10"), 4002) is None


def test_refusals_say_why() -> None:
    with pytest.raises(PeerUnavailable, match="no room"):
        decode_map(ANSWER[:3] + b"\x08" + ANSWER[4:], NONCE, 4001)
    with pytest.raises(PeerUnavailable, match="no address outside"):
        decode_pmp_address(bytes.fromhex("008000030000000700000000"))
    for old in (bytes.fromhex("0081000100000000"), ANSWER[:3] + b"\x01" + ANSWER[4:]):
        with pytest.raises(OtherVersion):
            decode_map(old, NONCE, 4001)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: ANSWER[:24] + tail))
def test_any_datagram_is_an_answer_or_none_or_an_error_of_ours(data) -> None:
    for read in (
        lambda: decode_map(data, NONCE, 4001),
        lambda: decode_pmp_map(data, 4001),
        lambda: decode_pmp_address(data),
    ):
        try:
            read()
        except OverlayError:
            pass


@given(st.text())
def test_any_table_of_routes_is_read(text) -> None:
    assert isinstance(gateway_of("head\n" + text), str)
    assert isinstance(gateway6_of(text), str)
