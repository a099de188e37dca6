"""The demonstration's report: one object with stable keys."""

import msgspec

from cocoon.requester.events import FailOver


class Loser(msgspec.Struct, frozen=True):
    """A provider that did not get (or keep) a job, and why."""

    peer: str
    reason: str
    job: str


class SettledChannel(msgspec.Struct, frozen=True, kw_only=True):
    """One channel, from deposit to settlement. All amounts in nanotons.

    Attributes:
        how: "together", or "alone" against a provider that was gone.
        voucher_total: the total of the last voucher that reached the provider.
        never_arrived: what was signed beyond it, for text that came, when the provider was
            dead already: nobody can claim it.
        paid_on_chain: what the contract credited to the payee: equal to voucher_total.
        to_provider, refunded, fees: where the money went; a claim's fees come out of
            what it pays.
    """

    provider: str
    address: str
    how: str
    voucher_total: int
    never_arrived: int
    paid_on_chain: int
    to_provider: int
    refunded: int
    fees: int


class Balance(msgspec.Struct, frozen=True):
    """One wallet before and after, in nanotons."""

    name: str
    address: str
    before: int
    after: int


class DemoReport(msgspec.Struct, kw_only=True):
    """What `cocoon demo --json` prints.

    Attributes:
        names: what the account for people calls each peer.
        losers: every provider that was found and did not win the question, with reasons.
        at_risk_max_nanoton: for the question: the most that was delivered and unpaid, or
            paid and undelivered, at any moment with any one provider.
        at_risk_max_by_job: the same figure for each job.
    """

    names: dict[str, str]
    providers_found: int
    winner: str
    losers: list[Loser]
    question: str
    answer: str
    answer_tokens: int
    price_per_output_token_nanoton: float
    time_to_first_token_s: float
    tokens_per_s: float
    transcript: str
    failover: FailOver | None
    vouchers: int
    last_voucher_nanoton: int
    paid_nanoton: int
    at_risk_max_nanoton: int
    at_risk_max_by_job: dict[str, int]
    gas: dict[str, int]
    fees_nanoton: dict[str, int]
    receipts: list[str]
    receipts_verified: bool
    channels: list[SettledChannel]
    balances: list[Balance]
    value_conserved: bool
    timings_s: dict[str, float]
