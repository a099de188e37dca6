"""The peer-to-peer overlay: bytes under topics, keys and protocol ids.

Open a node with `open_host` (real network) or `overlay.memory.open_network` (the same
thing inside one process), and use it through the `Host` port. Importing this package
does not import libp2p.
"""

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
