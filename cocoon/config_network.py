"""The table `network` of the settings, and what every table has in common."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

Address: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base that fixes the options of every table."""


class NetworkConfig(Section, frozen=True):
    """How this node meets others."""

    name: Annotated[
        str,
        Meta(pattern="^[a-z0-9-]{1,32}$", description="nodes of different networks never meet"),
    ] = "main"
    listen_addresses: Annotated[
        tuple[Address, ...], Meta(max_length=16, description="multiaddresses to listen on")
    ] = ("/ip4/0.0.0.0/tcp/4001",)
    announce_addresses: Annotated[
        tuple[Address, ...],
        Meta(max_length=16, description="multiaddresses to tell others, when they differ"),
    ] = ()
    bootstrap: Annotated[
        tuple[Address, ...],
        Meta(max_length=64, description="multiaddresses (with /p2p/ID) of peers to join through"),
    ] = ()
    rendezvous: Annotated[
        tuple[Address, ...],
        Meta(
            max_length=16,
            description="multiaddresses (with /p2p/ID) of rendezvous points: we leave our address "
            "there, and find others of this network",
        ),
    ] = ()
    relays: Annotated[
        tuple[Address, ...],
        Meta(max_length=8, description='relays to be reached through; "auto": from the swarm'),
    ] = ()
    quic: Annotated[
        bool,
        Meta(
            description="speak QUIC v1, too, on the UDP ports with the numbers of our TCP ports: "
            "experimental, a tenth of TCP's speed"
        ),
    ] = False
    hole_punching: Annotated[
        bool,
        Meta(description="connect directly to those who come through a relay, where NATs allow it"),
    ] = True
    port_mapping: Annotated[
        bool,
        Meta(description="ask the home router to forward our port (PCP, NAT-PMP, UPnP)"),
    ] = True
    local_discovery: Annotated[
        bool,
        Meta(
            description="find nodes on the same LAN by multicast DNS; it tells everybody there "
            "that this machine runs a node"
        ),
    ] = False
    relay: Annotated[bool, Meta(description="carry bytes for nodes that only dial out")] = False
    relay_circuits_max: Annotated[
        int, Meta(ge=1, le=4096, description="circuits that we relay at once")
    ] = 64
    relay_circuit_mib_max: Annotated[
        int, Meta(ge=1, le=65_536, description="mebibytes of one circuit in each direction")
    ] = 256
    rendezvous_point: Annotated[
        bool, Meta(description="hold the addresses of nodes that look for each other")
    ] = False
    rendezvous_registrations_max: Annotated[
        int, Meta(ge=1, le=65_536, description="registrations that we hold at once")
    ] = 1024
    connections_max: Annotated[
        int, Meta(ge=8, le=4096, description="connections kept open at once")
    ] = 128
