"""What our own jobs say about providers: the only reputation that Cocoon has.

Kept in one small JSON file; losing it loses memories, never money.
"""

import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from cocoon.errors import UNDECODABLE
from cocoon.market.match import Track
from cocoon.messages import RefusalCode

logger = logging.getLogger(__name__)

PEERS_MAX: Final = 4096
COUNT_MAX: Final = 1000
"""Counts are halved here, so that what happened long ago weighs less."""


BLAMELESS: Final = frozenset(
    code.value for code in (RefusalCode.BUSY, RefusalCode.EXPIRED, RefusalCode.INPUT)
)
"""Refusals after an offer that say nothing of a provider; for others a channel may have been
opened in vain, which costs us, and it nothing."""
CHANNELS_MAX: Final = 64
"""Channels to one provider: one for each job that ran beside others, as long as it is open."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    jobs: int = 0
    failures: int = 0
    speed_milli_per_s: int = 0
    channel: str = ""
    """Of a file of an earlier version."""
    channels: list[str] = []


class Tracks:
    """The record per provider, on disk after each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, _Entry] = self._read()

    def _read(self) -> dict[str, _Entry]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Entry])
        except (OSError, *UNDECODABLE):
            return {}

    def view(self) -> dict[str, Track]:
        """Return the records in the form that matching reads."""
        return {
            peer: Track(entry.jobs, entry.failures, entry.speed_milli_per_s)
            for peer, entry in self._entries.items()
        }

    def with_receipts(self) -> list[str]:
        """Return the peers that have finished a job of ours."""
        return [peer for peer, entry in self._entries.items() if entry.jobs]

    def paid_through(self, peer: str, channel: str) -> None:
        """A job of *peer* is paid from the channel at this address."""
        entry = self._touch(peer)
        if channel not in entry.channels:
            entry.channels = [*entry.channels, channel][-CHANNELS_MAX:]
            self._save(entry)

    def provider_of(self, channel: str) -> str:
        """Return the peer that the channel pays, or "" when that is forgotten."""
        for peer, entry in self._entries.items():
            if channel in entry.channels or channel == entry.channel:
                return peer
        return ""

    def succeeded(self, peer: str, speed_milli_per_s: int) -> None:
        """A job of *peer* was finished, at this measured speed; 0: it was not measured."""
        entry = self._touch(peer)
        entry.jobs += 1
        if speed_milli_per_s:
            old = entry.speed_milli_per_s or speed_milli_per_s
            entry.speed_milli_per_s = (3 * old + speed_milli_per_s) // 4
        self._save(entry)

    def failed(self, peer: str) -> None:
        """A job of *peer* failed after it was accepted."""
        entry = self._touch(peer)
        entry.failures += 1
        self._save(entry)

    def _touch(self, peer: str) -> _Entry:
        entry = self._entries.pop(peer, None) or _Entry()
        self._entries[peer] = entry  # the newest last
        while len(self._entries) > PEERS_MAX:
            del self._entries[next(iter(self._entries))]
        return entry

    def _save(self, entry: _Entry) -> None:
        if entry.jobs + entry.failures > COUNT_MAX:
            entry.jobs, entry.failures = entry.jobs // 2, entry.failures // 2
        try:
            self._write()
        except OSError as error:
            logger.warning("what is known of providers is not kept in %s: %s", self._path, error)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self._entries))
        os.replace(temporary, self._path)  # noqa: PTH105  (atomic, and named so)
