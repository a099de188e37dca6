"""What a node's reachability is, from what others told it. Pure code.

One peer's word is not enough to trust, but enough to report: whoever reads the report sees
how many said so.
"""

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from overlay.addresses import is_circuit, is_quic, without_peer
from overlay.reach.dialback import Answer, Reply


class Reach(enum.Enum):
    """How others can get to a node."""

    DIRECT = "reachable"
    RELAYED = "reachable through a relay"
    OUT_ONLY = "only dials out"
    UNKNOWN = "unknown"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a node is reachable.

    Attributes:
        reach: the verdict.
        reached_at: addresses at which a dial back arrived.
        silent_at: addresses that were dialed, and at which nobody answered anybody.
        relayed_at: our addresses at relays.
        seen_as: IP addresses that others see us come from, and how many say so.
        behind_nat: whether nobody sees us under an address of this machine, of IPv4 if we are seen
            there; None if nobody said.
        router: what the home router does for us, in words; "" when it was not asked.
        tcp_ports: the TCP ports that must be open for others.
        asked: peers that were asked to dial back and tried.
        quic_at: addresses of QUIC at which a dial back arrived; the verdict is about TCP.
        quic_silent_at: those at which nobody answered anybody.
        advice: what would help, in plain words, the most useful first.
    """

    reach: Reach
    reached_at: tuple[str, ...] = ()
    silent_at: tuple[str, ...] = ()
    relayed_at: tuple[str, ...] = ()
    seen_as: dict[str, int] = {}
    behind_nat: bool | None = None
    router: str = ""
    tcp_ports: tuple[int, ...] = ()
    asked: int = 0
    quic_at: tuple[str, ...] = ()
    quic_silent_at: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def ip_of(address: str) -> str:
    """Return the IP address of a multiaddr, "" if it has none.

    >>> ip_of("/ip4/8.8.4.4/tcp/4001"), ip_of("/dns4/example.org/tcp/1")
    ('8.8.4.4', '')
    """
    parts = address.split("/")
    return parts[2] if len(parts) > 2 and parts[1] in ("ip4", "ip6") else ""


def port_of(address: str) -> int:
    """Return the TCP or UDP port of a multiaddr, 0 if it has none.

    >>> port_of("/ip4/8.8.4.4/tcp/4001"), port_of("/ip4/8.8.4.4/udp/1/quic-v1"), port_of("/ip4")
    (4001, 1, 0)
    """
    parts = address.split("/")
    return int(parts[4]) if len(parts) > 4 and parts[4].isdigit() else 0


def judge(
    own_addresses: Sequence[str],
    own_ips: Iterable[str],
    observed: Sequence[str],
    answers: Sequence[Answer],
    ports: Sequence[int],
    *,
    router: str = "",
) -> Report:
    """Return the verdict.

    Args:
        own_addresses: what the node announces, those at relays included.
        own_ips: those of the observed IP addresses that are of this machine.
        observed: multiaddrs that others see us come from, one for each peer that said so.
        answers: what came of dialing back, one for each peer and address that was asked for.
        ports: the TCP ports that the node listens on, or should.
        router: what the home router does for us, in words.
    """
    over_quic = [each for each in answers if is_quic(each.dialed)]
    answers = [each for each in answers if not is_quic(each.dialed)]
    reached, silent = _outcomes(answers)
    quic, quic_silent = _outcomes(over_quic)
    relayed = tuple(without_peer(each) for each in own_addresses if is_circuit(each))
    seen = Counter(ip for each in observed if (ip := ip_of(each)))
    tried = sum(a.reply in (Reply.REACHED, Reply.ANOTHER, Reply.SILENT) for a in answers)
    report = Report(
        reach=_reach(reached, relayed, tried),
        reached_at=reached,
        silent_at=silent,
        relayed_at=relayed,
        seen_as=dict(seen.most_common()),
        behind_nat=_behind_nat(seen, set(own_ips)),
        router=router,
        tcp_ports=tuple(dict.fromkeys(port for port in ports if port)),
        asked=tried,
        quic_at=quic,
        quic_silent_at=quic_silent,
    )
    told = set(map(without_peer, own_addresses))
    return msgspec.structs.replace(report, advice=tuple(_advice(report, told)))


def _outcomes(answers: Sequence[Answer]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return at which addresses somebody was reached, and at which nobody by anybody."""
    reached = _dialed(answers, Reply.REACHED, Reply.ANOTHER)
    return reached, tuple(each for each in _dialed(answers, Reply.SILENT) if each not in reached)


def _dialed(answers: Sequence[Answer], *replies: Reply) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.dialed for each in answers if each.reply in replies))


def _behind_nat(seen: Iterable[str], own: AbstractSet[str]) -> bool | None:
    """Return whether none of the addresses seen is ours; IPv6, which has no NAT, counts last."""
    plain = {each for each in seen if ":" not in each} or set(seen)
    return not own & plain if plain else None


def _reach(reached: Sequence[str], relayed: Sequence[str], tried: int) -> Reach:
    if reached:
        return Reach.DIRECT
    if relayed:
        return Reach.RELAYED
    return Reach.OUT_ONLY if tried else Reach.UNKNOWN


def _advice(report: Report, told: AbstractSet[str]) -> list[str]:
    if report.reach is Reach.UNKNOWN:
        return [
            "nobody could dial back: give --bootstrap ADDRESS of a public node, or try again "
            "in a minute"
        ]
    advice = _advice_to_announce(report, told)
    at, in_vain = set(map(_version, report.reached_at)), set(map(_version, report.silent_at))
    if 4 not in at and (4 in in_vain or not at):
        advice += _advice_for_ipv4(report)
    if 6 in in_vain - at:
        advice.append(
            f"for IPv6: open TCP port {_ports(report)} to this machine in the router's firewall"
        )
    if report.quic_silent_at and not report.quic_at:
        advice.append(f"for QUIC: let UDP port {port_of(report.quic_silent_at[0])} in, too")
    if report.reach is Reach.OUT_ONLY:
        advice.append(
            'or be reached through others: network.relays = ["auto"], or the address of a relay'
        )
    return advice


def _advice_for_ipv4(report: Report) -> list[str]:
    if not report.behind_nat:
        return [f"open TCP port {_ports(report)} for incoming connections in the firewall"]
    where = next(each for each in report.seen_as if ":" not in each)
    advice = [
        f"on the router: forward TCP port {_ports(report)} to this machine, and set "
        f'network.announce_addresses = ["/ip4/{where}/tcp/{_first(report)}"]'
    ]
    if report.router:
        advice.append(
            "or switch UPnP, NAT-PMP or PCP on at the router: this node then asks for its port"
        )
    return advice


def _advice_to_announce(report: Report, told: AbstractSet[str]) -> list[str]:
    reached = (*report.reached_at, *report.quic_at)
    if not report.behind_nat or told >= set(reached):
        return []
    addresses = ", ".join(f'"{each}"' for each in reached)
    return [f"tell others the forwarded port: network.announce_addresses = [{addresses}]"]


def _version(address: str) -> int:
    return 6 if address.startswith("/ip6/") else 4


def _ports(report: Report) -> str:
    return ", ".join(str(port) for port in report.tcp_ports) or "of network.listen_addresses"


def _first(report: Report) -> int:
    return report.tcp_ports[0] if report.tcp_ports else 4001
