"""One at a time for each key: a lock for every channel or route, made when it is wanted."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import trio

K = TypeVar("K")


@dataclass(slots=True)
class _Place:
    lock: trio.Lock = field(default_factory=trio.Lock)
    wanted_by: int = 0


class Turns(Generic[K]):
    """Locks by key. A key that nobody holds or waits for takes no memory: peers choose keys."""

    def __init__(self) -> None:
        self._places: dict[K, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def taken(self, key: K) -> bool:
        """Tell whether somebody holds *key* now."""
        place = self._places.get(key)
        return place is not None and place.lock.locked()

    @asynccontextmanager
    async def turn(self, key: K) -> AsyncGenerator[None]:
        """Wait for our turn with *key*, and hold it for the length of the block."""
        place = self._places.setdefault(key, _Place())
        place.wanted_by += 1
        try:
            async with place.lock:
                yield
        finally:
            place.wanted_by -= 1
            if not place.wanted_by:
                del self._places[key]
