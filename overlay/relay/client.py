"""The side that is relayed: asking for a reservation, dialing through a relay, being dialed.

Source: libp2p specs, relay/circuit-v2.md.
"""

from typing import Final

from overlay.addresses import CIRCUIT, without_peer
from overlay.cleanup import shielded
from overlay.driver import ByteStream
from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.ids import PeerId
from overlay.relay.circuit import Circuit, read_message
from overlay.relay.wire import (
    Kind,
    Message,
    Status,
    decode_hop,
    decode_stop,
    encode_hop,
    encode_stop,
)

END_S: Final = 2.0
WORDS: Final = {
    Status.RESERVATION_REFUSED: "the relay has no room for us",
    Status.RESOURCE_LIMIT_EXCEEDED: "the relay carries as many circuits as it may",
    Status.PERMISSION_DENIED: "the relay does not serve us",
    Status.CONNECTION_FAILED: "the peer does not answer its relay",
    Status.NO_RESERVATION: "the peer is not at this relay",
}


async def reserve(raw: ByteStream) -> int:
    """Ask the relay at *raw* for a reservation; return its end in unix seconds.

    Raises:
        PeerUnavailable: refused, or the relay is gone.
        RemoteProtocolError: it does not speak the protocol.
    """
    try:
        await raw.write(encode_hop(Message(Kind.RESERVE)))
        answer, _ = await read_message(raw, decode_hop)
        _check(answer)
        return answer.expires_at_unix_s
    finally:
        with shielded(END_S):
            await raw.reset()


async def dial(raw: ByteStream, target: PeerId) -> Circuit:
    """Ask the relay at *raw* for a circuit to *target*. *raw* is reset on failure.

    Raises:
        PeerUnavailable: refused, or the relay is gone.
        RemoteProtocolError: it does not speak the protocol.
    """
    try:
        await raw.write(encode_hop(Message(Kind.CONNECT, target)))
        answer, early = await read_message(raw, decode_hop)
        _check(answer)
    except BaseException:
        with shielded(END_S):
            await raw.reset()
        raise
    return Circuit(raw, target, early)


async def accept(raw: ByteStream, *, expected: bool) -> Circuit | None:
    """Answer one stream of the stop protocol; None if it was refused, which resets *raw*.

    Args:
        raw: the stream, on which nothing was read yet.
        expected: whether we hold a reservation at the relay that opened it.

    Raises:
        OverlayError: the relay is gone, or breaks the protocol.
    """
    question, early = await read_message(raw, decode_stop)
    if question.kind is not Kind.CONNECT or question.peer is None:
        raise RemoteProtocolError("a relay that does not say who connects", penalty=10)
    status = Status.OK if expected else Status.PERMISSION_DENIED
    await raw.write(encode_stop(Message(Kind.STATUS, status=status)))
    if expected:
        return Circuit(raw, question.peer, early)
    await raw.finish()
    return None


def circuit_address(relay: str) -> str:
    """Return our address at the relay with the full address *relay*, without our own id.

    >>> circuit_address("/ip4/8.8.4.4/tcp/4001/p2p/R")
    '/ip4/8.8.4.4/tcp/4001/p2p/R/p2p-circuit'
    """
    if without_peer(relay) == relay:
        raise OverlayError(f"{relay} does not name the relay")
    return f"{relay}{CIRCUIT}"


def _check(answer: Message) -> None:
    if answer.kind is not Kind.STATUS:
        raise RemoteProtocolError("a relay that answers with a question", penalty=10)
    if answer.status is not Status.OK:
        why = WORDS.get(answer.status, f"the relay says {answer.status.name}")
        raise PeerUnavailable(why)
