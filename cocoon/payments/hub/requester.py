"""The requester's side of a hub: opens routes, pays through them, folds them when they end."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import trio

from cocoon.errors import CocoonError, PaymentError, PeerMisbehaved
from cocoon.messages import PaymentRef, Refusal, VoucherMessage
from cocoon.payments.hub.messages import (
    HubMessage,
    HubTerms,
    HubTermsAsked,
    RouteAsked,
    RouteDone,
    RouteFolded,
    RoutePossible,
    RouteReady,
    RouteRequest,
    RouteSettle,
    RouteSettled,
)
from cocoon.payments.hub.terms import route_fee, terms_fault
from cocoon.payments.ownership import public_key, sign_ownership
from cocoon.payments.payer import PayerService
from cocoon.payments.payer_book import (
    Route,
    RouteBecameReady,
    RouteEnded,
    RouteJob,
    RoutePaid,
)
from cocoon.payments.payer_channel import PayerChannel
from cocoon.payments.payer_store import PayerStore
from cocoon.payments.turns import Turns
from contracts.chain import Chain
from contracts.errors import ContractError
from contracts.locks import KeyLock, sign_key_payment, unlocked
from contracts.units import NO_MONEY, NanoTon
from overlay.errors import OverlayError

ASK_TIMEOUT_S: Final = 30.0
RETRY_S_MIN: Final = 900
"""A route that was paid for, and not answered, is asked for again while this much is left."""

FOLD_AFTER_S: Final = 5
"""A lock is folded so long after the provider's deadline: the hub must know by then."""

Ask = Callable[[str, HubMessage], Awaitable[HubMessage]]
"""(peer id, question) -> answer. Raises OverlayError, PeerMisbehaved."""

_log = logging.getLogger(__name__)


async def ask_for(ask: Ask, peer: str, question: HubMessage, kind: type[msgspec.Struct]) -> object:
    """Ask a peer and return an answer of this kind.

    Raises:
        PaymentError: it refuses, or does not answer in time.
        PeerMisbehaved: it answers something else.
        OverlayError: it cannot be reached.
    """
    try:
        with trio.fail_after(ASK_TIMEOUT_S):
            answer = await ask(peer, question)
    except trio.TooSlowError as error:
        raise PaymentError(f"{peer} does not answer within {ASK_TIMEOUT_S:.0f} s") from error
    if isinstance(answer, Refusal):
        raise PaymentError(f"{peer}: {answer.detail or answer.code.value}")
    if not isinstance(answer, kind):
        raise PeerMisbehaved(f"{type(answer).__name__} is no answer to {type(question).__name__}")
    return answer


class RouteChannel(PayerChannel):
    """A route, for one job at a time; pays like a channel of its own.

    Totals are cumulative over the route. Attributes as of `PayerChannel`; `address` is the
    hub's channel to the provider, `key` the id of both locks.
    """

    def __init__(self, store: PayerStore, network_id: int, route: Route) -> None:
        if route.payment is None:
            raise PaymentError("the route is not ready")
        super().__init__(store, network_id, route.payment.channel_address)
        self._payment = route.payment
        self.key = route.lock.key

    def __repr__(self) -> str:
        return f"<RouteChannel {self.key.hex()[:8]} over {self.address}>"

    @property
    def upstream(self) -> str:
        """The address of our channel to the hub."""
        return self._route.upstream

    @property
    def _route(self) -> Route:
        route = self._store.book.routes.get(self.key)
        if route is None:
            raise PaymentError("the route has ended")
        return route

    @property
    def ref(self) -> PaymentRef:
        """What to put into `Accept`."""
        return msgspec.structs.replace(
            self._payment, payer_key=self.key, signed_total_nanoton=self._route.paid, routed=True
        )

    @property
    def signed_total(self) -> NanoTon:
        """What was paid through the route so far."""
        return self._route.paid

    @property
    def spendable_left(self) -> NanoTon:
        """What the route can still carry."""
        return NanoTon(self._route.lock.amount_nanoton - self._route.paid)

    @property
    def at_risk(self) -> NanoTon:
        """What the running job's newest payment added."""
        route = self._route
        return NanoTon(route.paid - route.previous if route.job_id else 0)

    def sign_transcript(self, transcript_hash: bytes) -> bytes:
        """Prove to the provider that the route is ours."""
        return sign_ownership(
            self._route.key_seed,
            network_id=self._network_id,
            channel_address=self.address,
            transcript_hash=transcript_hash,
        )

    async def start_job(self, job_id: str, provider: str) -> None:
        """Take the route for a job; durable.

        Raises:
            PaymentError: another job uses it.
        """
        del provider
        if self._route.job_id or not job_id:
            raise PaymentError(f"job {self._route.job_id or '?'} still uses the route")
        await self._store.record(RouteJob(key=self.key, job_id=job_id))

    async def pay(self, total_nanoton: NanoTon, job_id: str) -> VoucherMessage:
        """Sign a new cumulative amount; it is on the disk before this returns.

        Raises:
            PaymentError: above what the route carries, below what was paid, or another job.
        """
        route = self._route
        if not job_id or job_id != route.job_id:
            raise PaymentError(f"job {job_id} does not hold the route")
        if not route.paid <= total_nanoton <= route.lock.amount_nanoton:
            raise PaymentError(
                f"{total_nanoton} nanoton cannot go through a route over "
                f"{route.lock.amount_nanoton} that has carried {route.paid}"
            )
        if total_nanoton != route.paid:
            await self._store.record(RoutePaid(key=self.key, amount=total_nanoton))
        payment = sign_key_payment(route.key_seed, self._network_id, total_nanoton)
        return VoucherMessage(total_nanoton=total_nanoton, signature=payment.signature)

    async def end_job(self, job_id: str) -> None:
        """Let go of the route. Idempotent."""
        if self._route.job_id == job_id:
            await self._store.record(RouteJob(key=self.key, job_id=""))


class HubClient:
    """Opens routes through hubs, and ends them."""

    def __init__(self, payer: PayerService, chain: Chain, ask: Ask, *, fee_max: NanoTon) -> None:
        self._payer = payer
        self._store = payer.store
        self._chain = chain
        self._ask = ask
        self._fee_max = fee_max
        self._hubs: Turns[str] = Turns()
        self._held: set[bytes] = set()

    async def terms(self, hub: str, capacity: NanoTon) -> HubTerms:
        """Ask a hub for its terms, and check that we can live with them.

        Raises:
            PaymentError: they are not acceptable, or there is no answer.
        """
        terms = await ask_for(self._ask, hub, HubTermsAsked(), HubTerms)
        assert isinstance(terms, HubTerms)  # noqa: S101  (said by the type that was asked for)
        fee = route_fee(terms, capacity)
        network_id = self._payer.network_id
        if fault := terms_fault(terms, network_id=network_id, fee=fee, fee_max=self._fee_max):
            raise PaymentError(f"hub {hub}: {fault}")
        return terms

    async def route_to(
        self,
        hub: str,
        provider: str,
        payee_address: str,
        payee_key: bytes,
        *,
        capacity: NanoTon,
        deposit: NanoTon,
        fee_paid: Callable[[NanoTon], None] = lambda _: None,
    ) -> RouteChannel:
        """Return a route to a provider that can carry *capacity*, and pay the hub's fee for it.

        An open route with enough left is used again.

        Args:
            hub: peer id.
            provider: peer id.
            payee_address: the provider's, raw form.
            payee_key: the provider's.
            capacity: what the job may cost.
            deposit: put into a new channel to the hub, if one must be opened.
            fee_paid: is told the fee of a new route once it is signed away, whatever follows.

        Raises:
            PaymentError: the hub's terms, its refusal, or our limits. The fee is lost if it
                took the voucher and then did nothing; nothing else can be.
        """
        asked = RouteAsked(
            provider=provider,
            payee_address=payee_address,
            payee_key=payee_key,
            capacity_nanoton=capacity,
        )
        # One at a time: the hub must see our vouchers in the order in which they were signed.
        async with self._hubs.turn(hub):
            reused = self._open_route(hub, provider, capacity)
            if reused is not None:
                return reused
            pending = await self._pending(hub, asked)
            if pending is None:
                pending = await self._new_route(hub, asked, deposit, fee_paid)
            return await self._make_ready(hub, pending)

    @contextmanager
    def holding(self, route: RouteChannel) -> Iterator[None]:
        """Keep a route from other jobs for the length of the block; enter it at once."""
        self._held.add(route.key)
        try:
            yield
        finally:
            self._held.discard(route.key)

    async def _pending(self, hub: str, asked: RouteAsked) -> RouteRequest | None:
        """Return a request that was paid for, and that the hub did not answer."""
        now_unix_s = await self._chain.now_unix_s()
        for route in self._store.book.routes.values():
            same = (route.hub, route.provider) == (hub, asked.provider)
            left_s = route.lock.deadline_unix_s - now_unix_s
            enough = route.lock.amount_nanoton >= asked.capacity_nanoton
            channel = self._payer.channel(route.upstream)
            live = route.payment is None and route.lock in channel.locks and left_s > RETRY_S_MIN
            if same and enough and live:
                return _request(asked, channel, route.lock.key)
        return None

    async def _make_ready(self, hub: str, request: RouteRequest) -> RouteChannel:
        ready = await ask_for(self._ask, hub, request, RouteReady)
        assert isinstance(ready, RouteReady)  # noqa: S101  (said by the type that was asked for)
        became = RouteBecameReady(
            key=request.lock_id, payment=ready.payment, deadline_unix_s=ready.deadline_unix_s
        )
        await self._store.record(became)
        route = self._store.book.routes[request.lock_id]
        return RouteChannel(self._store, self._payer.network_id, route)

    async def _new_route(
        self, hub: str, asked: RouteAsked, deposit: NanoTon, fee_paid: Callable[[NanoTon], None]
    ) -> RouteRequest:
        capacity = NanoTon(asked.capacity_nanoton)
        terms = await self.terms(hub, capacity)
        await ask_for(self._ask, hub, asked, RoutePossible)
        fee = route_fee(terms, capacity)
        channel = await self._payer.ensure_channel(
            terms.payee_address,
            terms.payee_key,
            spendable_min=NanoTon(capacity + fee),
            deposit=deposit,
            for_routes=True,
        )
        request = await self._sign(channel, terms, asked, hub, fee)
        fee_paid(fee)
        return request

    def _open_route(self, hub: str, provider: str, capacity: NanoTon) -> RouteChannel | None:
        for route in self._store.book.routes.values():
            same = (route.hub, route.provider) == (hub, provider)
            left = route.lock.amount_nanoton - route.paid
            free = not route.job_id and route.lock.key not in self._held
            if same and route.payment and free and left >= capacity:
                return RouteChannel(self._store, self._payer.network_id, route)
        return None

    async def _sign(
        self, channel: PayerChannel, terms: HubTerms, asked: RouteAsked, hub: str, fee: NanoTon
    ) -> RouteRequest:
        seed = secrets.token_bytes(32)
        lasts_s = min(terms.route_s_max, channel.challenge_s)
        lock = KeyLock(
            key=public_key(seed),
            amount_nanoton=NanoTon(asked.capacity_nanoton),
            deadline_unix_s=await self._chain.now_unix_s() + lasts_s,
        )
        route = Route(
            key_seed=seed,
            hub=hub,
            provider=asked.provider,
            upstream=channel.address,
            lock=lock,
        )
        await channel.lock(lock, NanoTon(channel.signed_total + fee), also=(route,))
        return _request(asked, channel, lock.key)

    async def watch(self, interval_s: float) -> None:
        """End routes whose time is over, for ever."""
        while True:
            await self.end_routes()
            await trio.sleep(interval_s)

    async def end_routes(self) -> None:
        """Fold what is over; what a hub does not answer for is tried again, or claimed by it."""
        if not self._store.book.routes:
            return
        for route in list(self._store.book.routes.values()):
            try:
                await self._end(route, await self._chain.now_unix_s())
            except (CocoonError, ContractError, OverlayError) as error:
                _log.info("route %s has to wait: %s", route.lock.key.hex()[:8], error)

    async def _end(self, route: Route, now_unix_s: int) -> None:
        key = route.lock.key
        channel = self._payer.channel(route.upstream)
        if now_unix_s > route.lock.deadline_unix_s:
            await self._payer.end_locks(route.upstream)
        if all(lock != route.lock for lock in channel.locks):
            await self._store.record(RouteEnded(key=key))  # folded, or over, on the chain
            return
        if route.job_id or not route.payment or now_unix_s <= route.deadline_unix_s + FOLD_AFTER_S:
            return
        amount = await self._settled(route)
        total = NanoTon(channel.signed_total + amount)
        voucher = await channel.fold(key, total, also=(RouteEnded(key=key),))
        folded = RouteFolded(payment=channel.ref, lock_id=key, voucher=voucher)
        await ask_for(self._ask, route.hub, folded, RouteDone)

    async def _settled(self, route: Route) -> NanoTon:
        """Return what came through, as the hub proves it: never more than we signed."""
        asked = RouteSettle(lock_id=route.lock.key)
        answer = await ask_for(self._ask, route.hub, asked, RouteSettled)
        assert isinstance(answer, RouteSettled)  # noqa: S101  (said by the type that was asked for)
        if answer.payment is None:
            return NO_MONEY
        amount = unlocked(route.lock, answer.payment, self._payer.network_id)
        if not amount or amount > route.paid:
            raise PeerMisbehaved(f"hub {route.hub} claims {amount}, we signed {route.paid}")
        return amount


def _request(asked: RouteAsked, channel: PayerChannel, lock_id: bytes) -> RouteRequest:
    return RouteRequest(
        provider=asked.provider,
        payee_address=asked.payee_address,
        payee_key=asked.payee_key,
        payment=channel.ref,
        lock_id=lock_id,
        voucher=channel.newest_locked(),
    )
