"""A provider of the exact engine: quotes, offers, admission, output against vouchers.

Attackers override the few methods under "what attackers change".
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from cocoon.confidential.transcript import evidence_id, statement_id
from cocoon.market.desk import Agreement, DeskTerms, OfferDesk
from cocoon.market.quotes import Offering, PriceTerms, Quoter
from cocoon.market.renewal import Renewer
from cocoon.messages import (
    JOB_PROTOCOL,
    STATEMENT_RECORD,
    CloseRelease,
    CloseRequest,
    Kind,
    Limits,
    Meter,
    ModelOnOffer,
    Offer,
    PriceSchedule,
    Quote,
    Refusal,
    Tier,
    encode,
)
from cocoon.provider.debtors import Debtors
from cocoon.signing import sign
from cocoon.statements import Payee as PayeeIdentity
from cocoon.statements import build_statement, sign_statement
from contracts.units import NanoTon
from overlay.dht.records import record_key, sign_record
from simulations.exact.chain import NETWORK_ID
from simulations.exact.events import SECOND_US
from simulations.exact.node import NETWORK, Node
from simulations.exact.till import Till
from simulations.exact.wire import End

if TYPE_CHECKING:
    from simulations.exact.session import Session
    from simulations.exact.world import World

MODEL_ID: Final = hashlib.sha256(b"a model").digest()
ENGINE_ID: Final = hashlib.sha256(b"an engine").digest()
SEAL_KEY: Final = bytes(1216)
"""Nothing is sealed here: the engine `nodes` runs the real sealing."""
QUOTES_EVERY_US: Final = SECOND_US
CONTEXT_TOKENS: Final = 1 << 20
INPUT_BYTES_MAX: Final = 1 << 22


class Seller(Node):
    """A provider.

    Attributes:
        desk, quoter, debtors: the production cores.
        running: how many jobs run now.
    """

    def __init__(self, world: "World", index: int, name: str, folder: Path) -> None:
        super().__init__(world, index, name)
        self.till = Till(self, folder)
        self.slots = world.scenario.population.slots
        self._kept: Quote | None = None
        self.quoter: Quoter
        self.renewer: Renewer
        self.desk: OfferDesk
        self.debtors = Debtors()
        self.sessions: dict[Session, None] = {}
        self._seq = 0
        self.base = self._base_price()

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return self.desk.running

    def _base_price(self) -> PriceSchedule:
        prices = self.world.scenario.prices
        factor = 1.0 + prices.spread * (2.0 * self.chance.share() - 1.0)
        return PriceSchedule(
            prompt_token=int(prices.prompt_nanoton_per_1000 * factor),
            output_token=int(prices.output_nanoton_per_1000 * factor),
        )

    # --- starting ---

    def begin(self) -> None:
        """Put up the statement, and quote from now on."""
        self._make_statement()
        terms = self.till.terms
        self.desk = OfferDesk(
            DeskTerms(
                peer_id=self.peer_id,
                chain_network_id=NETWORK_ID,
                payee_address=terms.payee_address,
                payee_key=terms.payee_key,
                challenge_s_min=terms.challenge_s_min,
            ),
            slots=self.slots,
        )
        self.renewer = Renewer()
        self.quoter = Quoter(
            [self._offering()],
            slots=self.slots,
            now_ms=self.now_ms,
            window_ms=int(self.world.scenario.prices.window_s * 1000),
            restored=() if self._kept is None else (self._kept,),
        )
        self._announce()
        self._quote()
        self.after(1 + self.chance.below(SECOND_US), self.till.watch)

    def _make_statement(self) -> None:
        limits = Limits(
            context_tokens=CONTEXT_TOKENS,
            output_tokens_max=self.world.scenario.workload.output_tokens_max,
            input_bytes_max=INPUT_BYTES_MAX,
            chunk_tokens=self.world.scenario.workload.chunk_tokens,
        )
        self.model = ModelOnOffer(
            kind=Kind.CHAT, name="model", model_id=MODEL_ID, engine_id=ENGINE_ID, limits=limits
        )
        terms = self.till.terms
        self.statement = build_statement(
            peer_id=self.peer_id,
            boot_key=SEAL_KEY,
            models=(self.model,),
            device="simulated",
            payee=PayeeIdentity(
                terms.payee_address, terms.payee_key, NETWORK_ID, terms.challenge_s_min
            ),
            software="cocoon-sim",
            now_unix_s=self.now_unix_s(),
        )
        self.signed_statement = sign_statement(self.identity, NETWORK, self.statement)
        self.statement_id = statement_id(self.signed_statement)

    def _offering(self) -> Offering:
        prices = self.world.scenario.prices
        return Offering(
            peer_id=self.peer_id,
            statement_id=self.statement_id,
            model=self.model,
            terms=PriceTerms(
                base=self.base,
                start_level_ppm=prices.start_level_ppm,
                floor_ppm=prices.floor_ppm,
                cap_ppm=prices.cap_ppm,
                elasticity_ppm=prices.elasticity_ppm,
                step_max_ppm=prices.step_max_ppm,
            ),
            tier=Tier.OPEN,
            evidence_id=evidence_id(b""),
        )

    def _announce(self) -> None:
        """Publish the statement in the DHT, again and again."""
        value = encode(self.signed_statement)
        now_unix_s = self.clock()
        self._seq = max(self._seq + 1, int(now_unix_s * 1_000_000))
        record = sign_record(
            self.identity,
            NETWORK,
            STATEMENT_RECORD,
            value,
            seq=self._seq,
            expires_at_unix_s=self.statement.expires_at_unix_s,
            now_unix_s=now_unix_s,
        )
        self.put_record(record, record_key(self.peer_id, STATEMENT_RECORD))
        refresh_us = max(SECOND_US, int(self.world.scenario.dht.refresh_s * SECOND_US))
        if not self.world.draining:
            self.after(refresh_us, self._announce)

    def _quote(self) -> None:
        """Publish the quotes that are due; what is published is remembered over a crash."""
        crowd = self.directory.book.crowd(self._offering().resource_class)
        now_ms, now_unix_s = self.now_ms, self.now_unix_s()
        for quote in self.quoter.due(now_ms=now_ms, now_unix_s=now_unix_s, crowd=crowd):
            self._kept = quote  # KeptQuotes has it on the disk before it leaves
            self.publish_quote(quote)
            self.note("quote", seq=quote.seq, level_ppm=quote.level_ppm, free=quote.free_slots)
        if not self.world.draining:
            self.after(QUOTES_EVERY_US, self._quote)

    def live_quote(self) -> Quote | None:
        """Return the quote that offers are made from."""
        return self.quoter.last(self._offering().resource_class)

    # --- what attackers change ---

    def publish_quote(self, quote: Quote) -> None:
        """Sign a quote and gossip it."""
        for message in self.renewer.messages([quote]):
            self.publish(encode(sign(self.identity, NETWORK, message)))

    def shape_offer(self, offer: Offer) -> Offer:
        """Return the offer that is signed and sent."""
        return offer

    def tokens_per_s(self) -> float:
        """Return how fast the device is."""
        return self.world.scenario.workload.tokens_per_s

    def bill(self, meter: Meter) -> Meter:
        """Return the meter that is sent."""
        return meter

    # --- streams ---

    def on_stream(self, protocol: str, end: End) -> None:
        """Serve the job protocol."""
        from simulations.exact.session import Session  # noqa: PLC0415  (they know each other)

        if protocol != JOB_PROTOCOL:
            super().on_stream(protocol, end)
            return
        session = Session(self, end)
        self.sessions[session] = None

    def started(self, agreement: Agreement) -> None:
        """A job took a slot."""
        self.desk.begin(agreement.offer_hash)
        self.quoter.started(self.now_ms)
        self.world.checkers.offer_accepted(agreement.offer_hash, self.running, self.slots)

    def ended(self, agreement: Agreement, unpaid: NanoTon, peer: str) -> None:
        """A job gave its slot back."""
        self.quoter.ended(self.now_ms)
        self.desk.release(agreement.offer_hash)
        self.debtors.add(peer, unpaid, self.clock())

    def answer_close(
        self, asker: Node, request: CloseRequest, reply: Callable[[CloseRelease | Refusal], None]
    ) -> None:
        """Answer a wish to close a channel."""

        def answered(answer: CloseRelease | Refusal) -> None:
            if isinstance(answer, Refusal):
                self.world.checkers.refused(answer)
            self.world.wire.datagram(
                self, asker, len(msgspec.msgpack.encode(answer)), reply, answer
            )

        self.till.release(request, answered)

    # --- crashes ---

    def crash(self, share: float) -> None:
        """Lose power."""
        self.till.lose_power(share)
        for session in list(self.sessions):
            session.vanish()
        self.sessions.clear()
        super().crash(share)

    def restart(self) -> None:
        """Come back."""
        self.till.restart()
        self.debtors = Debtors()
        super().restart()
