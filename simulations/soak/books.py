"""The books of a stall after customers that cheat: every nanoton must be where it belongs."""

from collections.abc import Iterator, Sequence
from typing import Final

from cocoon.market.price import chunk_cost, cost
from cocoon.messages import Kind, Meter, PriceSchedule
from cocoon.provider.service import Sale
from contracts.channel import CLAIM_NANOTON_MIN, CLAIM_NANOTON_SURE
from contracts.voucher import ChannelRef, verify_voucher
from overlay.soak.rows import Row
from simulations.soak.stall import Customer, Stall

PROMPT_TOKENS_MAX: Final = 64


async def add_up(stall: Stall, payers: Sequence[Customer]) -> Row:
    """Claim, close, and add up.

    Args:
        stall: where was bought; nobody buys any more.
        payers: customers that paid as agreed.
    """
    faults = [*_voucher_faults(stall), *_job_faults(stall)]
    for each in payers:
        faults += _payer_faults(stall, each)
    held = {each.address: each.state for each in stall.book.channels.values()}
    granted = sum(state.best_total for state in held.values())
    earned = sum(_ended(stall, "cost_nanoton"))
    if granted > earned:
        faults.append(f"{granted} nanoton granted for work worth {earned}")
    earnings = await stall.payee.settle_all()
    faults += _settling_faults(stall)
    if earnings.settled > earned:
        faults.append(f"{earnings.settled} nanoton settled for work worth {earned}")
    for each in payers:
        for status in each.payer.list_channels():
            await each.requester.close_channel(status.address)
    supply = await stall.devnet.supply()
    if supply.total_nanoton != supply.minted_nanoton:
        faults.append(f"{supply.total_nanoton} of {supply.minted_nanoton} minted nanoton")
    lost, begun = sum(_ended(stall, "lost_nanoton")), len(_ended(stall, "lost_nanoton"))
    return Row(
        f"the books after it: {len(held)} channels, {begun} jobs begun",
        f"{len(faults)} faults; work for {earned} nanoton, vouchers for {granted}, "
        f"{earnings.settled} settled on chain, {lost} owed by cheats"
        f"{''.join(f'; {fault}' for fault in faults[:5])}",
        "no voucher above a deposit or without a good signature, nobody owes more than a prompt "
        "and a chunk, nobody is paid more than the work, no nanoton made or lost",
        not faults,
        {
            "channels": len(held),
            "faults": len(faults),
            "earned_nanoton": earned,
            "granted_nanoton": granted,
            "settled_nanoton": earnings.settled,
            "owed_nanoton": lost,
        },
    )


def _ended(stall: Stall, field_name: str) -> list[int]:
    """Return a field of every job that has ended."""
    return [int(str(f[field_name])) for name, f in stall.told if name == "job_ended"]


def _settling_faults(stall: Stall) -> Iterator[str]:
    """Yield the channels that paid out more than both agreed on, or that were not cashed.

    What does not pay for its own claim stays with the payer; cheats leave after so little.
    """
    for held in stall.book.channels.values():
        state = held.state
        due = max(state.best_total, state.released_total)  # a lost voucher comes with the close
        least = CLAIM_NANOTON_SURE if state.received else CLAIM_NANOTON_MIN
        if state.received > due or state.unclaimed >= least:
            yield f"{state.received} of {due} received, {state.unclaimed} unclaimed"


def _voucher_faults(stall: Stall) -> Iterator[str]:
    for held in stall.book.channels.values():
        state, total = held.state, held.state.best_total
        if total > state.total_max:
            yield f"a voucher of {total} on a deposit for {state.total_max}"
        ref = ChannelRef(stall.chain.network_id, held.address, state.opened_lt)
        if total > state.paid_total and not verify_voucher(
            held.payer_key, ref, total, state.best_signature
        ):
            yield f"a voucher of {total} that nobody signed"


def _job_faults(stall: Stall) -> Iterator[str]:
    """Yield the jobs that were worked on for more than a prompt and a chunk unpaid."""
    risks = {sale.model.name: _risk(stall, sale) for sale in stall.provider.sales}
    model_of = {f["job"]: str(f["model"]) for name, f in stall.told if name == "job_started"}
    for name, fields in stall.told:
        if name == "job_ended":
            lost, most = int(str(fields["lost_nanoton"])), risks[model_of[fields["job"]]]
            if lost > most:
                yield f"{lost} nanoton were owed, at most {most}"


def _risk(stall: Stall, sale: Sale) -> int:
    """Return what one job may owe at the most; 0 when nothing was quoted."""
    quote = stall.provider.quoters[sale.resource_class].last(sale.resource_class)
    if quote is None:
        return 0
    base, kind = quote.inputs.base, sale.model.kind
    dearest = PriceSchedule(
        prompt_token=2 * base.prompt_token,
        output_token=2 * base.output_token,
        gpu_ms=2 * base.gpu_ms,
    )
    prompt = Meter(prompt_tokens=PROMPT_TOKENS_MAX if kind is Kind.CHAT else 0)
    return chunk_cost(dearest, sale.model.limits, kind) + cost(dearest, prompt)


def _payer_faults(stall: Stall, payer: Customer) -> Iterator[str]:
    """Yield where provider and honest customer differ about a channel."""
    for status in payer.payer.list_channels():
        signed = payer.payer.channel(status.address).signed_total
        held = stall.book.channels[status.address].state.best_total
        if signed != held:
            yield f"{signed} nanoton signed by an honest customer, {held} held"
