"""Fewer system calls, copies and coroutines for each byte that libp2p 0.8.1 carries.

Nothing changes on the wire but where frames are cut. To drop any of them: upstream's figure
in `python -m overlay.bench --only streams` is within a tenth of ours.
"""
# ruff: noqa: ANN401, SLF001, TID251  (the border to libp2p: its privates, its loose types)

import contextlib
import functools
import gc
import struct
from collections.abc import Sequence
from typing import Any, Final

import trio
from libp2p.custom_types import TProtocol
from libp2p.io import msgio
from libp2p.io.exceptions import ConnectionClosedError, IncompleteReadError, IOException
from libp2p.io.trio import TrioTCPStream
from libp2p.protocol_muxer.exceptions import (
    MultiselectClientError,
    MultiselectCommunicatorError,
    ProtocolNotSupportedError,
)
from libp2p.protocol_muxer.multiselect_client import (
    DEFAULT_NEGOTIATE_TIMEOUT,
    MULTISELECT_PROTOCOL_ID,
    PROTOCOL_NOT_FOUND_MSG,
    MultiselectClient,
)
from libp2p.security.noise.io import (
    MAX_PLAINTEXT_LENGTH,
    BaseNoiseMsgReadWriter,
    NoiseTransportReadWriter,
)
from libp2p.security.secure_session import SecureSession
from libp2p.stream_muxer.yamux import yamux
from libp2p.utils import encode_delim

from overlay._libp2p_hardening import held_openings, install_yamux_fixes, replace_attribute
from overlay._libp2p_inbound import NEWCOMER

READ_AHEAD_BYTES: Final = 128 * 1024
"""Of one socket: two Noise messages. Counts against nobody's window, so it is small."""

OPENINGS_HELD_BYTES_MAX: Final = 4096
_OPENS: Final = struct.pack(">BBH", 0, yamux.TYPE_WINDOW_UPDATE, yamux.FLAG_SYN)
_GREETING: Final = encode_delim(MULTISELECT_PROTOCOL_ID.encode())
_IS_OPEN: Final = struct.pack(">BBH", 0, yamux.TYPE_WINDOW_UPDATE, yamux.FLAG_ACK)


@functools.cache
def install_speed_fixes() -> None:
    """Apply the changes below, once for the process: the classes are global."""
    install_yamux_fixes()  # these build on them
    read_ahead()
    read_exactly_at_once()
    keep_plaintext_whole()
    encrypt_in_bulk()
    propose_at_once()
    open_with_first_words()


@functools.cache
def spare_the_collector() -> None:
    """Have the garbage collector pass over what is here for good: 400,000 objects of modules.

    Else each full collection holds everything up for 60 to 90 ms. To drop: it does not.
    """
    gc.collect()
    gc.freeze()


class Held:
    """Bytes that were received and not asked for yet."""

    __slots__ = ("_at", "_data")

    def __init__(self) -> None:
        self._data, self._at = b"", 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def put(self, data: bytes) -> None:
        """Hold *data*; call it only when nothing is held."""
        self._data, self._at = data, 0

    def take(self, bytes_max: int | None) -> bytes:
        """Return what is held, at most *bytes_max*."""
        data, at = self._data, self._at
        end = len(data) if bytes_max is None else min(len(data), at + bytes_max)
        if end == len(data):
            self._data, self._at = b"", 0
            return data if at == 0 else data[at:]
        self._at = end
        return data[at:end]


def _held_by(owner: Any) -> Held:
    held = getattr(owner, "_cocoon_held", None)
    if held is None:
        held = owner._cocoon_held = Held()
    return held


def read_ahead() -> None:
    """Read from the socket whatever is there; what a newcomer brings waits for its turn.

    Upstream (0.8.1) makes two system calls for each message of at most 64 KiB: its length,
    its body. For newcomers see `overlay._libp2p_inbound.take_turns`.
    """
    original = TrioTCPStream.read

    async def read(self: TrioTCPStream, n: int | None = None) -> bytes:
        if n == 0:
            return b""
        held = _held_by(self)
        if not held:
            held.put(await original(self, max(n or 0, READ_AHEAD_BYTES)))
            newcomer = getattr(self, NEWCOMER, None)
            if newcomer is not None:
                await newcomer.turn()
        return held.take(n)

    replace_attribute(TrioTCPStream, "read", read)


def read_exactly_at_once() -> None:
    """Return what one read brought when it is all, without a buffer between.

    Upstream (0.8.1) also gives up after a hundred partial reads, and asks a hundred times at the
    end of a connection.
    """

    async def read_exactly(reader: Any, n: int, retry_count: int = 0) -> bytes:
        del retry_count
        data: bytes = await reader.read(n)
        if len(data) == n:
            return data
        buffer = bytearray(data)
        while len(buffer) < n:
            data = await reader.read(n - len(buffer))
            if not data:
                raise IncompleteReadError(
                    f"expected {n} bytes, received {len(buffer)}",
                    expected_bytes=n,
                    received_bytes=len(buffer),
                )
            buffer += data
        return bytes(buffer)

    for module in (msgio, yamux):
        replace_attribute(module, "read_exactly", read_exactly)


def keep_plaintext_whole() -> None:
    """Hand out a decrypted message as it is, in as many parts as are asked for.

    Upstream (0.8.1) copies each into a BytesIO and back.
    """

    async def read(self: SecureSession, n: int | None = None) -> bytes:
        if n == 0:
            return b""
        held = _held_by(self)
        if not held:
            data = await self.conn.read_msg()
            if not data:
                raise ConnectionClosedError("Connection closed")
            held.put(data)
        return held.take(n)

    replace_attribute(SecureSession, "read", read)


def encrypt_in_bulk() -> None:
    """Send a long write as one: all its Noise messages in one system call."""
    original = BaseNoiseMsgReadWriter.write_msg

    async def write_msg(
        self: NoiseTransportReadWriter, msg: bytes, prefix_encoded: bool = False
    ) -> None:
        if prefix_encoded or len(msg) <= MAX_PLAINTEXT_LENGTH:
            await original(self, msg, prefix_encoded)
            return
        parts = []
        for at in range(0, len(msg), MAX_PLAINTEXT_LENGTH):
            message = self.encrypt(msg[at : at + MAX_PLAINTEXT_LENGTH])
            parts += [len(message).to_bytes(2, "big"), message]
        await self.read_writer.read_write_closer.write(b"".join(parts))

    replace_attribute(NoiseTransportReadWriter, "write_msg", write_msg)


def propose_at_once() -> None:
    """Send the protocol that we want together with the greeting: one round trip, not two.

    Source: libp2p specs, connections/README.md, section "Protocol Negotiation"; go-libp2p does so.
    """

    async def select_one_of(
        self: MultiselectClient,
        protocols: Sequence[TProtocol],
        communicator: Any,
        negotiate_timeout: float = DEFAULT_NEGOTIATE_TIMEOUT,
    ) -> TProtocol:
        with trio.move_on_after(negotiate_timeout):
            first = str(protocols[0])
            greeting = encode_delim(MULTISELECT_PROTOCOL_ID.encode())
            try:
                await communicator.read_writer.write(greeting + encode_delim(first.encode()))
                answers = [await communicator.read() for _ in range(2)]
            except (IOException, MultiselectCommunicatorError) as error:
                raise MultiselectClientError(f"negotiation broke off: {error!r}") from error
            if answers == [MULTISELECT_PROTOCOL_ID, first]:
                return protocols[0]
            if answers != [MULTISELECT_PROTOCOL_ID, PROTOCOL_NOT_FOUND_MSG]:
                raise MultiselectClientError(f"not an answer: {answers!r}")
            return await _try_others(self, protocols[1:], communicator)
        raise MultiselectClientError(f"no answer in {negotiate_timeout} s to {list(protocols)}")

    replace_attribute(MultiselectClient, "select_one_of", select_one_of)


async def _try_others(
    client: MultiselectClient, protocols: Sequence[TProtocol], communicator: Any
) -> TProtocol:
    for protocol in protocols:
        with contextlib.suppress(ProtocolNotSupportedError):
            return await client.try_select(communicator, protocol)
    raise MultiselectClientError("the peer speaks none of the protocols")


def open_with_first_words() -> None:
    """Send the frames that open a stream, or say that it is open, with the next frame.

    They carry nothing, and a greeting always follows; and a greeting waits for the answer, when
    the proposal is here already. A connection that says nothing more is asked by a ping, which
    takes them along.
    """
    write_frame = yamux.Yamux._write_frame

    async def write(self: yamux.Yamux, data: bytes) -> None:
        held = held_openings(self)
        opens = len(data) == yamux.HEADER_SIZE and data[:4] in (_OPENS, _IS_OPEN)
        waits = (opens and data.endswith(bytes(4))) or _answers_a_proposal(self, data)
        if waits and len(held) < OPENINGS_HELD_BYTES_MAX:
            held += data
            await trio.lowlevel.checkpoint_if_cancelled()
            return
        await write_frame(self, data)  # takes along what is held

    replace_attribute(yamux.Yamux, "_write_frame", write)


def _answers_a_proposal(connection: yamux.Yamux, data: bytes) -> bool:
    """Return whether *data* is our greeting to a peer that has sent its proposal with its own."""
    if not data.endswith(_GREETING) or len(data) != yamux.HEADER_SIZE + len(_GREETING):
        return False
    received = connection.stream_buffers.get(int.from_bytes(data[4:8], "big"))
    return (
        received is not None
        and received.startswith(_GREETING)
        and received.endswith(b"\n")
        and (len(received) > len(_GREETING))
    )
