"""`cocoon doctor network`: how others reach this node, and what would help."""

import logging
import socket
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from cocoon.cli.output import Output
from cocoon.cli.running import run_interruptible
from cocoon.clock import wall_clock
from cocoon.config import NodeConfig
from cocoon.config_network import NetworkConfig
from cocoon.errors import ConfigError
from overlay.addresses import is_circuit, is_quic, is_websocket, quic_beside, without_peer
from overlay.errors import LocalProtocolError, OverlayError
from overlay.ids import PeerId, short
from overlay.reach.dialback import Answer
from overlay.reach.mapping import is_public
from overlay.reach.verdict import Reach, Report, ip_of, judge, port_of

if TYPE_CHECKING:
    from overlay.node import Node

logger = logging.getLogger(__name__)

ASKED_MAX: Final = 4
ADDRESSES_MAX: Final = 4
"""Addresses that each is asked about: as many as it dials at once."""
JOIN_S: Final = 10.0
ASK_S: Final = 15.0
ANY_PORT: Final = "/ip4/0.0.0.0/tcp/0"
"""Where the guest of a node that only speaks WebSocket listens."""
RELAY_S: Final = 12.0
ROUTER_S: Final = 15.0
EXIT_NOT_REACHABLE: Final = 3
QUIC_WORDS: Final = "QUIC is on: experimental, and dialed after TCP"
HEADLINES: Final = {
    Reach.DIRECT: "others reach this node directly",
    Reach.RELAYED: "others reach this node through a relay; it only dials out itself",
    Reach.OUT_ONLY: "this node only dials out: it can buy, but nobody reaches it to buy from it",
    Reach.UNKNOWN: "cannot say how others reach this node",
}


def report_network(config: NodeConfig, output: Output) -> int:
    """Ask some peers to dial us back; say what came of it."""
    report = run_interruptible(partial(examine, config, output))
    output.say(HEADLINES[report.reach])
    output.table("", ("", ""), [*_rows(report), ("switched on", switched_on(config.network))])
    for advice in report.advice:
        output.say(f"what would help: {advice}")
    if config.network.quic:
        output.say(QUIC_WORDS)
    output.result(report)
    return 0 if report.reach in (Reach.DIRECT, Reach.RELAYED) else EXIT_NOT_REACHABLE


async def examine(config: NodeConfig, output: Output) -> Report:
    """Join as a guest with a key of its own, and ask who is there to dial back.

    When the node itself runs, it holds its ports: then the guest listens elsewhere, and whoever
    dials back meets the node; the router is left alone, which forwards the node's port if any.
    """
    from cocoon.node import host_settings  # noqa: PLC0415  (the whole node)
    from overlay.host import open_host  # noqa: PLC0415
    from overlay.identity import generate_identity  # noqa: PLC0415

    network = config.network
    plain = tuple(each for each in network.listen_addresses if not is_websocket(each))
    said = (*plain, *(each for each in network.announce_addresses if not is_websocket(each)))
    ports = list(
        dict.fromkeys(port for each in said if not is_quic(each) and (port := port_of(each)))
    )
    listening = tuple(_free(each) for each in plain) or (ANY_PORT,)
    guest = msgspec.structs.replace(
        network,
        listen_addresses=listening,
        relay=False,
        rendezvous=(),
        rendezvous_point=False,
        bootstrap=(*network.bootstrap, *network.rendezvous),
        local_discovery=False,
        port_mapping=network.port_mapping and listening == plain,
    )
    async with open_host(host_settings(guest), generate_identity(), clock=wall_clock) as host:
        output.note("asking peers to dial back ...")
        await _join(host)
        router = await _ask_router(host)
        mapped = _mapped(host)
        ours = [ip for each in host.observed if (ip := ip_of(each)) and is_ours(ip)]
        told = [each for each in network.announce_addresses if not is_websocket(each)]
        asked = worth_asking([*told, *mapped], host, ports, quic=network.quic)
        answers = await _ask_all(host, asked)
        ports = list(dict.fromkeys([*ports, *(port_of(a) for a in mapped if not is_quic(a))]))
        if network.relays:
            await _wait_for_relay(host)
        return judge(host.addresses, ours, host.observed, answers, ports, router=router)


def is_ours(ip: str) -> bool:
    """Return whether this machine has the address *ip*: only then can it be bound."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True


def _free(address: str) -> str:
    """Return *address*, or the same with any port when it is taken: by the running node."""
    family = socket.AF_INET6 if address.startswith("/ip6/") else socket.AF_INET
    try:
        socket.create_server((ip_of(address), port_of(address)), family=family).close()
    except OSError:
        return f"{address.rpartition('/')[0]}/0"
    return address


async def _join(host: "Node") -> None:
    """Meet the bootstrap peers, and through them some others."""
    with trio.move_on_after(JOIN_S):
        try:
            await host.join()
        except LocalProtocolError as error:
            raise ConfigError(f"network.bootstrap: {error}") from error
    if host.connected_peers():
        with trio.move_on_after(JOIN_S):
            await host.explore()


async def _ask_router(host: "Node") -> str:
    with trio.move_on_after(ROUTER_S):
        return await host.router()
    return "the router takes too long to answer"


def _mapped(host: "Node") -> list[str]:
    """Return our addresses that the router gave us: public ones that this machine has not."""
    direct = (each for each in host.addresses if not is_circuit(each))
    return [each for each in direct if is_public(ip_of(each)) and not is_ours(ip_of(each))]


def worth_asking(
    told: Sequence[str], host: "Node", ports: Sequence[int], *, quic: bool = False
) -> list[str]:
    """Return at which addresses peers are asked to dial us: the most promising first.

    Those told to others, and our ports wherever others see us, and on public addresses of this
    machine: of IPv6, say, that no peer has seen yet. Those of QUIC come last.
    """
    own = (ip for each in host.addresses if is_public(ip := ip_of(each)) and is_ours(ip))
    ips = dict.fromkeys([*map(ip_of, host.observed), *own])
    guesses = [
        f"/{'ip6' if ':' in ip else 'ip4'}/{ip}/tcp/{port}" for port in ports for ip in ips if ip
    ]
    beside = map(quic_beside, guesses if quic else ())
    found = dict.fromkeys([*map(without_peer, told), *guesses, *beside])
    return sorted(found, key=is_quic)[:ADDRESSES_MAX]


async def _ask_all(host: "Node", addresses: Sequence[str]) -> list[Answer]:
    answers: list[Answer] = []

    async def ask(peer_id: PeerId) -> None:
        for address in addresses:
            try:
                with trio.fail_after(ASK_S):
                    answers.append(await host.ask_dialback(peer_id, [address]))
            except (OverlayError, trio.TooSlowError) as error:
                logger.info("no dial back from %s: %r", short(peer_id), error)

    async with trio.open_nursery() as nursery:
        for peer_id in host.connected_peers()[:ASKED_MAX]:
            nursery.start_soon(ask, peer_id)
    return answers


async def _wait_for_relay(host: "Node") -> None:
    """Give the relays of the settings the time to take us."""
    with trio.move_on_after(RELAY_S):
        while not any(is_circuit(each) for each in host.addresses):  # noqa: ASYNC110  (rare)
            await trio.sleep(0.2)


def switched_on(network: NetworkConfig) -> str:
    """Return in words what the settings let the node do to be reached, and do for others."""
    mapped = network.port_mapping and not network.announce_addresses
    said = {
        "asking the home router": mapped,
        "relays": bool(network.relays),
        "hole punching": network.hole_punching,
        "rendezvous": bool(network.rendezvous),
        "multicast DNS on the LAN": network.local_discovery,
        "QUIC (experimental)": network.quic,
        "being a relay": network.relay,
        "being a rendezvous point": network.rendezvous_point,
    }
    return ", ".join(each for each, on in said.items() if on) or "nothing"


def _rows(report: Report) -> list[tuple[str, str]]:
    nat = {True: "yes", False: "no", None: "nobody said"}[report.behind_nat]
    return [
        ("reached at", ", ".join(report.reached_at) or "nowhere directly"),
        ("dialed in vain", ", ".join(report.silent_at) or "nowhere"),
        ("at relays", ", ".join(report.relayed_at) or "none"),
        ("seen on IPv4 as", _seen(report, six=False)),
        ("seen on IPv6 as", _seen(report, six=True)),
        ("home router", report.router or "not asked"),
        ("behind NAT", nat),
        ("TCP ports to open", ", ".join(str(port) for port in report.tcp_ports) or "none"),
        ("dialed back by", f"{report.asked} tries"),
        *((("reached by QUIC at", ", ".join(report.quic_at)),) if report.quic_at else ()),
        *(
            (("by QUIC in vain", ", ".join(report.quic_silent_at)),)
            if report.quic_silent_at
            else ()
        ),
    ]


def _seen(report: Report, *, six: bool) -> str:
    found = {ip: count for ip, count in report.seen_as.items() if (":" in ip) is six}
    return ", ".join(f"{ip} (by {count})" for ip, count in found.items()) or "nobody said"
