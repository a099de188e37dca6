"""Jobs whose requester may come back when its connection was lost: who, to which, how long.

A job is called by its requester and the hash of its sealed input, so nobody can come back to
another's, or ask what there is. What is held meanwhile is what a running job holds: its slot,
its worker, its channel, and the input as far as it came, in memory. All of that is bounded by
the slots and by what was agreed, and is let go when the patience ends: a job waits for as
long as it has lasted, so leaving jobs holds up at most twice what doing them does.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import trio

from cocoon.errors import PeerMisbehaved, Refused
from cocoon.kinds import outlives_connection
from cocoon.messages import Accept, Kind, RefusalCode, Resume, Resumed, encode
from overlay.ids import short
from overlay.transfer.line import Line
from overlay.transport import Stream

logger = logging.getLogger(__name__)

PATIENCE_S: Final = 60.0
"""How long a job waits for its requester at most, over all losses of its connection."""
FIRST_S: Final = 5.0
"""A job that has not lasted so long yet waits for so long."""
LAPSED_S: Final = 600.0
"""Whose job waited for nothing is not waited for again for so long."""
LAPSED_MAX: Final = 4096
MAKE_WAY_S: Final = 5.0
GONE: Final = "nothing of that job is kept here: ask for another offer"


@dataclass(slots=True)
class _OpenJob:
    line: Line
    channel: str
    given_up: bool = False
    over: trio.Event = field(default_factory=trio.Event)


class OpenJobs:
    """The accepted jobs of one provider, by requester and hash of the input."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._jobs: dict[tuple[str, bytes], _OpenJob] = {}
        self._lapsed: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._jobs)

    def begin(self, line: Line, accept: Accept, kind: Kind, *, trusted: bool) -> None:
        """A job was accepted on *line*; it waits for a *trusted* one: see `outlives_connection`.

        Raises:
            PeerMisbehaved: another job of this requester has the same input: the same
                sealed bytes, which no honest requester makes twice.
        """
        key = line.peer_id, accept.input_hash
        if key in self._jobs:
            raise PeerMisbehaved("another job has this very input")
        outlives = outlives_connection(kind, accept.input_segments)
        waits = outlives and trusted and not self._has_lapsed(key[0])
        line.begin(self._patience_s if waits else 0, first_s=FIRST_S)
        self._jobs[key] = _OpenJob(line, accept.payment.channel_address)

    def end(self, line: Line) -> None:
        """Whatever was begun on *line* is over."""
        for key, job in self._jobs.items():
            if job.line is line:
                del self._jobs[key]
                job.over.set()
                if line.away and not job.given_up:
                    self._note_lapse(line.peer_id)
                break
        line.close()

    async def go_on(self, stream: Stream, resume: Resume) -> None:
        """Serve a stream on which a requester comes back, for as long as its job needs it.

        Raises:
            Refused: it has no such job here.
        """

        async def greet(stream: Stream, received: int) -> int:
            await stream.send(encode(Resumed(received=received)))
            return resume.received

        job = self._jobs.get((stream.peer_id, resume.input_hash))
        if job is None or job.line.over:
            raise Refused(RefusalCode.EXPIRED.value, GONE)
        if await job.line.adopt(stream, greet):
            logger.info("%s came back to its job", short(stream.peer_id))
            await job.line.replaced(stream)

    async def make_way(self, peer: str, channel: str) -> None:
        """End the job that waits for *peer* and is paid from *channel*: it pays for another now."""
        for (requester, _), job in [*self._jobs.items()]:
            if requester == peer and job.channel == channel and job.line.away:
                job.given_up = True
                job.line.give_up("its requester began another job instead")
                with trio.move_on_after(MAKE_WAY_S):
                    await job.over.wait()

    def _note_lapse(self, peer: str) -> None:
        self._lapsed.pop(peer, None)
        self._lapsed[peer] = trio.current_time() + LAPSED_S
        if len(self._lapsed) > LAPSED_MAX:
            self._lapsed.popitem(last=False)

    def _has_lapsed(self, peer: str) -> bool:
        return self._lapsed.get(peer, 0.0) > trio.current_time()
