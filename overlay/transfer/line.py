"""A stream that goes on over another connection when its own is lost, within its patience.

The side that opened it dials again and greets; the other side waits, and adopts the stream
on which its peer comes back. The greeting tells how many frames came, both ways (`Tally`);
what the frames are, and how one recognises a peer that came back, is the caller's.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import trio

from overlay.cleanup import shielded
from overlay.errors import PeerUnavailable, RemoteProtocolError, StreamClosed, StreamReset
from overlay.ids import PeerId
from overlay.transfer.core import Tally
from overlay.transport import Stream

FRAME_S: Final = 15.0
"""Patience with a peer that does not take a frame that is sent again."""
DIAL_AGAIN_S: Final = 0.5
DIAL_AGAIN_S_MAX: Final = 5.0
RETURN_COST_S: Final = 1.0
"""Each loss costs at least so much of the patience: there are not many."""
RESET_S: Final = 2.0

Dial = Callable[[], Awaitable[Stream]]
"""Opens another stream to the peer."""
Greet = Callable[[Stream, int], Awaitable[int]]
"""Tells the peer on a new stream how many frames came here; returns how many came there."""
T = TypeVar("T")


class Line:
    """Implements `overlay.transport.Stream`; until `begin` it is no more than the stream below.

    Unlike a plain stream, several tasks may send at once.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._tally = Tally()
        self._patience_s = 0.0
        self._first_s = math.inf
        self._began_at_s = 0.0
        self._dial: Dial | None = None
        self._greet: Greet | None = None
        self._up = True
        self._closed = False
        self._lost_at_s = 0.0
        self._loss: Exception | None = None
        self._fault: Exception | None = None
        self._sending = trio.Lock()
        self._dialing = trio.Lock()
        self._busy: set[trio.CancelScope] = set()
        """Of the calls on a stream that end when another takes its place."""
        self._clocks: dict[trio.CancelScope, float] = {}
        """Deadlines that stand still without a connection, and what was left of each."""
        self._changed = trio.Event()

    def begin(
        self,
        patience_s: float,
        *,
        first_s: float = math.inf,
        dial: Dial | None = None,
        greet: Greet | None = None,
    ) -> None:
        """Count from here on, and outlive losses of the connection for *patience_s* in all.

        Args:
            patience_s: 0 for a line that ends with its stream.
            first_s: a line that has not lasted for so long yet waits for so long, another
                for as long as it has lasted: who leaves early cannot hold up others for long.
            dial: makes the next connection; None on the side that waits for it.
            greet: goes with *dial*.
        """
        self._tally, self._patience_s, self._first_s = Tally(), patience_s, first_s
        self._dial, self._greet = dial, greet
        self._began_at_s = trio.current_time()

    def disown(self) -> None:
        """The frame that came last was sent before the peer began to count."""
        self._tally.received -= 1

    @property
    def peer_id(self) -> PeerId:
        """The authenticated peer at the other end."""
        return self._stream.peer_id

    @property
    def prefix(self) -> str:
        """The prefix of the address that it comes from now."""
        return self._stream.prefix

    @property
    def away(self) -> bool:
        """Whether there is no connection now."""
        return not self._up

    @property
    def over(self) -> bool:
        """Whether no other connection will ever be adopted."""
        return self._closed or self._fault is not None or self._patience_s <= 0

    # --- frames ---

    async def send(self, body: bytes) -> None:
        """Send one frame; see `overlay.transport.Stream.send`.

        It waits for a connection first. A frame whose connection is lost under way is sent
        again on the next, and this returns; if there is no next one, later calls say so.
        """
        await self.until_up()
        async with self._sending:
            stream = self._stream
            if self._patience_s > 0:
                self._tally.note_sent(body)
            if self._up:
                await self._use(stream, partial(stream.send, body))

    async def receive(self) -> bytes:
        """Return the next frame, from whichever connection; see `overlay.transport.Stream`."""
        while True:
            await self.until_up()
            stream = self._stream
            frame = await self._use(stream, stream.receive)
            if frame is not None and stream is self._stream:
                self._tally.note_received()
                return frame
            # What an old connection still brought was not counted: it is sent again.

    async def finish(self) -> None:
        """Close our sending side."""
        await self._stream.finish()

    async def aclose(self) -> None:
        """Close both sides, for good."""
        self.close()
        await self._stream.aclose()

    async def reset(self) -> None:
        """Abort, for good."""
        self.close()
        await self._stream.reset()

    def close(self) -> None:
        """Adopt nothing any more; who serves a stream of this line may leave it."""
        self._closed = True
        self._wake()

    async def _use(self, stream: Stream, call: Callable[[], Awaitable[T]]) -> T | None:
        """Return what *call* does; None when *stream* was lost, or replaced, meanwhile."""
        with trio.CancelScope() as scope:
            self._busy.add(scope)
            try:
                return await call()
            except StreamClosed:
                raise  # the peer left, and said so
            except (PeerUnavailable, RemoteProtocolError, trio.TooSlowError) as error:
                if isinstance(error, StreamReset) and self._dial is None and stream is self._stream:
                    raise  # it left: one that comes back does so before it resets this stream
                self._lose(stream, error)
            finally:
                self._busy.discard(scope)
        return None

    # --- losing and restoring the connection ---

    @contextmanager
    def patient(self, timeout_s: float) -> Iterator[trio.CancelScope]:
        """Like `trio.move_on_after`; time without a connection does not count."""
        with trio.CancelScope() as scope:
            self._clocks[scope] = timeout_s
            if self._up:
                scope.deadline = trio.current_time() + timeout_s
            try:
                yield scope
            finally:
                del self._clocks[scope]

    async def until_up(self) -> None:
        """Wait for a connection; the side that dials makes it.

        Raises:
            PeerUnavailable: none came within the patience.
            Exception: what *greet* raised.
        """
        while not self._up:
            if self._fault is not None:
                raise self._fault
            if self._dial is None:
                await self._wait_for_peer()
                continue
            async with self._dialing:
                if self.away and self._fault is None:
                    await self._restore(self._dial)

    async def adopt(self, stream: Stream, greet: Greet) -> bool:
        """Go on over *stream*: greet the peer, and send again what did not come.

        Returns False when that failed, a newer stream came meanwhile, or the line is over.
        """
        if self.over:
            return False
        self._lose(self._stream, PeerUnavailable("the peer came back by another way"))
        old, self._stream = self._stream, stream
        self._cut()
        self._wake()
        await self._use(stream, partial(self._hand_over, stream, greet))
        with shielded(RESET_S):
            await old.reset()
        return self._up and self._stream is stream

    async def _hand_over(self, stream: Stream, greet: Greet) -> None:
        async with self._sending:
            rest = self._tally.rest(await greet(stream, self._tally.received))
            if stream is not self._stream or self._fault is not None:
                return
            self._come_up()  # who receives goes on now: the peer has a rest to send, too
            for frame in rest:
                with trio.fail_after(FRAME_S):
                    await stream.send(frame)

    async def replaced(self, stream: Stream) -> None:
        """Wait until this line has no use for *stream* any more."""
        while stream is self._stream and not self._closed:
            await self._changed.wait()

    def give_up(self, why: str) -> None:
        """End a line whose peer is away."""
        if not self._up and self._fault is None:
            self._fault = PeerUnavailable(why)
            self._wake()

    @property
    def _gives_up_at_s(self) -> float:
        deserved_s = max(self._first_s, self._lost_at_s - self._began_at_s)
        return self._lost_at_s + min(self._patience_s, deserved_s)

    def _lose(self, stream: Stream, error: Exception) -> None:
        """Note that the connection is gone, and interrupt who uses it.

        Raises:
            Exception: *error*, when the line does not outlive it.
        """
        if stream is not self._stream:
            return
        if self._patience_s <= 0 or self._closed:
            raise error
        self._loss = error
        if self._up:
            self._up, now_s = False, trio.current_time()
            self._lost_at_s = now_s
            for scope in self._clocks:
                self._clocks[scope] = scope.deadline - now_s
                scope.deadline = math.inf
            self._cut()

    def _cut(self) -> None:
        for scope in self._busy:
            scope.cancel()

    def _come_up(self) -> None:
        now_s = trio.current_time()
        self._patience_s -= max(RETURN_COST_S, now_s - self._lost_at_s)
        self._up = True
        for scope, left_s in self._clocks.items():
            scope.deadline = now_s + left_s
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _wait_for_peer(self) -> None:
        with trio.move_on_at(self._gives_up_at_s):
            await self._changed.wait()
            return
        self._fail()

    async def _restore(self, dial: Dial) -> None:
        """Dial until a connection stands."""
        again_s = DIAL_AGAIN_S
        with trio.move_on_at(self._gives_up_at_s):
            while not await self._try_once(dial):
                await trio.sleep(again_s)
                again_s = min(2 * again_s, DIAL_AGAIN_S_MAX)
            return
        self._fail()

    async def _try_once(self, dial: Dial) -> bool:
        try:
            stream = await dial()
            return await self._greeted(stream)
        except (PeerUnavailable, trio.TooSlowError) as error:
            self._loss = error
            return False
        except Exception as error:
            self._fault = error  # for the others who wait
            raise

    async def _greeted(self, stream: Stream) -> bool:
        greet, adopted = self._greet, False
        try:
            adopted = greet is not None and await self.adopt(stream, greet)
            return adopted
        finally:
            if not adopted:
                with shielded(RESET_S):
                    await stream.reset()

    def _fail(self) -> None:
        if self._fault is None:
            self._fault = PeerUnavailable(
                f"the connection was lost and not restored in time: {self._loss}"
            )
        raise self._fault
