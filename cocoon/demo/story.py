"""The demonstration, step by step; each figure is measured, or read from the chain."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import trio

from cocoon.demo.cast import CHALLENGE_S, KILL_AT_TOKEN, VICTIM
from cocoon.demo.ledger import Books, open_books, vouchers_held
from cocoon.demo.report import DemoReport, Loser, SettledChannel
from cocoon.demo.stage import Stage
from cocoon.errors import PaymentError
from cocoon.market.explain import WON
from cocoon.messages import Turn
from cocoon.node import open_buyer
from cocoon.payments.channel import Phase
from cocoon.receipts import verify_file
from cocoon.requester.events import (
    Attempt,
    ChannelReady,
    JobProgress,
    JobResult,
    Negotiated,
    OutputCame,
)
from cocoon.requester.inputs import CHAT_MODEL, model_id, speech_request
from cocoon.requester.plan import ChatRequest
from cocoon.requester.service import Requester
from cocoon.words import progress_words
from contracts.units import TICKER, NanoTon, format_coins

OUTPUT_TOKENS_MAX: Final = 160
QUOTES_TIMEOUT_S: Final = 60.0
SETTLE_TIMEOUT_S: Final = 90.0
POLL_S: Final = 0.2
VOUCHER_TIMEOUT_S: Final = 10.0

Listener = Callable[[JobProgress], Awaitable[None]]


class Narrator(Protocol):
    """Tells the audience what happens, as it happens."""

    def step(self, text: str) -> None:
        """Begin a step that takes a while; the one before is over."""
        ...

    def say(self, text: str) -> None:
        """Tell a fact."""
        ...

    def write(self, text: str) -> None:
        """Stream a piece of an answer as it comes."""
        ...


@dataclass(slots=True)
class Story:
    """One run of the demonstration."""

    stage: Stage
    question: str
    voice_note: Path
    narrator: Narrator
    started_s: float
    timings_s: dict[str, float] = field(default_factory=dict)
    schedule_output_token: int = 0
    victim_channel: str = ""

    def _time(self, name: str, since_s: float) -> None:
        self.timings_s[name] = round(trio.current_time() - since_s, 3)

    async def play(self) -> DemoReport:
        """Play everything and return the report.

        Raises:
            NoProvider, JobFailed, PaymentError: the market did not work as it should.
        """
        async with (
            open_books(self.stage) as books,
            open_buyer(self.stage.requester) as (_, requester),
        ):
            found = await self._meet(requester)
            answer = await self._ask(requester)
            transcript = await self._transcribe(requester)
            settled = await self._settle(requester, books, [*answer.attempts, *transcript.attempts])
            balances, conserved = await books.close(self.stage)
            self._time("total", self.started_s)
            report = self._report(found, answer, transcript, settled, books)
            report.balances, report.value_conserved = balances, conserved
            return report

    # --- acts ---

    async def _meet(self, requester: Requester) -> int:
        """Find the providers through the DHT; wait until each has told its price."""
        began_s = trio.current_time()
        self.narrator.step("looking for providers through the DHT, and for their quotes")
        wanted = {player.peer_id for player in self.stage.players}
        classes = [cls for player in self.stage.players for cls in player.classes]
        found: set[str] = set()
        with trio.move_on_after(QUOTES_TIMEOUT_S):
            while True:
                for resource_class in dict.fromkeys(classes):
                    found |= set(await requester.directory.discover(resource_class))
                if not self.timings_s.get("first_quote"):
                    self._time("first_quote", began_s)
                if wanted <= found and self._quoted(requester, classes) >= wanted:
                    break
                await trio.sleep(POLL_S)
        self._time("discovery", began_s)
        self.narrator.say(f"found {len(found)} providers through the DHT, and their signed quotes")
        return len(found)

    def _quoted(self, requester: Requester, classes: list[str]) -> set[str]:
        book, now = requester.directory.book, int(requester.clock())
        return {x.quote.peer_id for one in classes for x in book.candidates(one, now)}

    async def _ask(self, requester: Requester) -> JobResult:
        """Ask the question; cut the cheapest one's power in the middle of its answer."""
        began_s, killed = trio.current_time(), False
        self.narrator.step(f"asking: {self.question}")

        async def listen(event: JobProgress) -> None:
            nonlocal killed
            if isinstance(event, Negotiated):
                self._tell_winner(event)
            elif isinstance(event, OutputCame):
                self.narrator.write(event.text)
                if event.tokens >= KILL_AT_TOKEN and self.victim_channel and not killed:
                    killed = True
                    await self._wait_for_voucher(requester)
                    self._cut_power()
            else:
                if isinstance(event, ChannelReady) and self.stage.name_of(event.provider) == VICTIM:
                    self.victim_channel = event.address
                self._tell(event)

        request = ChatRequest(
            model_id=model_id(CHAT_MODEL, "chat"),
            turns=(Turn(role="user", content=self.question),),
            output_tokens_max=OUTPUT_TOKENS_MAX,
        )
        result = await requester.run(request, listen)
        self.narrator.write("\n")
        self._time("answer", began_s)
        return result

    async def _wait_for_voucher(self, requester: Requester) -> None:
        """Let the victim have on disk what is signed: what it never got it cannot claim.

        Nobody reads its output meanwhile, so it stops at the edge of what is paid.
        """
        home = self.stage.player(VICTIM).home
        with trio.move_on_after(VOUCHER_TIMEOUT_S):
            while True:
                await trio.sleep(POLL_S)
                held = await trio.to_thread.run_sync(vouchers_held, home, self.victim_channel)
                if 0 < requester.payer.channel(self.victim_channel).signed_total <= held:
                    return

    def _cut_power(self) -> None:
        child = self.stage.player(VICTIM).child
        if child is not None:
            self.narrator.write(f"\n    [{VICTIM} is killed here, kill -9] ")
            child.kill()

    def _tell_winner(self, event: Negotiated) -> None:
        self.schedule_output_token = self.schedule_output_token or event.schedule.output_token
        self.narrator.say(f"{self.stage.name_of(event.provider)} wins; why the others did not:")
        for line in event.explanation.providers:
            if line.outcome != WON:
                reason = line.outcome.replace("_", " ")
                self.narrator.say(f"    {self.stage.name_of(line.peer)}: {reason} ({line.detail})")

    def _tell(self, event: JobProgress) -> None:
        if words := progress_words(event, self.stage.name_of):
            self.narrator.say(words)

    async def _transcribe(self, requester: Requester) -> JobResult:
        began_s = trio.current_time()
        request = await trio.to_thread.run_sync(speech_request, self.voice_note)
        seconds = request.duration_ms / 1000
        self.narrator.step(f"a voice note of {seconds:.1f} s (OGG/Opus) goes to be written down")

        async def listen(event: JobProgress) -> None:
            if isinstance(event, Negotiated):
                self.narrator.say(f"{self.stage.name_of(event.provider)} takes it")
            elif isinstance(event, OutputCame):
                self.narrator.write(f'    "{event.text.strip()}"\n')

        result = await requester.run(request, listen)
        self._time("transcript", began_s)
        return result

    # --- settling ---

    async def _settle(
        self, requester: Requester, books: Books, attempts: list[Attempt]
    ) -> list[SettledChannel]:
        began_s, settled = trio.current_time(), []
        for attempt in attempts:
            if not attempt.channel:
                continue
            # An answer may be so short that the victim was done with it before it was killed.
            dead = attempt.failure or attempt.channel == self.victim_channel
            how = "alone" if dead else "together"
            self.narrator.step(f"settling with {self.stage.name_of(attempt.provider)}: {how}")
            total = attempt.channel_total_nanoton
            if dead:
                total = await self._leave_alone(requester, books, attempt)
            else:
                await requester.close_channel(attempt.channel)
            wallet = self.stage.wallet_of(attempt.provider)
            settled.append(await books.settled(attempt, how, wallet, total))
        self._time("settlement", began_s)
        return settled

    async def _leave_alone(self, requester: Requester, books: Books, attempt: Attempt) -> NanoTon:
        """The provider is dead: start the lone exit. It comes back, and claims in time.

        Returns the total of the last voucher that reached it: a fast one has sent more when
        its power is cut, and what was signed for that has nowhere to go.
        """
        channel = requester.payer.channel(attempt.channel)
        await requester.payer.exit_alone(channel)
        player = self.stage.player(VICTIM)
        held = await trio.to_thread.run_sync(vouchers_held, player.home, attempt.channel)
        if (lost := attempt.channel_total_nanoton - held) > 0:
            coins = format_coins(NanoTon(lost))
            self.narrator.say(f"{coins} {TICKER} was signed and never reached it: it stays here")
        self.narrator.step(
            f"{VICTIM} is started again; it finds its vouchers in its journal and claims"
        )
        await self.stage.start(player)
        await self._wait_for_claim(books, attempt.channel, held)
        self.narrator.step(
            f"the challenge period ({CHALLENGE_S} s) passes: our chain's clock is moved on"
        )
        await self.stage.control.warp(CHALLENGE_S + 1)
        with trio.move_on_after(SETTLE_TIMEOUT_S):
            while requester.payer.phase(attempt.channel) is not Phase.CLOSED:  # noqa: ASYNC110
                await trio.sleep(POLL_S)
            return held
        raise PaymentError("the lone exit was not finished in time")

    async def _wait_for_claim(self, books: Books, address: str, total: NanoTon) -> None:
        with trio.move_on_after(SETTLE_TIMEOUT_S):
            while await books.paid_on_chain(address) < total:  # noqa: ASYNC110  (the chain is asked)
                await trio.sleep(POLL_S)
            return
        raise PaymentError("the provider that came back did not claim its vouchers in time")

    # --- report ---

    def _report(
        self,
        found: int,
        answer: JobResult,
        transcript: JobResult,
        settled: list[SettledChannel],
        books: Books,
    ) -> DemoReport:
        attempts = [*answer.attempts, *transcript.attempts]
        receipts = [attempt.receipt for attempt in attempts if attempt.receipt]
        at_risk = {"answer": _at_risk_max(answer), "transcript": _at_risk_max(transcript)}
        return DemoReport(
            names=dict(self.stage.names),
            providers_found=found,
            winner=answer.provider,
            losers=self._losers(answer),
            question=self.question,
            answer=answer.text.strip(),
            answer_tokens=answer.tokens,
            price_per_output_token_nanoton=self.schedule_output_token / 1000,
            time_to_first_token_s=round(answer.time_to_first_token_s, 4),
            tokens_per_s=round(answer.tokens_per_s, 2),
            transcript=transcript.text,
            failover=answer.failovers[0] if answer.failovers else None,
            vouchers=sum(attempt.vouchers for attempt in attempts),
            last_voucher_nanoton=sum(channel.voucher_total for channel in settled),
            paid_nanoton=sum(channel.paid_on_chain for channel in settled),
            at_risk_max_nanoton=at_risk["answer"],
            at_risk_max_by_job=at_risk,
            gas=books.gas,
            fees_nanoton=books.fees_nanoton,
            receipts=receipts,
            receipts_verified=bool(receipts) and all(verify_file(Path(r)).ok for r in receipts),
            channels=settled,
            balances=[],
            value_conserved=False,
            timings_s=self.timings_s,
        )

    def _losers(self, result: JobResult) -> list[Loser]:
        """Everyone who did not finish the job, with the last reason of each."""
        losers: dict[str, Loser] = {}
        for player in self.stage.players:
            if result.resource_class not in player.classes:
                reason = f"other_model: it sells {player.role.model}"
                losers[player.peer_id] = Loser(player.peer_id, reason, result.job_id)
        for explanation in result.explanations:
            for line in explanation.providers:
                if line.peer != result.provider:
                    reason = f"{line.outcome}: {line.detail}" if line.detail else line.outcome
                    losers[line.peer] = Loser(line.peer, reason, result.job_id)
        return list(losers.values())


def _at_risk_max(result: JobResult) -> int:
    return max(attempt.at_risk_max_nanoton for attempt in result.attempts)
