"""What a peer says of itself by identify, and how much of it libp2p 0.8.1 keeps."""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its loose types)

import functools
from typing import Any, Final

from libp2p.host import basic_host
from libp2p.identity import update
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push import identify_push
from libp2p.peer.id import ID

from overlay._libp2p_hardening import replace_attribute

ADDRESSES_MAX: Final = 32
ADDRESS_BYTES_MAX: Final = 256
PROTOCOLS_MAX: Final = 128
PROTOCOL_CHARS_MAX: Final = 128
PUBLIC_KEY_BYTES_MAX: Final = 1024


@functools.cache
def remember_little_of_identify() -> None:
    """Keep of a peer's identify no more than we use.

    Upstream (0.8.1) keeps a thousand addresses of any length, and protocols without a bound, of
    each peer that says so in a megabyte. To drop: it keeps less than 64 KiB of such a peer.
    """
    original = update.update_peerstore_from_identify

    async def take_little(store: Any, peer_id: ID, message: Identify) -> None:
        trim(message)
        await original(store, peer_id, message)

    for module in (basic_host, identify_push):
        replace_attribute(module, "update_peerstore_from_identify", take_little)


def trim(message: Identify) -> None:
    """Take out of *message* what is too long, too much, or nothing to us: signed records."""
    addresses = [each for each in message.listen_addrs if len(each) <= ADDRESS_BYTES_MAX]
    protocols = [each for each in message.protocols if len(each) <= PROTOCOL_CHARS_MAX]
    message.listen_addrs[:] = addresses[:ADDRESSES_MAX]
    message.protocols[:] = protocols[:PROTOCOLS_MAX]
    if len(message.observed_addr) > ADDRESS_BYTES_MAX:
        message.ClearField("observed_addr")
    if len(message.public_key) > PUBLIC_KEY_BYTES_MAX:
        message.ClearField("public_key")
    message.ClearField("signedPeerRecord")
