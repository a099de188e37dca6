"""What must hold in every run, whatever breaks. Checkers watch; nodes do not ask them.

* no money is created: wallets, channels and fees add up to what was minted;
* no double grant: a channel's vouchers cover each job's work once, an offer is accepted once,
  no provider runs more jobs than it has slots;
* no voucher is lost: what was granted, or left the payer, is in the journal after any crash;
* nobody risks more than the prompt and one chunk, and nothing is paid that did not come;
* lookups return what its owner published, and the newest of what was answered;
* an honest provider's quotes look honest to everybody;
* every refusal has its type, every job ends, and every channel's money is settled.
"""

from typing import TYPE_CHECKING, Final

from cocoon.market.book import Listing
from cocoon.market.price import chunk_cost, cost
from cocoon.messages import Kind, LossReason, Meter, Refusal, RefusalCode
from contracts.channel import CLAIM_NANOTON_MIN
from simulations.ledger import Ledger, fee_nanoton

if TYPE_CHECKING:
    from cocoon.payments.payee_book import PayeeBook
    from cocoon.payments.payer_book import PayerBook
    from cocoon.provider.lease import Lease
    from cocoon.requester.meter import MeterWatch
    from simulations.exact.world import World

VIOLATIONS_MAX: Final = 20


class Checkers:
    """Facts in, violations out."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.violations: list[str] = []
        self._granted: dict[str, int] = {}
        self._credited: dict[str, int] = {}
        self._signed: dict[str, int] = {}
        self._accepted: set[bytes] = set()

    def violated(self, what: str) -> None:
        """Write a violation down."""
        self._world.log.line(f"{self._world.events.now_us} VIOLATION {what}")
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"at {self._world.events.now_us} us: {what}")

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            self.violated(what)

    # --- money ---

    def money_is_conserved(self, ledger: Ledger) -> None:
        """After every transaction."""
        total = ledger.total()
        self._require(
            total == ledger.minted, f"money was created: {total} of {ledger.minted} nanoton"
        )
        negative = [wallet for wallet, amount in ledger.wallets.items() if amount < 0]
        self._require(not negative, f"a wallet is overdrawn: {negative}")

    def voucher_left(self, address: str, total: int, total_max: int) -> None:
        """The payer's voucher leaves its machine."""
        self._require(
            total <= total_max, f"a voucher of {total} was signed on a deposit for {total_max}"
        )
        before = self._signed.get(address, 0)
        self._require(total >= before, f"a voucher of {total} was signed after one of {before}")
        self._signed[address] = max(before, total)

    def work_granted(self, address: str, total: int) -> None:
        """The payee lets the job go on for a voucher: it must never forget it."""
        self._granted[address] = max(self._granted.get(address, 0), total)

    def job_credited(self, address: str, amount: int) -> None:
        """A job's account is credited with so much of a channel's vouchers."""
        credited = self._credited.get(address, 0) + amount
        self._credited[address] = credited
        signed = self._signed.get(address, 0)
        self._require(
            credited <= signed, f"granted twice: {credited} of {signed} signed on {address[:12]}"
        )

    def payer_restarted(self, book: "PayerBook") -> None:
        """The payer's journal was replayed after a crash."""
        for address, channel in book.channels.items():
            left, kept = self._signed.get(address, 0), channel.state.signed_total
            self._require(
                kept >= left, f"the payer forgot a voucher: {left} left, {kept} is remembered"
            )

    def payee_restarted(self, node: str, book: "PayeeBook", channels: set[str]) -> None:
        """The payee's journal was replayed after a crash."""
        for address in sorted(channels):
            granted = self._granted.get(address, 0)
            held = book.channels.get(address)
            kept = held.state.best_total if held else 0
            self._require(
                kept >= granted, f"{node} lost a voucher: {granted} granted, {kept} is remembered"
            )

    def channel_ended(self, address: str, ledger: Ledger, *, honest_payee: bool) -> None:
        """A channel is gone: its payee got what was granted, and no more than was signed."""
        history = ledger.history.get(address, [])
        claims = sum(moved.to_payee + moved.fee for moved in history if moved.step == "claim")
        paid = claims + sum(moved.to_payee for moved in history if moved.last)
        signed, granted = self._signed.get(address, 0), self._granted.get(address, 0)
        self._require(paid <= signed, f"{paid} was paid on chain, only {signed} was signed")
        dust = CLAIM_NANOTON_MIN + fee_nanoton("claim")
        self._require(
            paid >= granted - dust or not honest_payee,
            f"the payee of {address[:12]} was granted {granted} and got {paid}",
        )

    # --- jobs ---

    def offer_accepted(self, offer_hash: bytes, running: int, slots: int) -> None:
        """A provider takes a job."""
        self._require(offer_hash not in self._accepted, "an offer was accepted twice")
        self._accepted.add(offer_hash)
        self._require(running <= slots, f"{running} jobs run in {slots} slots")

    def piece_sent(self, lease: "Lease") -> None:
        """A provider has sent one more piece of output."""
        prompt = Meter(prompt_tokens=lease.sent.prompt_tokens)
        most = chunk_cost(lease.schedule, lease.limits, Kind.CHAT) + 1  # two roundings up
        if not lease.paid_nanoton:
            most += cost(lease.schedule, prompt)
        self._require(
            lease.at_risk_nanoton <= most,
            f"a provider has {lease.at_risk_nanoton} at risk, the rule allows {most}",
        )

    def payment_signed(self, watch: "MeterWatch", job_total: int, received_tokens: int) -> None:
        """A requester pays for a job."""
        meter = Meter(
            prompt_tokens=watch.prompt_tokens_max,
            output_tokens=received_tokens,
        )
        most = cost(watch.schedule, meter)
        self._require(
            job_total <= most, f"{job_total} was paid for output that costs at most {most}"
        )

    def refused(self, refusal: Refusal) -> None:
        """Somebody said no."""
        self._require(
            isinstance(refusal.code, RefusalCode), f"a refusal without a type: {refusal!r}"
        )

    def lost(self, reason: LossReason) -> None:
        """A provider lost a job."""
        self._require(isinstance(reason, LossReason), f"a loss without a type: {reason!r}")

    # --- discovery ---

    def lookup_done(
        self, owner: str, found_seq: int | None, answered: list[tuple[str, int]]
    ) -> None:
        """A lookup ended.

        Args:
            owner: whose record was looked for.
            found_seq: number of the record that the lookup chose, None for none.
            answered: (owner, number) of every valid record that came back.
        """
        own = [seq for its_owner, seq in answered if its_owner == owner]
        if found_seq is None:
            self._require(not own, f"a lookup overlooked record {max(own, default=0)} of {owner}")
            return
        self._require(found_seq in own, f"a lookup returned a record that {owner} never signed")
        self._require(found_seq >= max(own, default=0), "a lookup returned an older record")

    def quote_heard(self, listing: Listing | None, *, honest: bool) -> None:
        """A book took a quote in."""
        if listing is not None and honest:
            reasons = "; ".join(listing.reasons)
            self._require(not listing.faulty, f"an honest quote looks false: {reasons}")

    # --- the end ---

    def all_is_settled(self) -> None:
        """Nothing hangs: called when the run has drained."""
        world = self._world
        self.money_is_conserved(world.chain.ledger)
        for buyer in world.buyers:
            self._require(not buyer.busy, f"{buyer.name} still waits for a job to end")
        for seller in world.sellers:
            running = seller.running
            self._require(not running, f"{seller.name} still runs {running} jobs")
        left = sorted(world.chain.ledger.channels)
        self._require(not left, f"{len(left)} channels were never closed: {left[:3]}")
