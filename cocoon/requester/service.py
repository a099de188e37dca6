"""A requester: finds providers, negotiates, pays, and finishes a job whoever dies.

Fail-over and billing: what a provider delivered before it failed is kept and was
paid for, chunk by chunk; the next provider gets the transcript so far as part of
its prompt (and charges it as such). Nothing is ever paid twice for the same chunk,
and at most one chunk, with the prompt, is at risk with any one provider.
"""

import logging
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio

from cocoon.clock import Clock
from cocoon.confidential.tiers import check_tier
from cocoon.config import NodeConfig
from cocoon.directory import Directory
from cocoon.errors import CocoonError, JobFailed, PaymentError, PeerMisbehaved, Refused
from cocoon.market.book import Listing
from cocoon.market.explain import Explanation, explain
from cocoon.market.match import Loss, Preferences, Track, shortlist
from cocoon.market.negotiate import Negotiation
from cocoon.market.price import worst_case_cost
from cocoon.market.sizes import JobSize
from cocoon.messages import (
    CHANNEL_PROTOCOL,
    JOB_PROTOCOL,
    CloseRelease,
    CloseRequest,
    Finish,
    LossReason,
    OutputPiece,
    PriceSchedule,
    Refusal,
    RefusalCode,
    Tier,
    decode_channel_answer,
    encode,
    message_hash,
)
from cocoon.payments.closing import Settlement
from cocoon.payments.hub.requester import HubClient, RouteChannel
from cocoon.payments.hub.wire import asking
from cocoon.payments.payer import PayerChannel, PayerService
from cocoon.requester.accounts import (
    account,
    keep_explanation,
    nobody_left,
    speed_milli_per_s,
)
from cocoon.requester.agreement import Prepared, prepare
from cocoon.requester.bill import Bill
from cocoon.requester.events import (
    AllBusy,
    Attempt,
    AttemptFailed,
    ChannelReady,
    Discovered,
    FailOver,
    JobProgress,
    JobResult,
    KernelCame,
    Negotiated,
    OutputCame,
)
from cocoon.requester.finding import Finder
from cocoon.requester.kernels import is_complete, is_own_fault, without_speeds
from cocoon.requester.plan import (
    SPEED_ENOUGH_MILLI_PER_S,
    ChunkLimits,
    JobRequest,
    KernelRequest,
    Progress,
    SpeechRequest,
    class_of,
    kind_of_job,
    request_for_offer,
    size_of,
)
from cocoon.requester.rounds import Rounds
from cocoon.requester.stakes import Stakes
from cocoon.requester.talks import Agreed, Talks, hang_up, hold_slot
from cocoon.requester.tracks import BLAMELESS, Tracks
from contracts.errors import ChainUnavailable, ContractError
from contracts.units import NO_MONEY, NanoTon, parse_coins
from overlay.errors import OverlayError, PeerUnavailable
from overlay.identity import Identity
from overlay.ids import PeerId, short
from overlay.transport import Host

logger = logging.getLogger(__name__)

RELEASE_TIMEOUT_S: Final = 15.0
JOURNAL_S: Final = 5.0
HUB_WATCH_S: Final = 5.0

Listener = Callable[[JobProgress], Awaitable[None]]


@dataclass(slots=True)
class _Job:
    """One job while it is being worked on."""

    job_id: str
    request: JobRequest
    listener: Listener
    started_s: float
    deadline_unix_s: int
    rounds: Rounds
    bill: Bill
    spend_max: NanoTon | None = None
    progress: Progress = field(default_factory=Progress)
    attempts: list[Attempt] = field(default_factory=list)
    failovers: list[FailOver] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    first_output_s: float | None = None
    finish: Finish | None = None


@dataclass(slots=True)
class Requester:
    """A running requester. Make one with `open_requester`."""

    host: Host
    identity: Identity
    directory: Directory
    payer: PayerService
    chain_network_id: int
    config: NodeConfig
    clock: Clock
    rng: random.Random
    tracks: Tracks
    hub: HubClient
    background: trio.Nursery
    finder: Finder

    async def run(
        self,
        request: JobRequest,
        listener: Listener,
        bill: Bill | None = None,
        *,
        spend_max: NanoTon | None = None,
    ) -> JobResult:
        """Get *request* done and return the result.

        Cancelling stops the provider's device and pays for what was received.

        Args:
            request: what to buy.
            listener: hears of every step. What it raises ends the job.
            bill: learns what is paid; also of a job that fails or is cancelled.
            spend_max: the most that the job may cost, over all providers: whose terms could
                cost more is not asked. None: what the ceiling prices allow. What comes back
                of a new channel's deposit, and the fees of the chain, are not counted.

        Raises:
            NoProvider: nobody could or would do it; the message lists the reasons.
            JobFailed: all attempts failed after they had begun.
            PaymentError: the wallet cannot fund a channel.
        """
        timeout_s = self.config.requester.job_timeout_s
        job = _Job(
            job_id=secrets.token_hex(8),
            request=request,
            listener=listener,
            started_s=trio.current_time(),
            deadline_unix_s=int(self.clock()) + timeout_s,
            rounds=Rounds(
                self.config.requester.attempts_max, patience_s=self.config.requester.busy_wait_s
            ),
            bill=bill or Bill(),
            spend_max=spend_max,
        )
        with trio.move_on_after(timeout_s):
            await self._work(job)
            return self._result(job)
        raise JobFailed(f"not finished within {timeout_s} s")

    async def _work(self, job: _Job) -> None:
        found = await self.finder.discover(class_of(job.request))
        while not job.rounds.exhausted:
            agreed = await self._find_provider(job, found)
            if agreed is None:
                continue
            if job.attempts:
                self._note_failover(job, agreed.peer)
            attempt = Attempt(provider=agreed.peer)
            job.attempts.append(attempt)
            try:
                await self._attempt(job, agreed, attempt)
            except PaymentError:
                raise  # our purse: the same anywhere else
            except ChainUnavailable as error:
                raise ChainUnavailable(
                    f"the chain does not answer, so {short(agreed.peer)} cannot be paid; "
                    f"nothing is lost, try again later: {error}"
                ) from error
            except ContractError as error:
                raise PaymentError(f"no channel to {short(agreed.peer)}: {error}") from error
            except (OverlayError, CocoonError, trio.TooSlowError) as error:
                if is_own_fault(job.request, error):
                    raise
                await self._failed(job, attempt, error)
            else:
                return
            finally:
                await hang_up(agreed.line)
        reasons = "; ".join(f"{a.provider[-8:]}: {a.failure}" for a in job.attempts)
        raise JobFailed(f"{len(job.attempts)} providers failed: {reasons}")

    def _note_failover(self, job: _Job, to: str) -> None:
        if isinstance(job.request, KernelRequest):
            job.progress = Progress()  # half a kernel is none: it begins anew
        last = job.attempts[-1]
        at_token = len(job.progress.token_ids) or len(job.progress.speech)
        job.failovers.append(FailOver(last.provider, to, at_token, last.failure))

    async def _failed(self, job: _Job, attempt: Attempt, error: Exception) -> None:
        attempt.failure = str(error) or type(error).__name__
        expired = isinstance(error, Refused) and error.code == RefusalCode.EXPIRED.value
        if isinstance(error, Refused) and error.code == RefusalCode.BUSY.value:
            job.rounds.lost_slot(attempt.provider)
        elif not expired:  # opening a channel may outlast an offer: ask for another
            job.excluded[attempt.provider] = attempt.failure
        if not isinstance(error, Refused) or error.code not in BLAMELESS:
            self.tracks.failed(attempt.provider)
        logger.info("%s failed: %s", attempt.provider, attempt.failure)
        tokens = len(job.progress.token_ids)
        await job.listener(AttemptFailed(attempt.provider, attempt.failure, tokens))

    # --- negotiation ---

    def _left(self, job: _Job) -> list[Listing]:
        """Return the quotes of providers that have not failed in this job yet."""
        listings = self.finder.listings(class_of(job.request))
        return [listing for listing in listings if listing.quote.peer_id not in job.excluded]

    def _preferences(self, job: _Job) -> Preferences:
        settings = self.config.requester
        return Preferences(
            ceiling=PriceSchedule(**settings.ceiling.as_schedule_fields()),
            tier_min=Tier[settings.tier_min],
            ask_max=settings.ask_max,
            speed_enough_milli_per_s=SPEED_ENOUGH_MILLI_PER_S[kind_of_job(job.request)],
            excluded=frozenset(job.excluded),
        )

    async def _find_provider(self, job: _Job, found: int) -> Agreed | None:
        """Ask the best few and choose one; None when a wider round is worth it.

        Raises:
            NoProvider: none is left; the message says why for each.
        """
        resource_class, first = class_of(job.request), not job.explanations
        if not first and not self._left(job):
            await self.finder.discover(resource_class, anew=True, without=job.excluded)
        candidates = self.finder.listings(resource_class)
        if first:
            await job.listener(Discovered(found, tuple(c.quote for c in candidates)))
        prefs, size = job.rounds.begin(self._preferences(job)), size_of(job.request, job.progress)
        stakes = self._stakes(job, size)
        acceptable, too_large = stakes.sort(candidates)
        chosen = shortlist(acceptable, prefs, self._tracks(job), size, self.rng)
        talks = self._talks(job, prefs, stakes, chosen.asked)
        agreed = await talks.run()
        losses = [*too_large, *chosen.passed_over, *job.rounds.turned_down.values()]
        losses += talks.core.losses
        losses += [Loss(p, LossReason.DIED_MID_JOB, why) for p, why in job.excluded.items()]
        explanation = self._explain(
            job=job,
            candidates=candidates,
            asked=chosen.asked,
            losses=losses,
            agreed=agreed,
            size=size,
        )
        job.explanations.append(explanation)
        keep_explanation(self.config.home / "jobs", explanation, len(job.explanations))
        if agreed is None and job.rounds.came_to_nothing(chosen, talks.core):
            return None
        if agreed is None:
            await self._wait_for_slot(job, losses)
            return None
        try:
            check_tier(agreed.statement, prefs.tier_min)
            schedule = agreed.offer.schedule
            worst = stakes.worst_case(schedule)
            await job.listener(Negotiated(agreed.peer, schedule, worst, explanation))
        except BaseException:
            await hang_up(agreed.line)
            raise
        return agreed

    async def _wait_for_slot(self, job: _Job, losses: list[Loss]) -> None:
        """Wait, when all that is missing is a free slot.

        Raises:
            NoProvider: something else is missing, or the patience is spent.
            JobFailed: the same, and some of the job was paid: who tries again pays again.
        """
        rounds = job.rounds
        wait_s = rounds.wait_for_slot_s(losses, attempts=len(job.attempts), rng=self.rng)
        if not wait_s:
            raise nobody_left(losses, class_of(job.request), job.bill.paid_nanoton)
        await job.listener(AllBusy(rounds.waits, wait_s, rounds.patience_s))
        await trio.sleep(wait_s)

    def _tracks(self, job: _Job) -> dict[str, Track]:
        tracks = self.tracks.view()
        return without_speeds(tracks) if isinstance(job.request, KernelRequest) else tracks

    def _stakes(self, job: _Job, size: JobSize) -> Stakes:
        """Return what this round may put at stake; a route through a hub costs a fee beside."""
        settings = self.config.requester
        return Stakes(
            kind=kind_of_job(job.request),
            size=size,
            chunks=ChunkLimits(
                tokens_max=settings.chunk_tokens_max,
                audio_s_max=settings.chunk_audio_s_max,
                kernel_ms_max=settings.chunk_gpu_ms_max,
            ),
            left=job.bill.left_of(job.spend_max),
            fee_max=parse_coins(settings.hub_fee_coins_max) if settings.via_hub else NO_MONEY,
        )

    def _talks(
        self, job: _Job, prefs: Preferences, stakes: Stakes, asked: tuple[Listing, ...]
    ) -> Talks:
        request = request_for_offer(
            job.request,
            stakes.size,
            nonce=secrets.token_bytes(16),
            chain_network_id=self.chain_network_id,
            tier_min=prefs.tier_min,
            ceiling=prefs.ceiling,
            deadline_unix_s=job.deadline_unix_s,
        )
        request_bytes = encode(request)
        core = Negotiation(
            request=request,
            request_hash=message_hash(request_bytes),
            quotes=[listing.quote for listing in asked],
            prefs=prefs,
            tracks=self._tracks(job),
            rng=self.rng,
            now_s=trio.current_time(),
            hard_deadline_s=self.config.requester.offer_timeout_s,
        )
        return Talks(
            host=self.host,
            directory=self.directory,
            network=self.config.network.name,
            core=core,
            request_bytes=request_bytes,
            clock=self.clock,
            objection=lambda offer: stakes.objection(offer.schedule, offer.limits),
            background=self.background,
        )

    def _explain(
        self,
        *,
        job: _Job,
        candidates: list[Listing],
        asked: tuple[Listing, ...],
        losses: list[Loss],
        agreed: Agreed | None,
        size: JobSize,
    ) -> Explanation:
        return explain(
            job_id=job.job_id,
            now_unix_s=int(self.clock()),
            resource_class=class_of(job.request),
            candidates=candidates,
            asked=[listing.quote.peer_id for listing in asked],
            losses=losses,
            winner=agreed.peer if agreed else None,
            size=size,
            tracks=self._tracks(job),
            agreed_nanoton=worst_case_cost(agreed.offer.schedule, size) if agreed else None,
        )

    # --- one attempt ---

    async def _attempt(self, job: _Job, agreed: Agreed, attempt: Attempt) -> None:
        async with self._paying(agreed, job.bill) as channel:
            attempt.channel = channel.address
            if isinstance(channel, RouteChannel):
                attempt.channel = channel.upstream
                self.tracks.paid_through(self.config.requester.via_hub, channel.upstream)
            else:
                self.tracks.paid_through(agreed.peer, channel.address)
            await job.listener(ChannelReady(agreed.peer, channel.address, channel.spendable_left))
            part_id = f"{job.job_id}-{len(job.attempts)}"
            await channel.start_job(part_id, agreed.peer)
            try:
                await self._run_attempt(job, agreed, attempt, channel, part_id)
            finally:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + JOURNAL_S):
                    await channel.end_job(part_id)

    @asynccontextmanager
    async def _paying(self, agreed: Agreed, bill: Bill) -> AsyncIterator[PayerChannel]:
        """Hold what pays for a job: a route, when that is wished and saves an opening."""
        offer, needed = agreed.offer, NanoTon(agreed.offer.spendable_min_nanoton)
        payee = (offer.payee_address, offer.payee_key)
        deposit = self.config.requester.deposit_nanoton
        ready = self.payer.ready_channel(*payee, spendable_min=needed, for_routes=False)
        if ready is None:  # opening takes seconds: nobody shall take the slot meanwhile
            await hold_slot(agreed)
        route = None
        if self.config.requester.via_hub and ready is None:
            route = await self._route(agreed, needed, bill)
        if route is not None:
            with self.hub.holding(route):
                yield route
            return
        async with self.payer.hold_channel(
            *payee, spendable_min=needed, deposit=deposit
        ) as channel:
            yield channel

    async def _route(self, agreed: Agreed, needed: NanoTon, bill: Bill) -> RouteChannel | None:
        """Return a route through the hub; None when it cannot be had, and a channel must do."""
        settings = self.config.requester
        try:
            return await self.hub.route_to(
                settings.via_hub,
                agreed.peer,
                agreed.offer.payee_address,
                agreed.offer.payee_key,
                capacity=max(needed, parse_coins(settings.route_coins)),
                deposit=settings.deposit_nanoton,
                fee_paid=bill.add,
            )
        except (PaymentError, PeerMisbehaved, OverlayError, ContractError) as error:
            logger.warning("not through the hub, but by a channel of our own: %s", error)
            return None

    async def _run_attempt(
        self, job: _Job, agreed: Agreed, attempt: Attempt, channel: PayerChannel, part_id: str
    ) -> None:
        prepared = await prepare(
            agreed,
            channel,
            request=job.request,
            progress=job.progress,
            identity=self.identity,
            network=self.config.network.name,
            clock=self.clock,
            part_id=part_id,
            stall_timeout_s=self.config.requester.stall_timeout_s,
            dial=partial(self.host.open_stream, PeerId(agreed.peer), JOB_PROTOCOL),
            tell=job.listener,
        )

        async def take(piece: OutputPiece) -> None:
            await self._take(job, attempt, piece)

        try:
            await prepared.running.stream_output(await prepared.running.start(), take)
        finally:
            prepared.forget_key()
            account(attempt, channel, prepared.running)
            job.bill.add(attempt.paid_nanoton)
            if prepared.running.countersignature:  # also of a job that we have cancelled
                with trio.CancelScope(shield=True, deadline=trio.current_time() + JOURNAL_S):
                    attempt.receipt = await self._keep_receipt(prepared)
        finish = prepared.running.finish
        if not is_complete(job.request, finish):
            # It was paid for what it sent, and has not done what was asked.
            raise PeerUnavailable(f"it ended the job: {finish.value if finish else 'no reason'}")
        self.tracks.succeeded(attempt.provider, speed_milli_per_s(attempt, job.request))
        self.directory.book.know(self.tracks.with_receipts())

    async def _keep_receipt(self, prepared: Prepared) -> str:
        """Return where the receipt is; "" when there is no room: the answer is not lost for it."""
        try:
            return str(await prepared.save(self.config.receipts))
        except OSError as error:
            logger.warning("the receipt could not be kept in %s: %s", self.config.receipts, error)
            return ""

    async def _take(self, job: _Job, attempt: Attempt, piece: OutputPiece) -> None:
        now_s = trio.current_time()
        if piece.token_ids or piece.speech or piece.data:
            if job.first_output_s is None:
                job.first_output_s = now_s
            if attempt.first_output_s is None:
                attempt.first_output_s = now_s
            attempt.streaming_s = now_s - attempt.first_output_s
            attempt.tokens += len(piece.token_ids)
        job.progress = job.progress.with_piece(piece)
        job.finish = piece.finish or job.finish
        if isinstance(job.request, KernelRequest):
            received = sum(map(len, job.progress.data))
            step = job.progress.note
            await job.listener(KernelCame(step, job.progress.metered_ms, received))
            return
        text = piece.text or " ".join(s.text for s in piece.speech)
        if text:
            await job.listener(OutputCame(text, len(job.progress.token_ids)))

    def _result(self, job: _Job) -> JobResult:
        now_s = trio.current_time()
        speech = isinstance(job.request, SpeechRequest)
        streaming_s = sum(a.streaming_s for a in job.attempts)
        # The first token of each attempt starts its clock, so it is not counted.
        intervals = sum(max(0, a.tokens - 1) for a in job.attempts)
        return JobResult(
            job_id=job.job_id,
            resource_class=class_of(job.request),
            text=job.progress.transcript if speech else job.progress.text,
            tokens=len(job.progress.token_ids),
            finish=job.finish or Finish.STOP,
            time_to_first_token_s=(job.first_output_s or now_s) - job.started_s,
            tokens_per_s=intervals / streaming_s if streaming_s > 0 else 0.0,
            total_s=now_s - job.started_s,
            attempts=job.attempts,
            failovers=job.failovers,
            explanations=job.explanations,
            data=b"".join(job.progress.data),
            note=job.progress.note,
            metered_ms=job.progress.metered_ms,
        )

    # --- settling ---

    async def close_channel(self, address: str) -> Settlement:
        """Close a channel together with its provider.

        Raises:
            PaymentError, OverlayError: the provider cannot be asked; `PayerService.exit_alone`
                gets the money back without it.
        """
        provider = self.tracks.provider_of(address)
        if not provider:
            raise PaymentError(
                f"it is not known who is paid through {address}; leave alone instead"
            )

        async def ask(request: CloseRequest) -> CloseRelease:
            data = await self.host.request(PeerId(provider), CHANNEL_PROTOCOL, encode(request))
            answer = decode_channel_answer(data)
            if isinstance(answer, Refusal):
                raise PaymentError(f"the provider will not release it: {answer.detail}")
            return answer

        return await self.payer.close(
            self.payer.channel(address), ask, release_timeout_s=RELEASE_TIMEOUT_S
        )


@asynccontextmanager
async def open_requester(
    host: Host,
    identity: Identity,
    directory: Directory,
    payer: PayerService,
    *,
    chain_network_id: int,
    config: NodeConfig,
    clock: Clock,
    rng: random.Random,
) -> AsyncIterator[Requester]:
    """Buy compute for the length of the block."""
    tracks = Tracks(config.home / "tracks.json")
    directory.book.know(tracks.with_receipts())
    finder = Finder(directory, clock, identity.peer_id, config.requester.compare_timeout_s)
    fee_max = parse_coins(config.requester.hub_fee_coins_max)
    hub = HubClient(payer, payer.chain, asking(host), fee_max=fee_max)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.watch, HUB_WATCH_S)
        yield Requester(
            host=host,
            identity=identity,
            directory=directory,
            payer=payer,
            chain_network_id=chain_network_id,
            config=config,
            clock=clock,
            rng=rng,
            tracks=tracks,
            hub=hub,
            background=nursery,
            finder=finder,
        )
        nursery.cancel_scope.cancel()
