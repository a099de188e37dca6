"""The event log: one line for everything that happens, hashed as it grows."""

import hashlib
from collections.abc import Callable
from typing import Final

Listener = Callable[["Event"], None]
_BATCH_LINES: Final = 512


class Event:
    """Something a metric may want to know: when, who, what, and named values."""

    __slots__ = ("at_us", "fields", "kind", "node")

    def __init__(self, at_us: int, node: str, kind: str, fields: dict[str, object]) -> None:
        self.at_us, self.node, self.kind, self.fields = at_us, node, kind, fields

    def __repr__(self) -> str:
        return f"Event({self.at_us}, {self.node!r}, {self.kind!r}, {self.fields})"


class EventLog:
    """Lines of text, in order. Their hash is the fingerprint of the run."""

    def __init__(self, *, keep: bool) -> None:
        self.lines: list[str] = []
        self.count = 0
        self.listeners: list[Listener] = []
        self._keep = keep
        self._hash = hashlib.sha256()
        self._pending: list[str] = []

    def line(self, text: str) -> None:
        """Add a line."""
        self._pending.append(text)
        if len(self._pending) >= _BATCH_LINES:
            self._flush()

    def note(self, at_us: int, node: str, kind: str, **fields: object) -> None:
        """Add an event as a line, and tell it to the listeners."""
        values = " ".join(f"{name}={value}" for name, value in fields.items())
        self.line(f"{at_us} {node} {kind} {values}")
        for listener in self.listeners:
            listener(Event(at_us, node, kind, fields))

    def _flush(self) -> None:
        self.count += len(self._pending)
        self._hash.update("".join(f"{line}\n" for line in self._pending).encode())
        if self._keep:
            self.lines += self._pending
        self._pending = []

    def hexdigest(self) -> str:
        """Return the SHA-256 over all lines so far."""
        self._flush()
        return self._hash.hexdigest()
