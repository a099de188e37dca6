"""Length-prefixed frames, without any I/O.

A frame is a 4-byte big-endian length and then that many bytes. Feed bytes in
with `FrameReader.feed`, take whole frames out with `FrameReader.next_frame`.
"""

from typing import Final

from overlay.errors import LocalProtocolError, RemoteProtocolError
from overlay.transport import FRAME_BYTES_MAX

HEADER_BYTES: Final = 4
OVERSIZED_PENALTY: Final = 10
"""Score points a peer loses for announcing a frame that is too long."""


def encode_frame(body: bytes) -> bytes:
    """Prefix *body* with its length.

    >>> encode_frame(b"hi").hex()
    '000000026869'

    Raises:
        LocalProtocolError: *body* is longer than `FRAME_BYTES_MAX`.
    """
    if len(body) > FRAME_BYTES_MAX:
        raise LocalProtocolError(f"frame of {len(body)} bytes, at most {FRAME_BYTES_MAX}")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class FrameReader:
    """Turns a byte stream, cut anywhere, back into frames.

    Invariant: holds at most one unfinished frame plus what the last `feed` brought.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def inside_frame(self) -> bool:
        """True when bytes of an unfinished frame are waiting for the rest."""
        return bool(self._buffer)

    @property
    def frame_bytes(self) -> int:
        """Length of the unfinished frame with its header, as far as it is known."""
        if len(self._buffer) < HEADER_BYTES:
            return HEADER_BYTES
        return HEADER_BYTES + self._announced_bytes()

    def feed(self, data: bytes) -> None:
        """Append *data* as it came off the stream."""
        self._buffer += data

    def next_frame(self) -> bytes | None:
        """Return the next whole frame, or None when more bytes are needed.

        Raises:
            RemoteProtocolError: the peer announced a frame that is too long.
                Nothing was allocated for it; the stream is of no more use.
        """
        if len(self._buffer) < HEADER_BYTES:
            return None
        announced_bytes = self._announced_bytes()
        if announced_bytes > FRAME_BYTES_MAX:
            self._buffer.clear()
            raise RemoteProtocolError(
                f"announced a frame of {announced_bytes} bytes", penalty=OVERSIZED_PENALTY
            )
        end = HEADER_BYTES + announced_bytes
        if len(self._buffer) < end:
            return None
        frame = bytes(memoryview(self._buffer)[HEADER_BYTES:end])
        del self._buffer[:end]
        return frame

    def end(self) -> None:
        """Say that the byte stream ended.

        Raises:
            RemoteProtocolError: it ended inside a frame.
        """
        if self._buffer:
            raise RemoteProtocolError(f"stream ended inside a frame ({len(self._buffer)} bytes)")

    def _announced_bytes(self) -> int:
        return int.from_bytes(self._buffer[:HEADER_BYTES], "big")
