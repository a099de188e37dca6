"""Publishing in the DHT, and publishing again before the others forget."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import trio

from overlay.dht.records import newest_record, provider_key, record_key, sign_record
from overlay.driver import Driver
from overlay.errors import OverlayError, PeerUnavailable
from overlay.identity import Identity
from overlay.ids import PeerId
from overlay.transport import PeerAddress

logger = logging.getLogger(__name__)

REPUBLISH_S: Final = 3600.0
"""How often we publish again; peers of libp2p keep values for 24 and providers for 48 hours."""
PUBLISH_S: Final = 60.0
"""Patience with one publication."""
PUBLISHED_MAX: Final = 4096
"""Provider keys, and records, that one node keeps alive."""


class DhtService:
    """What one node publishes in the DHT.

    Args:
        network: part of what is signed, so that records cannot move between networks.
        clock: returns unix seconds.
    """

    def __init__(
        self, driver: Driver, identity: Identity, network: str, clock: Callable[[], float]
    ) -> None:
        self._driver = driver
        self._identity = identity
        self._network = network
        self._clock = clock
        self._provided: dict[str, None] = {}
        self._records: dict[str, tuple[bytes, int]] = {}
        self._last_seq = 0

    async def provide(self, key: bytes) -> None:
        """Publish that we serve *key*; see `overlay.transport.Host`."""
        text = provider_key(key)
        self._provided[text] = None
        _forget_oldest(self._provided)
        if not await self._driver.provide(text):
            raise PeerUnavailable("no peer of the DHT took the provider record")

    async def find_providers(self, key: bytes, providers_max: int) -> list[PeerAddress]:
        """Look *key* up; see `overlay.transport.Host`."""
        return await self._driver.find_providers(provider_key(key), providers_max)

    async def put_record(self, name: str, value: bytes, expires_at_unix_s: int) -> None:
        """Publish our record *name*; see `overlay.transport.Host`."""
        encoded = self._sign(name, value, expires_at_unix_s)
        self._records[name] = (value, expires_at_unix_s)
        _forget_oldest(self._records)
        if not await self._put(name, encoded):
            raise PeerUnavailable("no peer of the DHT took the record")

    async def get_record(self, peer_id: PeerId, name: str) -> bytes | None:
        """Return the newest valid record; see `overlay.transport.Host`."""
        key = record_key(peer_id, name)
        values = await self._driver.get_values(key)
        body = newest_record(values, self._network, key, now_unix_s=self._clock())
        return None if body is None else body.value

    async def republish_forever(self) -> None:
        """Publish everything again, every `REPUBLISH_S`, for as long as the node runs."""
        while True:
            await trio.sleep(REPUBLISH_S)
            await self.republish()

    async def republish(self) -> None:
        """Publish everything again, once; what fails is logged and stays on the list."""
        for key in list(self._provided):
            await self._republish_one("provider record", partial(self._driver.provide, key))
        for name, (value, expires_at_unix_s) in list(self._records.items()):
            if expires_at_unix_s <= self._clock():
                del self._records[name]
                continue
            encoded = self._sign(name, value, expires_at_unix_s)
            await self._republish_one(name, partial(self._put, name, encoded))

    async def _republish_one(self, what: str, publish: Callable[[], Awaitable[int]]) -> None:
        peers = 0
        with trio.move_on_after(PUBLISH_S):
            try:
                peers = await publish()
            except OverlayError as error:
                logger.info("republishing %s: %r", what, error)
        if not peers:
            logger.warning("nobody took our %s; trying again in an hour", what)

    async def _put(self, name: str, encoded: bytes) -> int:
        return await self._driver.put_value(record_key(self._identity.peer_id, name), encoded)

    def _sign(self, name: str, value: bytes, expires_at_unix_s: int) -> bytes:
        now_unix_s = self._clock()
        self._last_seq = max(self._last_seq + 1, int(now_unix_s * 1_000_000))
        return sign_record(
            self._identity,
            self._network,
            name,
            value,
            seq=self._last_seq,
            expires_at_unix_s=expires_at_unix_s,
            now_unix_s=now_unix_s,
        )


def _forget_oldest(table: dict[str, Any]) -> None:
    while len(table) > PUBLISHED_MAX:
        del table[next(iter(table))]
