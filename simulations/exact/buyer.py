"""A requester of the exact engine: jobs arrive, one at a time is bought.

Attackers override the few methods under "what attackers change".
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cocoon.market.book import Listing
from cocoon.market.match import Preferences, Track
from cocoon.market.price import PPM
from cocoon.messages import (
    CloseRelease,
    CloseRequest,
    Kind,
    PriceSchedule,
    QuotesAnswer,
    Refusal,
    Turn,
    decode,
    encode,
    resource_class,
)
from cocoon.payments.channel import Phase
from cocoon.requester.plan import ChatRequest
from contracts.units import NanoTon
from simulations.exact.events import SECOND_US
from simulations.exact.job import Job
from simulations.exact.node import Node
from simulations.exact.purse import Purse
from simulations.exact.seller import MODEL_ID, Seller

if TYPE_CHECKING:
    from simulations.exact.world import World

CLASS: Final = resource_class(Kind.CHAT, MODEL_ID.hex())
QUEUE_MAX: Final = 1000
ASK_QUOTES_OF: Final = 4
BYTES_PER_TOKEN: Final = 4


class Buyer(Node):
    """A requester.

    Attributes:
        tracks: what our own jobs say about providers.
        job: the one that runs now.
    """

    def __init__(self, world: "World", index: int, name: str, folder: Path) -> None:
        super().__init__(world, index, name)
        self.purse = Purse(self, folder)
        self.tracks: dict[str, Track] = {}
        self.job: Job | None = None
        self._waiting: deque[ChatRequest] = deque()
        self._jobs = 0

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self.job is not None or bool(self._waiting)

    def begin(self) -> None:
        """Look after channels, and go on with what waits."""
        self.directory.book.watch([CLASS])
        self.directory.book.know(peer for peer, track in self.tracks.items() if track.jobs)
        self.after(1 + self.chance.below(SECOND_US), self.purse.watch)
        self.after(SECOND_US, self._next)

    # --- jobs ---

    def want(self, prompt_tokens: int, output_tokens: int) -> None:
        """Want one more answer."""
        if not self.up or len(self._waiting) >= QUEUE_MAX:
            self.note("unserved", why="away" if not self.up else "queue")
            return
        turn = Turn(role="user", content="x" * (prompt_tokens * BYTES_PER_TOKEN))
        self._waiting.append(
            ChatRequest(
                model_id=MODEL_ID.hex(), turns=(turn,), output_tokens_max=max(1, output_tokens)
            )
        )
        self._next()

    def _next(self) -> None:
        if self.job is None and self._waiting:
            self._jobs += 1
            name = f"{self.name}-{self.life}-{self._jobs}"
            self.job = Job(self, name, self._waiting.popleft())
            self.job.start()

    def job_over(self, job: Job) -> None:
        """A job ended, one way or the other."""
        if self.job is job:
            self.job = None
            self.after(1, self._next)

    # --- discovery ---

    def listings(self) -> list[Listing]:
        """Return the quotes in our book."""
        return self.directory.book.candidates(CLASS, self.now_unix_s())

    def ask_for_quotes(self) -> None:
        """Ask a few others for the quotes that they know."""
        others = [node for node in self.world.nodes if node is not self]
        for _ in range(min(ASK_QUOTES_OF, len(others))):
            asked = self.chance.choice(others)
            self.world.wire.datagram(self, asked, 96, _answer_quotes, asked, self)

    def hear_quotes(self, data: bytes) -> None:
        """Take in an answer; each quote is validated as if it were gossiped."""
        self.directory.hear_answer(decode(QuotesAnswer, data).quotes, CLASS)

    # --- what attackers change ---

    def preferences(self, excluded: frozenset[str]) -> Preferences:
        """Return what this buyer wants of a provider."""
        prices = self.world.scenario.prices
        return Preferences(
            ceiling=PriceSchedule(
                prompt_token=prices.prompt_nanoton_per_1000 * prices.ceiling_ppm // PPM,
                output_token=prices.output_nanoton_per_1000 * prices.ceiling_ppm // PPM,
            ),
            excluded=excluded,
        )

    def pay(self, job: Job, due: NanoTon) -> None:
        """Pay what is due of a job in all."""
        job.sign(due)

    def heard_output(self, job: Job) -> None:
        """Some output came."""

    # --- channels ---

    def ask_release(
        self,
        payee_address: str,
        request: CloseRequest,
        then: Callable[[CloseRelease | Refusal | None], None],
    ) -> None:
        """Ask a payee to agree to a close."""
        payee = next(
            (s for s in self.world.sellers if s.till.terms.payee_address == payee_address), None
        )
        if payee is not None:
            size_bytes = len(encode(request))
            self.world.wire.datagram(
                self, payee, size_bytes, _answer_close, payee, self, request, then
            )

    def leave_channels(self, *, alone_share: float) -> None:
        """Close every channel that no job uses."""
        for address, channel in self.purse.book.channels.items():
            if channel.state.phase is Phase.OPEN and not channel.state.job_id:
                self.purse.close(address, alone=self.chance.share() < alone_share)

    # --- crashes ---

    def crash(self, share: float) -> None:
        """Lose power; jobs that waited in memory are gone."""
        self.purse.lose_power(share)
        if self.job is not None:
            self.job.vanish()
            self.job = None
        self._waiting.clear()
        super().crash(share)

    def restart(self) -> None:
        """Come back."""
        self.purse.restart()
        super().restart()


def _answer_quotes(asked: Node, asker: Buyer) -> None:
    quotes = asked.directory.book.snapshot(CLASS, now_unix_s=asked.now_unix_s())
    data = encode(QuotesAnswer(quotes=quotes))
    asked.world.wire.datagram(asked, asker, len(data), asker.hear_quotes, data)


def _answer_close(
    payee: Seller,
    asker: Buyer,
    request: CloseRequest,
    then: Callable[[CloseRelease | Refusal | None], None],
) -> None:
    payee.answer_close(asker, request, then)
