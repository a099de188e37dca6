"""Selling and buying tickets over a stream: the trio part of `overlay.limits`.

The asker sends b"ticket?" and gets 16 bytes of challenge and a number of bits; with 0
bits nothing is asked. Else it sends an 8-byte nonce and gets one byte, 1, if it is good.
"""

import threading
from typing import Final

import trio

from overlay.errors import RemoteProtocolError
from overlay.limits.gate import Gate
from overlay.limits.ticket import NONCE_BYTES, QUESTION, read_challenge, solve
from overlay.transport import Stream

TICKET_PROTOCOL: Final = "/ticket/1"
SOLVING_S: Final = 30.0
"""How long the asker may take."""
ACCEPTED: Final = b"\x01"


async def sell_ticket(gate: Gate, stream: Stream) -> None:
    """Answer one asker.

    Raises:
        RemoteProtocolError: it does not speak the protocol.
    """
    with trio.move_on_after(SOLVING_S):
        if await stream.receive() != QUESTION:
            raise RemoteProtocolError("not a question for a ticket")
        challenge = gate.ticket_challenge(stream.peer_id)
        await stream.send(challenge)
        bits = challenge[-1]
        if bits:
            nonce = await stream.receive()
            if len(nonce) != NONCE_BYTES or not gate.redeem(stream.peer_id, nonce, bits):
                raise RemoteProtocolError("a bad ticket")
            await stream.send(ACCEPTED)


async def buy_ticket(stream: Stream) -> bool:
    """Return whether the peer asked for a ticket, and took ours. Leaves *stream* open.

    Raises:
        RemoteProtocolError: it does not speak the protocol, or asks for too much.
        PeerUnavailable: it is gone.
    """
    await stream.send(QUESTION)
    challenge, bits = read_challenge(await stream.receive())
    if not bits:
        return False
    nonce = await _solve_in_thread(challenge, bits)
    if nonce is None:
        return False
    await stream.send(nonce)
    return await stream.receive() == ACCEPTED


async def _solve_in_thread(challenge: bytes, bits: int) -> bytes | None:
    gone = threading.Event()
    try:
        return await trio.to_thread.run_sync(
            solve,
            challenge,
            bits,
            gone.is_set,
            abandon_on_cancel=True,  # type: ignore[call-arg]
        )
    finally:
        gone.set()
