"""Who is registered at a rendezvous point, for how long, and who hears of it. Pure code.

Source: libp2p specs, rendezvous/README.md, revision 3.
"""

import hashlib
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from overlay.errors import RemoteProtocolError
from overlay.ids import PeerId
from overlay.rendezvous.peer_record import open_envelope
from overlay.rendezvous.wire import (
    ANSWER_BYTES_MAX,
    NAMESPACE_BYTES_MAX,
    REGISTRATIONS_MAX,
    Discover,
    Discovered,
    Register,
    Registered,
    Status,
)

NONCE_BYTES: Final = 8
TTL_S_MIN: Final = 60
TTL_S_MAX: Final = 72 * 3600
"""The specification's; more is refused, not shortened."""
_SERIAL_BYTES: Final = 8
_ROOM_BYTES: Final = ANSWER_BYTES_MAX - 1024
_OVERHEAD_BYTES: Final = 32


class RendezvousConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rendezvous point holds for others.

    Attributes:
        registrations: in total.
        registrations_per_peer: namespaces of one peer.
        registrations_per_prefix: registrations that came from one public address prefix.
        ttl_s: life of a registration, at most, in seconds; its holder renews it.
    """

    registrations: Annotated[int, msgspec.Meta(ge=1)] = 1024
    registrations_per_peer: Annotated[int, msgspec.Meta(ge=1)] = 4
    registrations_per_prefix: Annotated[int, msgspec.Meta(ge=1)] = 32
    ttl_s: Annotated[int, msgspec.Meta(ge=TTL_S_MIN, le=TTL_S_MAX)] = 7200


@dataclass(frozen=True, slots=True)
class _Registration:
    serial: int
    prefix: str
    record: bytes
    seq: int
    expires_at_unix_s: float


_Key = tuple[PeerId, str]


class RendezvousCore:
    """The books of one rendezvous point.

    A cookie names the newest registration that its holder has heard of, by a serial number that
    grows with each registration. So it stays good whatever is evicted or expires meanwhile.

    Invariant: no count exceeds its ceiling in *config*; registrations are kept by serial.

    Args:
        config: the ceilings.
        nonce: 8 random bytes; cookies of another run of the point are told by it.
    """

    def __init__(self, config: RendezvousConfig, nonce: bytes) -> None:
        self.config = config
        self._nonce = nonce
        self._serial = 0
        self._held: OrderedDict[_Key, _Registration] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def register(
        self, peer_id: PeerId, prefix: str, wanted: Register, now_unix_s: float
    ) -> Registered:
        """Register *peer_id*, who comes from *prefix*; a later one replaces an earlier one."""
        if not 0 < len(wanted.namespace.encode()) <= NAMESPACE_BYTES_MAX:
            return Registered(Status.INVALID_NAMESPACE, "1 to 255 bytes")
        if wanted.ttl_s and not TTL_S_MIN <= wanted.ttl_s <= TTL_S_MAX:
            return Registered(Status.INVALID_TTL, f"{TTL_S_MIN} to {TTL_S_MAX} seconds")
        key = (peer_id, wanted.namespace)
        self._expire(now_unix_s)
        try:
            seq = self._check(key, wanted.record)
        except RemoteProtocolError as error:
            return Registered(Status.INVALID_SIGNED_PEER_RECORD, str(error))
        if not self._make_room(key, prefix):
            return Registered(Status.UNAVAILABLE, "full: try another rendezvous point")
        ttl_s = min(wanted.ttl_s or self.config.ttl_s, self.config.ttl_s)
        self._serial += 1
        self._held[key] = _Registration(
            self._serial, prefix, wanted.record, seq, now_unix_s + ttl_s
        )
        self._held.move_to_end(key)
        return Registered(Status.OK, "", ttl_s)

    def unregister(self, peer_id: PeerId, namespace: str) -> None:
        """Forget a registration, if there is one."""
        self._held.pop((peer_id, namespace), None)

    def discover(self, wanted: Discover, now_unix_s: float) -> Discovered:
        """Return who is registered, the longest without a renewal first."""
        self._expire(now_unix_s)
        heard = self._read_cookie(wanted)
        if heard is None:
            return Discovered(Status.INVALID_COOKIE, "of another namespace, or from before")
        limit = min(wanted.limit or REGISTRATIONS_MAX, REGISTRATIONS_MAX)
        room_bytes, found = _ROOM_BYTES, list[Register]()
        for (_, namespace), each in self._held.items():
            if each.serial <= heard or wanted.namespace not in ("", namespace):
                continue
            room_bytes -= len(each.record) + len(namespace.encode()) + _OVERHEAD_BYTES
            if len(found) == limit or room_bytes < 0:
                break
            left_s = max(1, int(each.expires_at_unix_s - now_unix_s))
            found.append(Register(namespace, each.record, left_s))
            heard = each.serial
        else:
            heard = self._serial
        return Discovered(Status.OK, "", tuple(found), self._cookie(wanted.namespace, heard))

    def _check(self, key: _Key, envelope: bytes) -> int:
        record = open_envelope(envelope)
        if record.peer_id != key[0]:
            raise RemoteProtocolError("register yourself")
        if not record.addresses:
            raise RemoteProtocolError("no address")
        before = self._held.get(key)
        if before is not None and record.seq < before.seq:
            raise RemoteProtocolError("older than what we have")
        return record.seq

    def _make_room(self, key: _Key, prefix: str) -> bool:
        """Return whether *key* has a place; when all are taken, the largest prefix gives one."""
        others = [each for each in self._held if each != key]
        if sum(who == key[0] for who, _ in others) >= self.config.registrations_per_peer:
            return False
        sizes = Counter(self._held[each].prefix for each in others)
        if prefix and sizes[prefix] >= self.config.registrations_per_prefix:
            return False
        if len(others) < self.config.registrations:
            return True
        largest, size = sizes.most_common(1)[0]
        if size <= sizes[prefix] + 1:
            return False
        del self._held[next(each for each in others if self._held[each].prefix == largest)]
        return True

    def _cookie(self, namespace: str, serial: int) -> bytes:
        return self._nonce + serial.to_bytes(_SERIAL_BYTES, "big") + _mark(namespace)

    def _read_cookie(self, wanted: Discover) -> int | None:
        """Return the serial in a cookie of ours, 0 without a cookie, None if it is none."""
        if not wanted.cookie:
            return 0
        serial = int.from_bytes(wanted.cookie[NONCE_BYTES : NONCE_BYTES + _SERIAL_BYTES], "big")
        return serial if wanted.cookie == self._cookie(wanted.namespace, serial) else None

    def _expire(self, now_unix_s: float) -> None:
        over = [key for key, each in self._held.items() if each.expires_at_unix_s <= now_unix_s]
        for key in over:
            del self._held[key]


def _mark(namespace: str) -> bytes:
    return hashlib.sha256(namespace.encode()).digest()[:8]
