"""The hub itself: takes a requester's lock, gives the provider one, and gets its money back.

Order is everything here. The requester's voucher is on our disk before we sign one for
the provider; ours is on the disk before it leaves. The requester's lock is let go only
after the provider's deadline, because until then an older voucher of ours can be claimed
with a payment that the two of them make up: `Hub._may_go` is asked of every voucher that
lacks a lock, whatever message brings it. A crash between any two steps leaves locks
that end by themselves, and what a provider claims from us on the chain shows us the very
payment that we claim from the requester with, a margin of time later.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from cocoon.errors import CocoonError, PaymentError
from cocoon.messages import Refusal, RefusalCode
from cocoon.payments.hub import provider as provider_side
from cocoon.payments.hub.ledger import find_payment
from cocoon.payments.hub.messages import (
    HubMessage,
    HubTerms,
    HubTermsAsked,
    RouteAsked,
    RouteDone,
    RouteFolded,
    RouteOffer,
    RoutePossible,
    RouteReady,
    RouteRequest,
    RouteSettle,
    RouteSettled,
)
from cocoon.payments.hub.requester import Ask, ask_for
from cocoon.payments.hub.terms import (
    downstream_lock,
    settle_from_unix_s,
    the_lock,
    upstream_fault,
)
from cocoon.payments.journal import DISK_WORDS, JournalError
from cocoon.payments.payee import PayeeService
from cocoon.payments.payee_routes import MayGo, any_may_go
from cocoon.payments.payer import PayerService
from cocoon.payments.payer_book import Forward, ForwardEnded, ForwardSettled
from cocoon.payments.payer_channel import PayerChannel
from cocoon.payments.turns import Turns
from contracts.chain import Chain
from contracts.channel import ChannelState
from contracts.errors import ContractError
from contracts.locks import KeyPayment, lock_id, unlocked
from contracts.units import NO_MONEY, NanoTon
from overlay.errors import OverlayError

FORWARDS_MAX: Final = 1024
"""Routes carried at once; more are refused."""

GRACE_S: Final = 30
"""After the provider's deadline, for the state that shows its last claim to arrive."""

Handler = Callable[[str, HubMessage], Awaitable[HubMessage]]

_log = logging.getLogger(__name__)


class Hub:
    """Carries routes between channels that pay us and channels that we pay."""

    def __init__(
        self,
        payer: PayerService,
        payee: PayeeService,
        chain: Chain,
        ask: Ask,
        *,
        terms: HubTerms,
        deposit: NanoTon = NO_MONEY,
    ) -> None:
        """Carry routes.

        Args:
            payer: our channels to providers.
            payee: requesters' channels to us.
            chain: where the money is.
            ask: asks a peer.
            terms: ours.
            deposit: put into a new channel when none of ours reaches a provider; 0: never,
                only providers that we have a channel with are reached.
        """
        self._payer = payer
        self._store = payer.store
        self._payee = payee
        self._chain = chain
        self._ask = ask
        self._terms = terms
        self._deposit = deposit
        self._upstreams: Turns[str] = Turns()
        """By channel: what a voucher brings and what we pass on for it is one step."""
        self._routes: Turns[bytes] = Turns()

    async def handle(self, peer: str, message: HubMessage) -> HubMessage:
        """Answer one question of *peer*.

        Raises:
            PaymentError, PeerMisbehaved, ContractError: what `refusing` turns into words.
        """
        match message:
            case HubTermsAsked():
                return self._terms
            case RouteAsked():
                await self._reach(message)
                return RoutePossible()
            case RouteRequest():
                return await self._carry(peer, message)
            case RouteSettle() if message.lock_id in self._store.book.forwards:
                return await self._settle_for(self._forward(message.lock_id))
            case RouteFolded() if message.lock_id in self._store.book.forwards:
                return await self._take_fold(self._forward(message.lock_id), message)
            case _:
                return await self._as_provider(message)

    async def _as_provider(self, message: HubMessage) -> HubMessage:
        """Answer another hub; what it brings may drop no lock that we have passed on."""
        if not isinstance(message, RouteOffer | RouteFolded):
            return await handle_as_provider(self._payee, message)
        async with self._upstreams.turn(message.payment.channel_address):
            return await handle_as_provider(self._payee, message, self._may_go)

    def _may_go(self, channel: str, key: bytes, now_unix_s: int) -> bool:
        """Tell whether we can do without a lock of a requester's channel.

        Only when nothing was passed on for it, or when that cannot be claimed from us any
        more and we know what was.
        """
        forward = self._store.book.forwards.get(key)
        if forward is None or forward.upstream != channel:
            return True
        over_unix_s = forward.lock.deadline_unix_s + (0 if forward.settled else GRACE_S)
        return now_unix_s > over_unix_s and forward.lock not in self._ours(forward).locks

    def _forward(self, key: bytes) -> Forward:
        return self._store.book.forwards[key]

    # --- opening ----------------------------------------------------------------------

    async def _reach(self, asked: RouteAsked | RouteRequest) -> PayerChannel:
        """Return a channel of ours that can carry the route.

        Raises:
            PaymentError: there is none.
        """
        capacity = (
            NanoTon(asked.capacity_nanoton) if isinstance(asked, RouteAsked) else _amount(asked)
        )
        if capacity > self._terms.capacity_max_nanoton:
            raise PaymentError(f"{capacity} nanoton is above our largest route")
        if len(self._store.book.forwards) >= FORWARDS_MAX:
            raise PaymentError("too many routes are open here")
        address, key = asked.payee_address, asked.payee_key
        ready = self._payer.ready_channel(address, key, spendable_min=capacity, for_routes=True)
        if ready is not None:
            return ready
        if not self._deposit:
            raise PaymentError("no channel of ours reaches this provider")
        return await self._payer.ensure_channel(
            address, key, spendable_min=capacity, deposit=self._deposit, for_routes=True
        )

    async def _carry(self, peer: str, request: RouteRequest) -> HubMessage:
        channel = request.payment.channel_address
        async with self._upstreams.turn(channel), self._routes.turn(request.lock_id):
            known = self._store.book.forwards.get(request.lock_id)
            if known is None:
                known = await self._open(peer, request)
            elif known.requester != peer:
                raise PaymentError("another requester's route")
            return await self._offer(known)

    async def _open(self, peer: str, request: RouteRequest) -> Forward:
        lock = the_lock(request.voucher, request.lock_id)
        if lock is None:
            raise PaymentError("the voucher has no such lock")
        await self._reach(request)  # before we take anything for it
        await self._end_missing(request)

        def check(channel: ChannelState, best_total: NanoTon, now_unix_s: int) -> str:
            fee = NanoTon(request.voucher.total_nanoton - best_total)
            return upstream_fault(self._terms, channel, lock, fee_paid=fee, now_unix_s=now_unix_s)

        await self._payee.take_locked(request.payment, request.voucher, check, self._may_go)
        ours = await self._reach(request)
        downstream = downstream_lock(self._terms, lock)
        forward = Forward(
            key=lock.key,
            requester=peer,
            provider=request.provider,
            upstream=request.payment.channel_address,
            upstream_lock=lock,
            downstream=ours.address,
            lock=downstream,
        )
        await ours.lock(downstream, ours.signed_total, also=(forward,))
        return forward

    async def _end_missing(self, request: RouteRequest) -> None:
        """Bring routes to their end whose fold we have not heard of: the voucher lacks them."""
        state = self._payee.held_state(request.payment.channel_address)
        for lock in () if state is None else state.locks:
            if lock not in request.voucher.locks:
                await self.advance(lock_id(lock))

    async def _offer(self, forward: Forward) -> RouteReady:
        channel = self._payer.channel(forward.downstream)
        offer = RouteOffer(
            payment=channel.ref, lock_id=forward.key, voucher=channel.newest_locked()
        )
        await ask_for(self._ask, forward.provider, offer, RouteDone)
        return RouteReady(payment=channel.ref, deadline_unix_s=forward.lock.deadline_unix_s)

    # --- ending -----------------------------------------------------------------------

    async def _settle_for(self, forward: Forward) -> RouteSettled:
        await self.advance(forward.key)
        if forward.key not in self._store.book.forwards:
            return RouteSettled(payment=None)
        return RouteSettled(payment=self._payment(forward))

    def _payment(self, forward: Forward) -> KeyPayment | None:
        """Return the best payment that we know of."""
        state = self._payee.held_state(forward.upstream)
        witness = None if state is None else state.witness_of(forward.upstream_lock)
        return witness if isinstance(witness, KeyPayment) else None

    async def _take_fold(self, forward: Forward, folded: RouteFolded) -> RouteDone:
        """Let the requester's lock go, now that nothing can be claimed from us any more."""
        if folded.payment.channel_address != forward.upstream:
            raise PaymentError("that voucher is of another channel")
        async with self._upstreams.turn(forward.upstream):
            now_unix_s = await self._chain.now_unix_s()
            await self.advance(forward.key)
            if now_unix_s <= forward.lock.deadline_unix_s:
                raise PaymentError("too early: the provider can still claim")
            if not self._may_go(forward.upstream, forward.key, now_unix_s):
                raise PaymentError("what the provider claimed is not known yet")
            done = await provider_side.take_folded(self._payee, folded, self._may_go)
            await self._store.record(ForwardEnded(key=forward.key))
            return done

    def _ours(self, forward: Forward) -> PayerChannel:
        return self._payer.channel(forward.downstream)

    async def watch(self, interval_s: float) -> None:
        """Bring every route to its end, for ever."""
        while True:
            for key in list(self._store.book.forwards):
                try:
                    await self.advance(key)
                except (CocoonError, ContractError, OverlayError) as error:
                    _log.info("route %s has to wait: %s", key.hex()[:8], error)
            await trio.sleep(interval_s)

    async def advance(self, key: bytes) -> None:
        """Do what is due for a route.

        Raises:
            PaymentError, PeerMisbehaved, OverlayError: the provider does not settle.
            ChainUnavailable: the chain could not be asked.
        """
        async with self._routes.turn(key):
            forward = self._store.book.forwards.get(key)
            if forward is None:
                return
            now_unix_s = await self._chain.now_unix_s()
            if now_unix_s > forward.lock.deadline_unix_s:
                await self._after_deadline(forward, now_unix_s)
            elif not forward.settled and now_unix_s >= settle_from_unix_s(
                self._terms, forward.lock
            ):
                await self._settle(forward)

    async def _settle(self, forward: Forward) -> None:
        """Have the provider take a voucher in place of its lock, so that it need not claim."""
        asked = RouteSettle(lock_id=forward.key)
        answer = await ask_for(self._ask, forward.provider, asked, RouteSettled)
        assert isinstance(answer, RouteSettled)  # noqa: S101  (said by the type that was asked for)
        amount = NO_MONEY
        if answer.payment is not None:
            amount = await self._note(forward, answer.payment)
        channel = self._ours(forward)
        if any(lock == forward.lock for lock in channel.locks):
            await channel.fold(forward.key, NanoTon(channel.signed_total + amount))
        folded = RouteFolded(
            payment=channel.ref, lock_id=forward.key, voucher=channel.newest_locked()
        )
        await ask_for(self._ask, forward.provider, folded, RouteDone)
        await self._store.record(ForwardSettled(key=forward.key))

    async def _note(self, forward: Forward, payment: KeyPayment) -> NanoTon:
        """Keep a payment as what opens the requester's lock; return what it is worth.

        It is kept also when the requester is leaving: then it is claimed at once.
        """
        lock = forward.upstream_lock
        try:
            await self._payee.open_lock(forward.upstream, lock, payment)
        except PaymentError as error:
            _log.info("route %s: %s", forward.key.hex()[:8], error)
        return unlocked(lock, payment, self._terms.chain_network_id)

    async def _after_deadline(self, forward: Forward, now_unix_s: int) -> None:
        """See what the provider claimed on the chain, and claim the same from the requester."""
        if now_unix_s > forward.lock.deadline_unix_s + GRACE_S or forward.settled:
            paid = await self._payer.settled_on_chain(forward.downstream, forward.key)
            known = self._payment(forward)
            if paid > (NO_MONEY if known is None else known.amount_nanoton):
                payment = await find_payment(
                    self._chain, forward.downstream, forward.key, since_lt=0
                )
                if payment is not None:
                    await self._note(forward, payment)
            await self._payer.end_locks(forward.downstream)
        if now_unix_s > forward.upstream_lock.deadline_unix_s + GRACE_S:
            await self._store.record(ForwardEnded(key=forward.key))


async def handle_as_provider(
    payee: PayeeService, message: HubMessage, may_go: MayGo = any_may_go
) -> HubMessage:
    """Answer what a hub asks a provider.

    Args:
        payee: holds the locks.
        message: the question.
        may_go: which locks a voucher may leave out.

    Raises:
        PaymentError, PeerMisbehaved, ContractError: what `refusing` turns into words.
    """
    match message:
        case RouteOffer():
            return await provider_side.take_offer(payee, message, may_go)
        case RouteSettle():
            return provider_side.settle(payee, message)
        case RouteFolded():
            return await provider_side.take_folded(payee, message, may_go)
        case _:
            raise PaymentError("we are no hub")


async def refusing(handler: Handler, peer: str, message: HubMessage) -> HubMessage:
    """Answer a question; what goes wrong becomes a `Refusal`."""
    try:
        return await handler(peer, message)
    except JournalError as error:
        _log.error("%s was refused: %s", peer, error)
        return Refusal(code=RefusalCode.INTERNAL, detail=DISK_WORDS)
    except CocoonError as error:
        return Refusal(code=RefusalCode.PAYMENT, detail=str(error)[:512])
    except (ContractError, OverlayError) as error:
        return Refusal(code=RefusalCode.INTERNAL, detail=str(error)[:512])


def _amount(request: RouteRequest) -> NanoTon:
    lock = the_lock(request.voucher, request.lock_id)
    return NO_MONEY if lock is None else lock.amount_nanoton
