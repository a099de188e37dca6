"""Points of the key space, and how far apart they are. Pure code.

Sources: P. Maymounkov, D. Mazieres, "Kademlia", 2002; libp2p specs, kad-dht/README.md
(a point is the SHA-256 of the bytes of a peer id or of a key).
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Final

import base58

KEY_BITS: Final = 256
POSITIONS: Final = 3
"""At how many unrelated points of the key space everything is stored."""
_MULTIHASH_SHA256: Final = b"\x12\x20"
_REGION_BITS: Final = 4
"""Positions differ in these leading bits, so that no neighbourhood covers two of them."""
_SALT_DOMAIN: Final = b"cocoon/dht/position/v1\0"


def point_of(key: bytes) -> int:
    """Return the point at which *key* is stored."""
    return int.from_bytes(hashlib.sha256(key).digest(), "big")


@functools.lru_cache(maxsize=65_536)
def point_of_peer(peer_id: str) -> int:
    """Return the point of a peer.

    Raises:
        ValueError: *peer_id* is not base58.
    """
    return point_of(base58.b58decode(peer_id))


def common_bits(one: int, other: int) -> int:
    """Return how many leading bits two points share.

    >>> common_bits(0, 1), common_bits(5, 5), common_bits(0, 1 << 255)
    (255, 256, 0)
    """
    return KEY_BITS - (one ^ other).bit_length()


@functools.lru_cache(maxsize=4096)
def provider_wire_key(digest: str, position: int) -> bytes:
    """Return the multihash under which providers of *digest* (64 hex digits) are kept.

    Position 0 is the plain key, where any libp2p node looks. The others are unrelated
    points, so that whoever surrounds one of them with Sybils does not hide the key.
    """
    plain = bytes.fromhex(digest)
    return _apart(position, lambda salt: _MULTIHASH_SHA256 + _salted(plain, salt))


@functools.lru_cache(maxsize=4096)
def value_wire_key(key: str, position: int) -> bytes:
    """Return the key under which the record *key* ("/cocoon/" and hex) is kept.

    Positions are as for `provider_wire_key`.
    """
    namespace, _, name = key.rpartition("/")

    def wire_key(salt: int) -> bytes:
        text = _salted(name.encode(), salt).hex() if salt else name
        return f"{namespace}/{text}".encode()

    return _apart(position, wire_key)


def _apart(position: int, wire_key: Callable[[int], bytes]) -> bytes:
    """Return the *position*-th salted key whose point is far from all those before it."""
    chosen, taken, salt = wire_key(0), set[int](), 0
    for _ in range(position):
        taken.add(_region(chosen))
        while _region(chosen) in taken:
            salt += 1
            chosen = wire_key(salt)
    return chosen


def _region(key: bytes) -> int:
    return point_of(key) >> (KEY_BITS - _REGION_BITS)


def _salted(raw: bytes, salt: int) -> bytes:
    if not salt:
        return raw
    return hashlib.sha256(_SALT_DOMAIN + salt.to_bytes(2, "big") + raw).digest()
