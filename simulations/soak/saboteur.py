"""An honest requester on a wire that cheats: it gets half way into a job, and then goes wrong.

`Saboteur` stands between a requester and its host. Everything that the requester sends is right
(keys, seals, signatures, the transcript), so whatever is sent instead, at one step of the job,
meets a provider that is in the middle of it.
"""

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from cocoon.messages import (
    CHANNEL_PROTOCOL,
    JOB_PROTOCOL,
    Accept,
    Cancel,
    Message,
    VoucherMessage,
    decode_from_requester,
    encode,
)
from cocoon.payments.closing import channel_ref
from cocoon.payments.payer import PayerService
from contracts.units import NanoTon
from contracts.voucher import sign_voucher
from overlay.errors import PeerUnavailable, RemoteProtocolError
from overlay.ids import PeerId
from overlay.transport import Host, Stream
from simulations.soak.damage import bytewise, packed

STEPS: Final = 8
"""The request, the answer to an offer, the acceptance, the input, and some vouchers."""
KEPT: Final = 32


@dataclass(slots=True)
class Memory:
    """What all saboteurs have seen: frames to replay at the wrong place, or in another's name.

    Attributes:
        done: how often each cheat was tried, by (message, cheat).
    """

    rng: random.Random
    frames: dict[str, deque[bytes]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=KEPT))
    )
    done: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, kind: str, frame: bytes) -> None:
        """Remember a frame."""
        self.frames[kind].append(frame)

    def any_of(self, kind: str, other_than: bytes) -> bytes:
        """Return a frame of one kind, another one if there is any."""
        others = [frame for frame in self.frames[kind] if frame != other_than]
        return self.rng.choice(others) if others else other_than


class HungUp(PeerUnavailable):
    """The saboteur left."""


@dataclass(slots=True)
class SabotagedStream:
    """A stream to a provider: the frame at one step is not the one that it was given."""

    stream: Stream
    memory: Memory
    payer: PayerService
    step: int
    _sent: int = 0
    _channel: str = ""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the stream has)
        return getattr(self.stream, name)

    async def send(self, frame: bytes) -> None:
        """Send *frame*, or what is done instead at this step.

        Raises:
            HungUp: it was left.
        """
        kind, message = _kind_of(frame)
        if isinstance(message, Accept):
            self._channel = message.payment.channel_address
        at, self._sent = self._sent, self._sent + 1
        if not self._is_time(at, message):
            self.memory.note(kind, frame)
            await self.stream.send(frame)
            return
        name, cheat = self.memory.rng.choice(self._cheats(message))
        self.memory.done[kind, name] += 1
        for each in cheat(frame):
            await self.stream.send(each)
        self.memory.note(kind, frame)
        if name == "left":
            await self.stream.reset()
            raise HungUp("left in the middle")

    def _is_time(self, at: int, _message: Message | None) -> bool:
        return at == self.step

    def _cheats(self, message: Message | None) -> list[tuple[str, "Cheat"]]:
        rng, memory = self.memory.rng, self.memory
        kinds = sorted(memory.frames)
        common: list[tuple[str, Cheat]] = [
            ("bytes", lambda frame: [bytewise(rng, frame)]),
            ("structure", lambda frame: [packed(rng, frame)]),
            ("structure", lambda frame: [packed(rng, frame), frame]),
            ("not sent", lambda _: []),
            ("twice", lambda frame: [frame, frame]),
            ("another's", lambda frame: [memory.any_of(_kind_of(frame)[0], frame)]),
            ("another step", lambda frame: [memory.any_of(rng.choice(kinds or ["?"]), frame)]),
            ("cancelled", lambda _: [encode(Cancel())]),
            ("left", lambda _: []),
        ]
        if isinstance(message, VoucherMessage):
            common += [(name, _always(encode(made))) for name, made in self._bad(message)]
        return common

    def _bad(self, voucher: VoucherMessage) -> list[tuple[str, VoucherMessage]]:
        """Return vouchers that are worth nothing, or less, or more than there is."""
        total, signature = voucher.total_nanoton, voucher.signature
        above = self.payer.store.get(self._channel).state.total_max + 1
        return [
            ("unsigned total", VoucherMessage(total_nanoton=total + 1, signature=signature)),
            ("above the deposit", self._signed(above)),
            ("old total", self._signed(max(1, total // 2))),
            ("nothing", self._signed(0)),
            ("no signature", VoucherMessage(total_nanoton=total, signature=bytes(64))),
        ]

    def _signed(self, total: int) -> VoucherMessage:
        channel = self.payer.store.get(self._channel)
        ref = channel_ref(self.payer.network_id, channel)
        signature = sign_voucher(channel.seed, ref, NanoTon(total))
        return VoucherMessage(total_nanoton=total, signature=signature)


Cheat = Callable[[bytes], list[bytes]]


def _always(frame: bytes) -> Cheat:
    return lambda _: [frame]


def _kind_of(frame: bytes) -> tuple[str, Message | None]:
    try:
        message = decode_from_requester(frame)
    except RemoteProtocolError:
        return "?", None
    return type(message).__name__, message


class Saboteur:
    """A host whose streams to providers are sabotaged, one step of each."""

    def __init__(self, host: Host, payer: PayerService, memory: Memory) -> None:
        self._host = host
        self._payer = payer
        self._memory = memory

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the host has)
        return getattr(self._host, name)

    async def open_stream(self, peer_id: PeerId, protocol: str) -> Any:  # noqa: ANN401  (a stream)
        """Open a stream; see `overlay.transport.Host`."""
        stream = await self._host.open_stream(peer_id, protocol)
        if protocol != JOB_PROTOCOL:
            return stream
        step = self._memory.rng.randrange(STEPS)
        return SabotagedStream(stream, self._memory, self._payer, step)

    async def request(self, peer_id: PeerId, protocol: str, body: bytes) -> bytes:
        """Ask; a wish to close a channel is mostly damaged."""
        rng = self._memory.rng
        if protocol == CHANNEL_PROTOCOL and rng.random() < 0.7:
            body = packed(rng, body)
        return await self._host.request(peer_id, protocol, body)
