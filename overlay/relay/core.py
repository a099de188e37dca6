"""Whom a relay serves, and how much. Pure code: time comes in, decisions go out.

Source: libp2p specs, relay/circuit-v2.md, section "The Hop protocol".
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec

from overlay.ids import PeerId
from overlay.relay.wire import Status

MIB: Final = 1 << 20


class RelayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a relay gives to others.

    Attributes:
        reservations: peers that may be reached through us.
        reservations_per_prefix: the same, of one public address prefix.
        reservation_s: life of a reservation, in seconds; its holder renews it.
        circuits: open circuits.
        circuits_per_source: open circuits that one peer dialed.
        circuits_per_prefix: the same, of one public address prefix.
        circuits_per_target: open circuits that lead to one peer.
        circuit_bytes: bytes of one circuit in each direction; then it is cut.
        circuit_s: life of one circuit, in seconds; then it is cut.
    """

    reservations: Annotated[int, msgspec.Meta(ge=1)] = 128
    reservations_per_prefix: Annotated[int, msgspec.Meta(ge=1)] = 8
    reservation_s: Annotated[int, msgspec.Meta(ge=60)] = 3600
    circuits: Annotated[int, msgspec.Meta(ge=1)] = 64
    circuits_per_source: Annotated[int, msgspec.Meta(ge=1)] = 4
    circuits_per_prefix: Annotated[int, msgspec.Meta(ge=1)] = 16
    circuits_per_target: Annotated[int, msgspec.Meta(ge=1)] = 32
    circuit_bytes: Annotated[int, msgspec.Meta(ge=4096)] = 256 * MIB
    circuit_s: Annotated[int, msgspec.Meta(ge=10, lt=2**32)] = 3600


@dataclass(frozen=True, slots=True)
class _Reservation:
    prefix: str
    expires_at_unix_s: float


class RelayCore:
    """The books of one relay.

    Invariant: no count exceeds its ceiling in *config*; a circuit that was opened is counted
    until `close`.
    """

    def __init__(self, config: RelayConfig) -> None:
        self.config = config
        self._reservations: dict[PeerId, _Reservation] = {}
        self._sources: Counter[PeerId] = Counter()
        self._prefixes: Counter[str] = Counter()
        self._targets: Counter[PeerId] = Counter()
        self.circuits = 0
        """Circuits that are open."""

    def __contains__(self, peer_id: PeerId) -> bool:
        return peer_id in self._reservations

    def __len__(self) -> int:
        return len(self._reservations)

    def reserve(self, peer_id: PeerId, prefix: str, now_unix_s: float) -> int:
        """Return until when *peer_id*, of *prefix*, is reached through us; 0 if refused."""
        self._expire(now_unix_s)
        others = [each for who, each in self._reservations.items() if who != peer_id]
        if len(others) >= self.config.reservations:
            return 0
        same = sum(each.prefix == prefix for each in others)
        if prefix and same >= self.config.reservations_per_prefix:
            return 0
        expires = int(now_unix_s) + self.config.reservation_s
        self._reservations[peer_id] = _Reservation(prefix, expires)
        return expires

    def release(self, peer_id: PeerId) -> None:
        """Forget the reservation of a peer whose connection ended."""
        self._reservations.pop(peer_id, None)

    def retain(self, connected: Callable[[PeerId], bool]) -> None:
        """Forget the reservations of peers whose connection ended."""
        for peer_id in [each for each in self._reservations if not connected(each)]:
            self.release(peer_id)

    def open(self, source: PeerId, prefix: str, target: PeerId, now_unix_s: float) -> Status:
        """Count a circuit from *source*, of *prefix*, to *target*; `close` it when OK."""
        self._expire(now_unix_s)
        if source == target:
            return Status.PERMISSION_DENIED
        if target not in self._reservations:
            return Status.NO_RESERVATION
        if self._full(source, prefix, target):
            return Status.RESOURCE_LIMIT_EXCEEDED
        self.circuits += 1
        self._sources[source] += 1
        self._prefixes[prefix] += 1
        self._targets[target] += 1
        return Status.OK

    def close(self, source: PeerId, prefix: str, target: PeerId) -> None:
        """Give back the place of a circuit."""
        self.circuits -= 1
        _give_back(self._sources, source)
        _give_back(self._prefixes, prefix)
        _give_back(self._targets, target)

    def _full(self, source: PeerId, prefix: str, target: PeerId) -> bool:
        config = self.config
        return (
            self.circuits >= config.circuits
            or self._sources[source] >= config.circuits_per_source
            or (bool(prefix) and self._prefixes[prefix] >= config.circuits_per_prefix)
            or self._targets[target] >= config.circuits_per_target
        )

    def _expire(self, now_unix_s: float) -> None:
        over = [w for w, each in self._reservations.items() if each.expires_at_unix_s <= now_unix_s]
        for who in over:
            del self._reservations[who]


_Key = TypeVar("_Key", bound=str)


def _give_back(counter: "Counter[_Key]", key: _Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
