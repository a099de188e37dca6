"""The peer-to-peer overlay: bytes under topics, keys and protocol ids.

Open a node with `open_host` (real network) or `overlay.memory.open_network` (the same
thing inside one process), and use it through the `Host` port. Importing this package
imports neither libp2p nor a node of ours: what is named here is loaded when it is used.
"""

import typing

if typing.TYPE_CHECKING:
    from overlay.errors import (
        IdentityError,
        LocalProtocolError,
        OverlayError,
        PeerUnavailable,
        RemoteProtocolError,
        StreamClosed,
    )
    from overlay.gossip.service import GossipConfig
    from overlay.host import DhtConfig, HostConfig, open_host
    from overlay.identity import (
        Identity,
        generate_identity,
        load_or_create_identity,
        verify,
    )
    from overlay.ids import PeerId, peer_id_from_public_key, public_key_from_peer_id, short
    from overlay.transport import (
        FRAME_BYTES_MAX,
        GossipMessage,
        Host,
        PeerAddress,
        Stream,
        StreamHandler,
        Validator,
        Verdict,
    )

__all__ = [
    "FRAME_BYTES_MAX",
    "DhtConfig",
    "GossipConfig",
    "GossipMessage",
    "Host",
    "HostConfig",
    "Identity",
    "IdentityError",
    "LocalProtocolError",
    "OverlayError",
    "PeerAddress",
    "PeerId",
    "PeerUnavailable",
    "RemoteProtocolError",
    "Stream",
    "StreamClosed",
    "StreamHandler",
    "Validator",
    "Verdict",
    "generate_identity",
    "load_or_create_identity",
    "open_host",
    "peer_id_from_public_key",
    "public_key_from_peer_id",
    "short",
    "verify",
]

_MODULES = {
    "overlay.errors": (
        "IdentityError",
        "LocalProtocolError",
        "OverlayError",
        "PeerUnavailable",
        "RemoteProtocolError",
        "StreamClosed",
    ),
    "overlay.gossip.service": ("GossipConfig",),
    "overlay.host": ("DhtConfig", "HostConfig", "open_host"),
    "overlay.identity": (
        "Identity",
        "generate_identity",
        "load_or_create_identity",
        "verify",
    ),
    "overlay.ids": ("PeerId", "peer_id_from_public_key", "public_key_from_peer_id", "short"),
    "overlay.transport": (
        "FRAME_BYTES_MAX",
        "GossipMessage",
        "Host",
        "PeerAddress",
        "Stream",
        "StreamHandler",
        "Validator",
        "Verdict",
    ),
}
"""Who needs one error of ours, as a worker does, waits for none of the rest."""


def __getattr__(name: str) -> object:
    module = next((each for each, names in _MODULES.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  (no public name of this package)

    return getattr(import_module(module), name)
