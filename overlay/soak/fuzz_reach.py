"""The targets of the fuzz in `overlay.reach` and `overlay.relay`: peers, routers, and a LAN."""

from collections.abc import Callable
from typing import Final

from overlay.dht.wire import MessageReader
from overlay.errors import PeerUnavailable
from overlay.identity import Identity
from overlay.reach import autonat2_wire, autonat_wire, igd, mdns, pcp, punch_wire
from overlay.reach.autonat2 import Answerer
from overlay.relay.wire import Kind, Message, decode_hop, decode_stop, encode_hop, encode_stop
from overlay.rendezvous import wire as rendezvous
from overlay.rendezvous.core import RendezvousConfig, RendezvousCore
from overlay.rendezvous.peer_record import open_envelope, seal

_ADDRESS: Final = "/ip4/8.8.8.8/tcp/4001"
_ASKED: Final = autonat2_wire.encode(autonat2_wire.Question((_ADDRESS, _ADDRESS), 7))
_ROUTE6: Final = f"{0:032x} 00 {0:032x} 00 fe80{1:028x} 400 1 0 3 eth0".encode()
_NONCE: Final = bytes(pcp.NONCE_BYTES)
_ROUTER: Final = "http://192.168.1.1:5000/desc.xml"
_DESCRIPTION: Final = (
    b"<root><device><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1"
    b"</serviceType><controlURL>/ctl</controlURL></service></device></root>"
)
_MAPPED: Final = bytes.fromhex(
    "0281000000000e1000000007" + "00" * 12 + _NONCE.hex()
    + "060000000fa10fa100000000000000000000ffff09090102"
)  # fmt: skip


def reach_targets() -> list[tuple[str, Callable[[bytes], object], bytes]]:
    """Return (name, what is fed, a valid input)."""
    identity = Identity(b"f" * 32)
    peer_id = identity.peer_id
    envelope = seal(identity, [_ADDRESS], 1)
    register = rendezvous.Register("/cocoon/main", envelope, 60)
    found = rendezvous.Discovered(rendezvous.Status.OK, "", (register,), bytes(24))
    service = mdns.service_of("main")
    near = f"/ip4/192.168.1.7/tcp/4001/p2p/{peer_id}"
    location = f"HTTP/1.1 200 OK\r\nLOCATION: {_ROUTER}\r\n\r\n".encode()
    location6 = location.replace(b"192.168.1.1", b"[fe80::1]")
    punch = punch_wire.encode(punch_wire.Message(punch_wire.Kind.CONNECT, (_ADDRESS,)))
    question = autonat_wire.encode(autonat_wire.Question(peer_id, (_ADDRESS,)))
    connect = Message(Kind.CONNECT, peer_id, duration_s=60, data_bytes=1 << 20)
    return [
        ("hole", punch_wire.decode, _body(punch)),
        ("AutoNAT", autonat_wire.decode, _body(question)),
        ("AutoNAT 2", _asked_to_dial, _body(_ASKED)),
        ("dial back", autonat2_wire.decode_back, _body(autonat2_wire.encode_back(7))),
        ("relay, hop", decode_hop, _body(encode_hop(connect))),
        ("relay, stop", decode_stop, _body(encode_stop(connect))),
        ("peer record", open_envelope, envelope),
        ("rendezvous point", _registering(identity), _body(rendezvous.encode(register))),
        ("rendezvous answer", rendezvous.decode_answer, _body(rendezvous.encode(found))),
        (
            "LAN",
            lambda data: mdns.read(data, "192.168.1.7", service),
            mdns.encode_answer(service, "name", [near]),
        ),
        ("PCP", _refusals(lambda data: pcp.decode_map(data, _NONCE, pcp.Port(4001))), _MAPPED),
        (
            "NAT-PMP",
            _refusals(lambda data: pcp.decode_pmp_map(data, pcp.Port(4001))),
            bytes.fromhex("00820000000000070fa10fa100000e10"),
        ),
        ("SSDP", lambda data: igd.read_location(data, "192.168.1.1"), location),
        ("SSDP, IPv6", lambda data: igd.read_location6(data, "fd00::7", "eth0"), location6),
        ("pinhole", _refusals(_opened), b"<a><UniqueID>7</UniqueID></a>"),
        ("UPnP", _refusals(lambda data: igd.read_description(data, _ROUTER)), _DESCRIPTION),
        ("SOAP", _refusals(lambda data: igd.read_answer(200, data)), b"<a><b>9.9.1.2</b></a>"),
        ("routes of IPv6", lambda data: pcp.gateway6_of(data.decode("latin-1")), _ROUTE6),
        ("routes", lambda data: pcp.gateway_of(data.decode("latin-1")), b"\n0 00000000 0101A8C0 0"),
    ]


def _body(framed: bytes) -> bytes:
    reader = MessageReader()
    reader.feed(framed)
    return reader.next_message() or b""


def _registering(identity: Identity) -> Callable[[bytes], object]:
    core = RendezvousCore(RendezvousConfig(), bytes(8))

    def feed(data: bytes) -> object:
        match rendezvous.decode_request(data):
            case rendezvous.Register() as asked:
                return core.register(identity.peer_id, "", asked, 1.0)
            case rendezvous.Discover() as asked:
                return core.discover(asked, 1.0)
            case other:
                return other

    return feed


def _asked_to_dial(data: bytes) -> object:
    return Answerer(_ADDRESS, lambda _address: True, 30_000).take(autonat2_wire.decode(data))


def _opened(data: bytes) -> int:
    answer = igd.read_answer(200, data)
    igd.check_firewall(answer)
    return igd.read_pinhole(answer)


def _refusals(read: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Return *read*; that a router refuses is an answer."""

    def feed(data: bytes) -> object:
        try:
            return read(data)
        except PeerUnavailable as refusal:
            return refusal

    return feed
