"""The verdict about reachability follows from what others said, and the advice from it."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.reach.dialback import Answer, Reply
from overlay.reach.verdict import Reach, judge

PUBLIC = "/ip4/198.51.100.7/tcp/51234"
DIALED = "/ip4/198.51.100.7/tcp/4001"
CIRCUIT = "/ip4/203.0.113.7/tcp/4001/p2p/R/p2p-circuit"


def report(replies, *, own=("192.168.1.5",), addresses=(), observed=(PUBLIC,), router=""):
    answers = [Answer(reply, DIALED) for reply in replies]
    return judge(addresses, own, observed, answers, [4001], router=router)


def test_a_public_node_hears_nothing_to_do() -> None:
    said = report([Reply.REACHED], own=("198.51.100.7",))
    assert (said.reach, said.reached_at, said.behind_nat) == (Reach.DIRECT, (DIALED,), False)
    assert said.advice == ()


def test_a_forwarded_port_should_be_announced() -> None:
    said = report([Reply.SILENT, Reply.REACHED])
    assert (said.reach, said.behind_nat) == (Reach.DIRECT, True)
    assert said.advice == (
        f'tell others the forwarded port: network.announce_addresses = ["{DIALED}"]',
    )


def test_a_port_that_the_router_forwards_is_announced_already() -> None:
    said = report([Reply.REACHED], addresses=[f"{DIALED}/p2p/ME"], router="UPnP forwards it")
    assert (said.reach, said.router, said.advice) == (Reach.DIRECT, "UPnP forwards it", ())


def test_a_router_that_does_not_forward_by_itself_could_be_told_to() -> None:
    said = report([Reply.SILENT], router="no router here forwards ports by itself")
    assert "UPnP" in said.advice[1]


def test_behind_nat_the_port_and_the_relay_are_named() -> None:
    said = report([Reply.SILENT, Reply.SILENT])
    assert (said.reach, said.behind_nat, said.asked) == (Reach.OUT_ONLY, True, 2)
    assert "forward TCP port 4001" in said.advice[0]
    assert '"/ip4/198.51.100.7/tcp/4001"' in said.advice[0]
    assert 'network.relays = ["auto"]' in said.advice[1]


def test_without_nat_it_is_the_firewall() -> None:
    said = report([Reply.SILENT], own=("198.51.100.7",))
    assert said.advice[0] == "open TCP port 4001 for incoming connections in the firewall"


def test_a_relay_makes_it_reachable() -> None:
    said = report([Reply.SILENT], addresses=[f"{CIRCUIT}/p2p/ME"])
    assert (said.reach, said.relayed_at) == (Reach.RELAYED, (CIRCUIT,))


@given(st.lists(st.sampled_from([Reply.BUSY, Reply.UNKNOWN])))
def test_nobody_who_tried_is_no_verdict(replies) -> None:
    said = report(replies, observed=())
    assert (said.reach, said.behind_nat, said.asked) == (Reach.UNKNOWN, None, 0)
    assert "--bootstrap" in said.advice[0]


SIX, SIX_OPEN = "2001:4860::7", "/ip6/2001:4860::7/tcp/4001"


def test_a_firewall_for_ipv6_is_named_beside_what_is_reached_on_ipv4() -> None:
    answers = [Answer(Reply.REACHED, DIALED), Answer(Reply.SILENT, SIX_OPEN)]
    seen = (PUBLIC, f"/ip6/{SIX}/tcp/50123")
    said = judge([f"{DIALED}/p2p/ME"], [SIX], seen, answers, [4001])
    assert (said.reached_at, said.silent_at, said.behind_nat) == ((DIALED,), (SIX_OPEN,), True)
    assert said.advice == ("for IPv6: open TCP port 4001 to this machine in the router's firewall",)


def test_who_is_reached_on_ipv6_alone_hears_of_both() -> None:
    answers = [Answer(Reply.SILENT, DIALED), Answer(Reply.REACHED, SIX_OPEN)]
    said = judge([f"{SIX_OPEN}/p2p/ME"], [SIX], (PUBLIC,), answers, [4001])
    assert said.reach is Reach.DIRECT
    assert [each.partition(":")[0] for each in said.advice] == ["on the router"]


def test_what_one_peer_reached_is_reached() -> None:
    said = report([Reply.SILENT, Reply.REACHED, Reply.SILENT])
    assert (said.reached_at, said.silent_at) == ((DIALED,), ())


QUIC = "/ip4/198.51.100.7/udp/4001/quic-v1"


def test_quic_is_told_apart_from_tcp_and_decides_nothing() -> None:
    answers = [Answer(Reply.REACHED, DIALED), Answer(Reply.SILENT, QUIC)]
    said = judge([f"{DIALED}/p2p/ME"], [], (PUBLIC,), answers, [4001])
    assert (said.reach, said.reached_at, said.asked) == (Reach.DIRECT, (DIALED,), 1)
    assert (said.quic_at, said.quic_silent_at) == ((), (QUIC,))
    assert said.advice == ("for QUIC: let UDP port 4001 in, too",)
    said = judge([], [], (PUBLIC,), [Answer(Reply.SILENT, DIALED), Answer(Reply.REACHED, QUIC)], [])
    assert (said.reach, said.quic_at) == (Reach.OUT_ONLY, (QUIC,))
