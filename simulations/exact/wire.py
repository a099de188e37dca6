"""What lies between nodes: datagrams that may get lost, and streams that are slow instead.

Gossip and DHT requests are datagrams: lost, doubled and reordered as the scenario says. The
job protocol runs on streams, as over TCP: bytes come in order or the stream breaks, and loss
shows as the delay of sending again. A partition holds a stream up, and breaks it when it
lasts; a peer that lost power breaks it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from simulations.exact.events import SECOND_US
from simulations.latency import LatencyModel

if TYPE_CHECKING:
    from simulations.exact.node import Node
    from simulations.exact.world import World

RETRY_US: Final = 200_000
"""Shortest time until lost bytes are sent again (RFC 6298 says at least a second; Linux 0.2)."""
BREAKS_AFTER_US: Final = 60 * SECOND_US
"""A stream that got nothing through for so long is broken."""
OVERHEAD_BYTES: Final = 60
_KILO: Final = 1000.0


class Wire:
    """Carries messages between the nodes of one world."""

    def __init__(self, world: "World", latency: LatencyModel) -> None:
        self._world = world
        self._latency = latency
        self._up_us = 8.0 / world.scenario.link.upload_mbps
        self._down_us = 8.0 / world.scenario.link.download_mbps
        self._busy_until_us: dict[int, int] = {}
        self._sent: dict[tuple[int, int], int] = {}
        self._side: frozenset[int] | None = None
        self._healed_at_us = 0
        self.messages = 0
        self.bytes = 0

    def one_way_us(self, source: int, to: int) -> int:
        """Return the delay between two nodes, without queues and jitter."""
        return max(1, self._latency.one_way_us(source, to))

    # --- partitions ---

    def cut(self, side: tuple[int, ...], until_us: int) -> None:
        """Cut *side* off from all others until *until_us*."""
        self._side, self._healed_at_us = frozenset(side), until_us

    def heal(self) -> None:
        """Undo `cut`."""
        if self._world.events.now_us >= self._healed_at_us:
            self._side = None

    def parted(self, one: int, other: int) -> bool:
        """Tell whether a partition lies between two nodes."""
        return self._side is not None and (one in self._side) != (other in self._side)

    # --- datagrams ---

    def datagram(
        self,
        source: "Node",
        to: "Node",
        size_bytes: int,
        arrive: Callable[..., None],
        *arguments: object,
    ) -> None:
        """Send one message; *arrive* is called at the other side, perhaps never, perhaps twice."""
        world = self._world
        name = self._name(source.index, to.index)
        mishap = world.faults.mishap(name, world.events.now_us)
        if mishap.lost or self.parted(source.index, to.index):
            world.log.line(f"{world.events.now_us} lost {name}")
            return
        delay_us = self._delay_us(source.index, to.index, size_bytes, mishap.jitter)
        delay_us += mishap.late_us
        world.events.after(delay_us, self._arrive, to, to.life, arrive, arguments)
        if mishap.twice:
            world.events.after(2 * delay_us, self._arrive, to, to.life, arrive, arguments)

    def _arrive(
        self, to: "Node", life: int, arrive: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        if to.up and to.life == life:
            arrive(*arguments)

    def _name(self, source: int, to: int) -> str:
        number = self._sent.get((source, to), 0)
        self._sent[source, to] = number + 1
        return f"{source}>{to}:{number}"

    def _delay_us(self, source: int, to: int, size_bytes: int, jitter: float) -> int:
        """Return how long a message is under way, the sender's queue included."""
        now_us, whole_bytes = self._world.events.now_us, size_bytes + OVERHEAD_BYTES
        self.messages += 1
        self.bytes += whole_bytes
        departs_us = max(now_us, self._busy_until_us.get(source, 0))
        departs_us += int(whole_bytes * self._up_us)
        self._busy_until_us[source] = departs_us
        one_way_us = self._latency.one_way_us(source, to)
        one_way_us += int(one_way_us * jitter)
        return departs_us - now_us + max(1, one_way_us) + int(whole_bytes * self._down_us)

    # --- streams ---

    def open(self, source: "Node", to: "Node", protocol: str) -> "End":
        """Open a stream; the other side hears of it after one delay.

        The caller sets `on_message` and `on_broken` of the end that is returned.
        """
        near, far = End(self, source, to), End(self, to, source)
        near.far, far.far = far, near
        near.ready_us = self._stream_arrival_us(near, 64)
        self._world.events.after(
            near.ready_us - self._world.events.now_us, self._accept, far, to.life, protocol
        )
        return near

    def _accept(self, far: "End", life: int, protocol: str) -> None:
        node = far.node
        if far.far is None or not node.up or node.life != life:
            far.reset()
            return
        far.open = True
        node.streams[far] = None
        node.on_stream(protocol, far)

    def _stream_arrival_us(self, end: "End", size_bytes: int) -> int:
        """Return when bytes sent now come out at the other end; in order, late after loss."""
        world = self._world
        name = self._name(end.node.index, end.peer.index)
        now_us, tries, delay_us = world.events.now_us, 0, 0
        mishap = world.faults.mishap(name, now_us)
        while mishap.lost and tries < 8:
            delay_us += RETRY_US << tries
            tries += 1
            mishap = world.faults.mishap(f"{name}.{tries}", now_us)
        delay_us += self._delay_us(end.node.index, end.peer.index, size_bytes, mishap.jitter)
        if self.parted(end.node.index, end.peer.index):
            delay_us += max(0, self._healed_at_us - now_us)
        return max(now_us + delay_us, end.ready_us + 1)

    def send_on(self, end: "End", data: bytes) -> None:
        """Send *data*; see `End.send`."""
        arrives_us = self._stream_arrival_us(end, len(data))
        wait_us = arrives_us - self._world.events.now_us
        if wait_us > BREAKS_AFTER_US:
            self._world.events.after(BREAKS_AFTER_US, end.break_off)
            return
        end.ready_us = arrives_us
        self._world.events.after(wait_us, self._receive, end, data)

    def _receive(self, sender: "End", data: bytes) -> None:
        far = sender.far
        if far is not None and far.open and far.node.up:
            far.on_message(data)

    def break_on(self, end: "End") -> None:
        """Tell the other side that *end* is gone, after one delay."""
        arrives_us = self._stream_arrival_us(end, 40)
        self._world.events.after(arrives_us - self._world.events.now_us, self._broken, end.far)

    def _broken(self, far: "End | None") -> None:
        if far is not None and far.node.up:
            far.hear_of_end()


def _nothing(*_: object) -> None:
    """Nobody listens yet, or any more."""


class End:
    """One end of a stream.

    Attributes:
        on_message: takes the bytes of each frame.
        on_broken: called once when the stream ends before we end it.
        ready_us: when the last frame sent so far comes out at the other end.
    """

    __slots__ = ("_wire", "far", "node", "on_broken", "on_message", "open", "peer", "ready_us")

    def __init__(self, wire: Wire, node: "Node", peer: "Node") -> None:
        self._wire = wire
        self.node = node
        self.peer = peer
        self.far: End | None = None
        self.open = False
        self.ready_us = 0
        self.on_message: Callable[[bytes], None] = _nothing
        self.on_broken: Callable[[], None] = _nothing

    def start(self, on_message: Callable[[bytes], None], on_broken: Callable[[], None]) -> "End":
        """Say who listens."""
        self.open, self.on_message, self.on_broken = True, on_message, on_broken
        self.node.streams[self] = None
        return self

    def send(self, data: bytes) -> None:
        """Send one frame; on a stream that has ended it goes nowhere."""
        if self.open:
            self._wire.send_on(self, data)

    def close(self) -> None:
        """End the stream from our side; what was sent still comes."""
        if self.open:
            self._forget()
            self._wire.break_on(self)

    def reset(self) -> None:
        """End a stream that was never accepted here."""
        self._wire.break_on(self)

    def hear_of_end(self) -> None:
        """The other side has ended it."""
        if self.open:
            on_broken = self.on_broken
            self._forget()
            on_broken()

    def break_off(self) -> None:
        """Nothing gets through any more: both sides notice."""
        self.hear_of_end()
        if self.far is not None:
            self.far.hear_of_end()

    def _forget(self) -> None:
        self.open = False
        self.on_message, self.on_broken = _nothing, _nothing
        self.node.streams.pop(self, None)
