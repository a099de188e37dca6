"""What a node remembers over a restart: peers that answered, and bans.

One directory, mode 0700, files 0600. A file is replaced as a whole (write, fsync,
rename, fsync of the directory), so that a crash leaves the old one or the new one. What
is damaged is put aside with the ending ``.damaged`` and said; the node starts without.
The identity has its own file: `overlay.identity`.
"""

import logging
import stat
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from overlay.errors import DECODE_ERRORS, LocalProtocolError
from overlay.ids import PeerId
from overlay.limits.standing import BANS_MAX, Ban
from overlay.private_file import replace_private_file
from overlay.transport import PeerAddress

logger = logging.getLogger(__name__)

PEERS_MAX: Final = 512
ADDRESSES_MAX: Final = 8
FILE_BYTES_MAX: Final = 2 << 20
MAX_AGE_S: Final = 30 * 24 * 3600
"""Peers not seen for so long are forgotten."""

T = TypeVar("T")


class KnownPeer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A peer that answered once.

    Attributes:
        peer: its id and addresses.
        seen_unix_s: when it last answered.
    """

    peer: PeerAddress
    seen_unix_s: float


class _Peers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    peers: Annotated[list[KnownPeer], msgspec.Meta(max_length=PEERS_MAX)]


class _Bans(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    bans: Annotated[list[Ban], msgspec.Meta(max_length=BANS_MAX)]


class Storage:
    """The directory of one node; made when it is missing.

    Raises:
        LocalProtocolError: others may write into it, or it is no directory.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(directory.stat().st_mode)
        if mode & 0o022:
            raise LocalProtocolError(
                f"others may write into {directory} (mode {mode:04o}): chmod 700 {directory}"
            )
        self._directory = directory

    def load_peers(self, now_unix_s: float) -> list[KnownPeer]:
        """Return the peers that are not too old, the latest seen first."""
        stored = self._load("peers.json", _Peers)
        peers = [] if stored is None else stored.peers
        fresh = [each for each in peers if now_unix_s - each.seen_unix_s <= MAX_AGE_S]
        return sorted(fresh, key=lambda each: -each.seen_unix_s)

    def save_peers(self, latest: list[PeerAddress], now_unix_s: float) -> None:
        """Put *latest*, which answer now, in front of those known before."""
        merged = {each.peer.peer_id: each for each in self.load_peers(now_unix_s)}
        for peer in latest:
            if peer.addresses:
                kept = PeerAddress(peer.peer_id, peer.addresses[:ADDRESSES_MAX])
                merged[peer.peer_id] = KnownPeer(kept, now_unix_s)
        newest = sorted(merged.values(), key=lambda each: -each.seen_unix_s)[:PEERS_MAX]
        self._save("peers.json", _Peers(1, newest))

    def forget_peers(self) -> None:
        """Forget all peers."""
        self._save("peers.json", _Peers(1, []))

    def load_bans(self) -> list[Ban]:
        """Return the bans, also those that are over and still count."""
        stored = self._load("bans.json", _Bans)
        return [] if stored is None else stored.bans

    def save_bans(self, bans: list[Ban]) -> None:
        """Replace the bans."""
        self._save("bans.json", _Bans(1, bans[-BANS_MAX:]))

    def _load(self, name: str, kind: type[T]) -> T | None:
        path = self._directory / name
        try:
            with path.open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
            if len(data) > FILE_BYTES_MAX:
                raise msgspec.ValidationError("too long")
            return msgspec.json.decode(data, type=kind)
        except FileNotFoundError:
            return None
        except DECODE_ERRORS as error:
            aside = path.with_suffix(".damaged")
            path.replace(aside)
            logger.warning("%s is damaged (%s): put aside as %s", path, error, aside.name)
            return None

    def _save(self, name: str, value: object) -> None:
        path = self._directory / name
        try:
            replace_private_file(path, msgspec.json.encode(value))
        except OSError as error:  # a memory of peers, and not worth the node that runs
            logger.warning("%s is not kept: %s", path, error)


def full_addresses(peer: PeerAddress) -> list[str]:
    """Return multiaddrs that name the peer, ready for `Host.connect`."""
    return [f"{each}/p2p/{PeerId(peer.peer_id)}" for each in peer.addresses]
