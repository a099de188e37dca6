"""Makes quotes for tests: what is not said does not matter there."""

from cocoon.market.load import Load
from cocoon.market.quotes import Offering, PriceTerms, make_quote
from cocoon.messages import Kind, Limits, ModelOnOffer, PriceSchedule, Quote, Tier

NOW = 1_800_000_000
NO_LIMITS = Limits()


def offering(
    peer: str = "provider",
    *,
    model: bytes = bytes(32),
    name: str = "m",
    price: int = 160_000,
    limits: Limits = NO_LIMITS,
    tier: Tier = Tier.OPEN,
    statement: bytes = bytes(32),
    **terms: int,
) -> Offering:
    """Offer a chat model; *price* is for output, *terms* are those of `PriceTerms`."""
    return Offering(
        peer_id=peer,
        statement_id=statement,
        model=ModelOnOffer(
            kind=Kind.CHAT, name=name, model_id=model, engine_id=bytes(32), limits=limits
        ),
        terms=PriceTerms(base=PriceSchedule(output_token=price), **terms),
        tier=tier,
    )


def quote_of(
    sold: Offering,
    *,
    previous: Quote | None = None,
    load: Load | None = None,
    slots: int = 1,
    free: int | None = None,
    speed: int = 1,
    now: int = NOW,
) -> Quote:
    """Quote what is sold; all slots are free unless it is said."""
    return make_quote(
        sold,
        previous=previous,
        load=load,
        slots=slots,
        free_slots=slots if free is None else free,
        speed_milli_per_s=speed,
        now_unix_s=now,
    )
