"""PCP and NAT-PMP: layouts of the RFCs, and answers from anybody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.errors import OverlayError, PeerUnavailable
from overlay.reach.pcp import (
    Mapping,
    OtherVersion,
    Port,
    Protocol,
    Transport,
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
PORT, UDP = Port(4001), Port(4001, Transport.UDP)
ANSWER = bytes.fromhex(
    "02810000" "00000e10" "00000007" + "00" * 12  # version, opcode, result, lease, epoch
    + NONCE.hex() + "06000000" "0fa1" "9c40" "00000000000000000000ffff09090102"
)  # fmt: skip


def test_a_request_has_the_layout_of_the_rfc() -> None:
    request = encode_map(NONCE, "192.168.1.2", PORT, lease_s=3600, external_port=4001)
    assert request.hex() == (
        "02010000" "00000e10" "00000000000000000000ffffc0a80102"
        + NONCE.hex() + "06000000" "0fa1" "0fa1" "00000000000000000000ffff00000000"
    )  # fmt: skip
    assert encode_pmp_address() == b"\0\0"
    assert encode_pmp_map(PORT, lease_s=7200).hex() == "000200000fa1000000001c20"


def test_a_request_for_ipv6_asks_for_a_way_in_to_our_own_address() -> None:
    request = encode_map(NONCE, "2001:db8::7", PORT, lease_s=3600, external_port=4001)
    assert request.hex() == (
        "02010000" "00000e10" "20010db8000000000000000000000007"
        + NONCE.hex() + "06000000" "0fa1" "0fa1" + "00" * 16
    )  # fmt: skip
    answer = ANSWER[:-18] + bytes.fromhex("0fa120010db8000000000000000000000007")
    assert decode_map(answer, NONCE, PORT) == Mapping(Protocol.PCP, "2001:db8::7", 4001, PORT, 3600)


def test_the_gateway_of_ipv6_is_read_from_the_systems_table() -> None:
    zero, link_local, public = "0" * 32, f"fe80{1:028x}", "20010db8" + f"{1:024x}"
    other = f"fd{0:030x} 40 {zero} 00 {zero} 100 1 0 1 eth1"
    found = gateway6_of("\n".join([other, f"{zero} 00 {zero} 00 {link_local} 400 3 0 3 eth0"]))
    assert found == ("fe80::1%eth0", "eth0")
    found = gateway6_of(f"{zero} 00 {zero} 00 {public} 400 3 0 3 eth0")
    assert found == ("2001:db8::1", "eth0")
    for none in ("", other, f"{zero} 00 {zero} 00 {zero} ffffffff 1 0 200200 lo"):
        assert gateway6_of(none) == ("", "")


def test_a_port_of_udp_is_asked_for_and_answered_as_one() -> None:
    """UDP is 17 to PCP and opcode 1 to NAT-PMP (RFC 6886, section 3.3)."""
    assert encode_map(NONCE, "192.168.1.2", UDP, lease_s=60)[36] == 17
    assert encode_pmp_map(UDP, lease_s=7200).hex() == "000100000fa1000000001c20"
    answer = ANSWER[:36] + b"\x11" + ANSWER[37:]
    assert decode_map(answer, NONCE, UDP) == Mapping(Protocol.PCP, "9.9.1.2", 40_000, UDP, 3600)
    assert decode_map(answer, NONCE, PORT) is decode_map(ANSWER, NONCE, UDP) is None
    pmp = bytes.fromhex("00810000000000070fa19c4000000e10")
    assert decode_pmp_map(pmp, UDP) == Mapping(Protocol.NAT_PMP, "", 40_000, UDP, 3600)
    assert decode_pmp_map(pmp, PORT) is None


def test_an_answer_tells_where_the_port_is() -> None:
    mapping = decode_map(ANSWER, NONCE, PORT)
    assert mapping == Mapping(Protocol.PCP, "9.9.1.2", 40_000, PORT, 3600)
    assert decode_pmp_address(bytes.fromhex("008000000000000709090102")) == "9.9.1.2"
    pmp = decode_pmp_map(bytes.fromhex("00820000000000070fa19c4000000e10"), PORT)
    assert pmp == Mapping(Protocol.NAT_PMP, "", 40_000, PORT, 3600)


def test_answers_to_other_questions_are_passed_over() -> None:
    assert decode_map(ANSWER, bytes(12), PORT) is None
    assert decode_map(ANSWER, NONCE, Port(4002)) is None
    assert decode_pmp_map(bytes.fromhex("00820000000000070fa19c4000000e10"), Port(4002)) is None


def test_refusals_say_why() -> None:
    with pytest.raises(PeerUnavailable, match="no room"):
        decode_map(ANSWER[:3] + b"\x08" + ANSWER[4:], NONCE, PORT)
    with pytest.raises(PeerUnavailable, match="no address outside"):
        decode_pmp_address(bytes.fromhex("008000030000000700000000"))
    for old in (bytes.fromhex("0081000100000000"), ANSWER[:3] + b"\x01" + ANSWER[4:]):
        with pytest.raises(OtherVersion):
            decode_map(old, NONCE, PORT)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: ANSWER[:24] + tail))
def test_any_datagram_is_an_answer_or_none_or_an_error_of_ours(data) -> None:
    for read in (
        lambda: decode_map(data, NONCE, PORT),
        lambda: decode_pmp_map(data, UDP),
        lambda: decode_pmp_address(data),
    ):
        try:
            read()
        except OverlayError:
            pass


@given(st.text())
def test_any_table_of_routes_is_read(text) -> None:
    assert isinstance(gateway_of("head\n" + text), str)
    assert len(gateway6_of(text)) == 2
