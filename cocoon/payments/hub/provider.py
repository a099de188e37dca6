"""The provider's side of a hub: holds its locks, and settles them when the hub asks."""

from typing import Final

from cocoon.errors import PaymentError
from cocoon.payments.hub.messages import (
    RouteDone,
    RouteFolded,
    RouteOffer,
    RouteSettle,
    RouteSettled,
)
from cocoon.payments.hub.terms import the_lock
from cocoon.payments.payee import PayeeService
from cocoon.payments.payee_routes import MayGo, any_may_go
from contracts.channel import ChannelState
from contracts.units import NanoTon

ROUTE_S_MIN: Final = 60
"""A route that leaves less time than this, after the claim margin, is not worth taking."""


async def take_offer(
    payee: PayeeService, offer: RouteOffer, may_go: MayGo = any_may_go
) -> RouteDone:
    """Hold a lock that a hub gives us; it is on the disk when this returns.

    Raises:
        PaymentError: the channel, or the lock, is not good enough.
        PeerMisbehaved: the hub's channel did not sign it.
        ChainUnavailable: the chain could not be asked.
    """
    lock = the_lock(offer.voucher, offer.lock_id)
    if lock is None:
        raise PaymentError("the voucher has no such lock")

    def check(channel: ChannelState, best_total: NanoTon, now_unix_s: int) -> str:
        del channel, best_total
        left_s = lock.deadline_unix_s - now_unix_s
        least_s = payee.claim_margin_s + ROUTE_S_MIN
        return "" if left_s >= least_s else f"it ends in {left_s} s, we need {least_s} s"

    await payee.take_locked(offer.payment, offer.voucher, check, may_go)
    return RouteDone()


def settle(payee: PayeeService, question: RouteSettle) -> RouteSettled:
    """Say what came through a route, and take nothing more through it.

    Raises:
        PaymentError: a job still uses it.
    """
    return RouteSettled(payment=payee.settle_route(question.lock_id))


async def take_folded(
    payee: PayeeService, folded: RouteFolded, may_go: MayGo = any_may_go
) -> RouteDone:
    """Take a voucher in place of a lock; the core refuses one that is worth less to us.

    Raises:
        PaymentError, PeerMisbehaved, ChainUnavailable: see `PayeeService.take_locked`.
    """
    await payee.take_locked(folded.payment, folded.voucher, _no_more_checks, may_go)
    return RouteDone()


def _no_more_checks(channel: ChannelState, best_total: NanoTon, now_unix_s: int) -> str:
    del channel, best_total, now_unix_s
    return ""
