"""Nodes that break the rules, each by overriding what an honest one does at one place.

Your own attacker is a subclass of `Seller`, `Buyer` or `Node` that is given to
`simulations.exact.run.simulate` (see `examples/attacker_and_metric.py`).
"""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from cocoon.market.match import Preferences
from cocoon.messages import Meter, Offer, PriceSchedule, Quote, VoucherMessage, encode
from contracts.units import NanoTon
from simulations.exact.buyer import Buyer
from simulations.exact.events import SECOND_US
from simulations.exact.job import Job
from simulations.exact.node import Node
from simulations.exact.seller import Seller
from simulations.scenario import Attackers

if TYPE_CHECKING:
    from collections.abc import Callable

PIECES_BEFORE_LEAVING: Final = 3


class NonPayer(Buyer):
    """Takes what comes unpaid, and never pays."""

    def pay(self, job: Job, due: NanoTon) -> None:
        """Do nothing."""


class Replayer(Buyer):
    """Pays once, and sends that voucher again ever after."""

    def pay(self, job: Job, due: NanoTon) -> None:
        """Pay the first time; then send the channel's first voucher again."""
        attempt = job.attempt
        if attempt is None or attempt.last_total == attempt.base:
            super().pay(job, due)
            return
        signature = self.purse.voucher(attempt.channel, attempt.last_total)
        old = VoucherMessage(total_nanoton=attempt.last_total, signature=signature)
        attempt.talk.end.send(encode(old))


class Vanisher(Buyer):
    """Leaves in the middle of every job."""

    def heard_output(self, job: Job) -> None:
        """Leave after a few pieces."""
        if job.attempt is not None and job.attempt.tokens > PIECES_BEFORE_LEAVING:
            job.leave()


class Herd(Buyer):
    """Runs to whoever is cheapest, like all the others."""

    def preferences(self, excluded: frozenset[str]) -> Preferences:
        """Return preferences in which only the price counts, and one is asked."""
        plain = super().preferences(excluded)
        return Preferences(
            ceiling=plain.ceiling,
            excluded=excluded,
            price_weight=1,
            speed_weight=0,
            reliability_weight=0,
            near_best_ppm=0,
            ask_max=1,
        )


class OffRule(Seller):
    """Quotes a tenth more than the price rule allows."""

    honest = False

    def publish_quote(self, quote: Quote) -> None:
        """Sign a schedule that does not follow from the inputs."""
        schedule = _scaled(quote.schedule, 110)
        super().publish_quote(msgspec.structs.replace(quote, schedule=schedule))


class Equivocator(Seller):
    """Signs two different quotes under one number."""

    honest = False

    def publish_quote(self, quote: Quote) -> None:
        """Publish both."""
        super().publish_quote(quote)
        super().publish_quote(msgspec.structs.replace(quote, free_slots=0))


class Baiter(Seller):
    """Offers at a price above its quote."""

    honest = False

    def shape_offer(self, offer: Offer) -> Offer:
        """Ask for a fifth more."""
        return msgspec.structs.replace(offer, schedule=_scaled(offer.schedule, 120))


class OverBiller(Seller):
    """Counts three tokens more than it sends."""

    honest = False

    def bill(self, meter: Meter) -> Meter:
        """Return a meter that counts too much."""
        return msgspec.structs.replace(meter, output_tokens=meter.output_tokens + 3)


class WashTrader(Seller):
    """Keeps one of its slots busy with jobs that it buys from itself."""

    def begin(self) -> None:
        """Pretend to work."""
        super().begin()
        self.after(SECOND_US, self._pretend)

    def _pretend(self) -> None:
        if self.quoter.window.free_slots > 1 or self.slots == 1:
            self.quoter.started(self.now_ms)


class Staler(Node):
    """Keeps the first record that it ever saw, and answers with it, or with a forgery."""

    def keep_value(self, key: str, value: bytes) -> None:
        """Never take a newer one."""
        if key not in self._values:
            super().keep_value(key, value)

    def answer_value(self, asker: Node, key: str, reply: "Callable[[bytes | None], None]") -> None:
        """Answer with the old record, or with one whose last byte is wrong."""
        value = self._values.get(key)
        if value is not None and self.chance.share() < 0.5:
            value = value[:-1] + bytes([value[-1] ^ 1])
        self.world.wire.datagram(self, asker, len(value or b""), reply, value)


def _scaled(schedule: PriceSchedule, percent: int) -> PriceSchedule:
    return PriceSchedule(
        prompt_token=schedule.prompt_token * percent // 100,
        output_token=schedule.output_token * percent // 100,
    )


SELLERS: Final[tuple[tuple[str, type[Seller]], ...]] = (
    ("off_rule", OffRule),
    ("equivocators", Equivocator),
    ("baiters", Baiter),
    ("over_billers", OverBiller),
    ("wash_traders", WashTrader),
)
BUYERS: Final[tuple[tuple[str, type[Buyer]], ...]] = (
    ("non_payers", NonPayer),
    ("replayers", Replayer),
    ("vanishers", Vanisher),
)


def cast_of(attackers: Attackers, *, sellers: int, buyers: int, others: int) -> dict[str, Any]:
    """Return which nodes break the rules: their class, by name."""
    roles: dict[str, Any] = {}
    for kinds, count, prefix in ((SELLERS, sellers, "seller"), (BUYERS, buyers, "buyer")):
        wanted = [kind for key, kind in kinds for _ in range(getattr(attackers, key))]
        roles.update((f"{prefix}-{at}", kind) for at, kind in enumerate(wanted[:count]))
    for at in range(int(attackers.herd * buyers)):
        roles.setdefault(f"buyer-{buyers - 1 - at}", Herd)
    names = [f"other-{at}" for at in range(others)]
    names += [f"buyer-{at}" for at in reversed(range(buyers))]
    names += [f"seller-{at}" for at in reversed(range(sellers))]
    bases: dict[str, type[Node]] = {"seller": Seller, "buyer": Buyer, "other": Node}
    for name in names[: attackers.stalers]:
        base = roles.get(name, bases[name.partition("-")[0]])
        roles[name] = (
            type(f"Stale{base.__name__}", (Staler, base), {}) if base is not Node else Staler
        )
    return roles
