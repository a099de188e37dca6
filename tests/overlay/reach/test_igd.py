"""UPnP: what a router says is bounded, checked, and never leads anywhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.reach import igd

HERE = "http://192.168.1.1:5000/rootDesc.xml"
ANSWER = f"HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: {HERE}\r\n\r\n".encode()


def description(*services: tuple[str, str]) -> bytes:
    inner = "".join(
        f"<service><serviceType>{kind}</serviceType><controlURL>{url}</controlURL></service>"
        for kind, url in services
    )
    text = f'<?xml version="1.0"?><root xmlns="urn:x"><device><list>{inner}</list></device></root>'
    return text.encode()


def wan(version: int, url: str = "/ctl") -> tuple[str, str]:
    return f"urn:schemas-upnp-org:service:WANIPConnection:{version}", url


def test_a_device_is_read_from_its_description() -> None:
    assert igd.read_location(ANSWER, "192.168.1.1") == HERE
    service = igd.read_description(description(wan(1, "/one"), wan(2, "two")), HERE)
    assert service == igd.Service("http://192.168.1.1:5000/two", wan(2)[0])


@pytest.mark.parametrize(
    "location",
    [
        "http://192.168.1.7:5000/x", "https://192.168.1.1/x", "file:///etc/passwd",
        "http://192.168.1.1@8.8.8.8/x", "http://192.168.1.1:99999/x", "http://[::1", "",
    ],
)  # fmt: skip
def test_a_description_elsewhere_is_not_fetched(location) -> None:
    answer = ANSWER.replace(HERE.encode(), location.encode())
    assert igd.read_location(answer, "192.168.1.1") == ""


def test_a_gateway_that_is_controlled_elsewhere_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="elsewhere"):
        igd.read_description(description(wan(1, "http://10.0.0.1/ctl")), HERE)


def test_a_device_that_forwards_nothing_says_so() -> None:
    with pytest.raises(PeerUnavailable, match="lets nothing in"):
        igd.read_description(description(("urn:x:service:Printer:1", "/p")), HERE)


SIX, LINK, GATEWAY = "2001:db8::7", "fe80::1", "2001:db8::1"


def answer6(location: str) -> bytes:
    return ANSWER.replace(HERE.encode(), location.encode())


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("http://[2001:db8::1]:5000/d", "http://[2001:db8::1]:5000/d"),
        ("http://[fe80::1]:5000/d", "http://[fe80::1%eth0]:5000/d"),
        ("http://[fe80::1%25router]:5000/d", "http://[fe80::1%eth0]:5000/d"),
        ("http://[fd00::1]/d", "http://[fd00::1]:80/d"),
        ("http://[2001:db8:0:1::1]:5000/d", ""),
        ("http://[::1]:5000/d", ""),
        ("http://192.168.1.1:5000/d", ""),
        ("http://example.org/d", ""),
        ("http://[2001:db8::1]:0/d", ""),
        ("https://[2001:db8::1]/d", ""),
    ],
)
def test_over_ipv6_a_description_on_the_lan_is_fetched_and_no_other(location, url) -> None:
    assert igd.read_location6(answer6(location), SIX, "eth0") == url


def test_the_service_with_the_firewall_is_found_among_the_others() -> None:
    both = description(wan(2), (igd.FIREWALL[0], "/firewall"))
    location = "http://[fe80::1%eth0]:5000/d"
    service = igd.read_description(both, location, igd.FIREWALL)
    assert service == igd.Service("http://[fe80::1%eth0]:5000/firewall", igd.FIREWALL[0])
    with pytest.raises(PeerUnavailable, match="lets nothing in"):
        igd.read_description(description(wan(2)), location, igd.FIREWALL)


@pytest.mark.parametrize("number", ["", "x", "-1", "65536", "9" * 4000])
def test_a_pinhole_without_a_number_is_none(number) -> None:
    with pytest.raises(RemoteProtocolError, match="without a number"):
        igd.read_pinhole(igd.parse_xml(f"<a><UniqueID>{number}</UniqueID></a>".encode()))


def test_entities_depth_and_size_are_bounded() -> None:
    laughs = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">]><x>&a;</x>'
    for data in (laughs, b"<a>" * 100, b"<a>" + b"<b/>" * 5000 + b"</a>", b"<a>" + b" " * 70_000):
        with pytest.raises(RemoteProtocolError):
            igd.parse_xml(data)


def test_a_call_names_its_action_and_escapes_what_it_carries() -> None:
    header, body = igd.encode_call(igd.Service(HERE, wan(1)[0]), "Do", Text="<&>")
    assert header == f'"{wan(1)[0]}#Do"'
    assert igd.parse_xml(body).first("Text") == "<&>"


def test_an_error_carries_its_code() -> None:
    fault = (
        b"<Envelope><Body><Fault><detail><UPnPError><errorCode>725</errorCode><errorDescription>"
        b"OnlyPermanentLeasesSupported</errorDescription></UPnPError></detail></Fault></Body></Envelope>"
    )
    with pytest.raises(igd.Refused, match="OnlyPermanent") as caught:
        igd.read_answer(500, fault)
    assert caught.value.code == igd.ONLY_FOR_EVER


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: ANSWER[:-4] + tail))
def test_any_bytes_are_survived(data) -> None:
    location = igd.read_location(data, "192.168.1.1")
    assert not igd.read_location6(data, SIX, "eth0")
    assert not location or (location.startswith("http://192.168.1.1") and location.isprintable())
    for read in (
        lambda: igd.read_description(data, HERE),
        lambda: igd.read_answer(200, data),
        lambda: igd.read_external_ip(igd.parse_xml(data)),
    ):
        try:
            read()
        except OverlayError:
            pass


@given(
    st.recursive(
        st.sampled_from(["a", "service", "errorCode"]),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=30,
    )
)
def test_any_tree_is_read_as_it_is(tree) -> None:
    def write(node) -> str:
        return (
            f"<{node}>{node}</{node}>"
            if isinstance(node, str)
            else f"<n>{''.join(map(write, node))}</n>"
        )

    root = igd.parse_xml(write(tree).encode())
    leaves = [each.text for name in ("a", "service", "errorCode") for each in root.all(name)]

    def count(node) -> int:
        return 1 if isinstance(node, str) else sum(map(count, node))

    assert len(leaves) == count(tree)
