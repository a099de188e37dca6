"""Every figure of the page on the channel is what the code says."""

import re
from pathlib import Path

import msgspec
import pytest

from contracts import channel, gas, jetton, locks
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.errors import MessageRejected
from contracts.rehearsal import CHALLENGE_S, COIN, PAYER, Rehearsal

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "channel.md").read_text()
TABLE = msgspec.json.decode(gas.TABLE.read_bytes(), type=gas.GasTable)


@pytest.mark.parametrize("step", gas.GAS_LIMITS)
def test_the_costs_of_every_step_are_those_of_the_table(step: str) -> None:
    cost = TABLE.steps[step]
    row = f"| {step} | {cost.gas} | {gas.GAS_LIMITS[step]} | {cost.fees_nanoton} |"
    assert row in PAGE


def test_the_other_figures_are_those_of_the_code() -> None:
    start, finish = (TABLE.steps[name].fees_nanoton for name in ("start_close", "finish"))
    for words in (
        f"Code: {TABLE.code_cells} cells. Rent: {TABLE.rent_nanoton_per_year} nanoton a year.",
        f"{channel.RESERVE_NANOTON} nanoton (the reserve)",
        f"| {start} + {finish} nanoton and the rent; the deposit pays |",
        f"| {finish} nanoton | `open_by` |",
        f"| {TABLE.steps['claim'].fees_nanoton} nanoton, out of the claim |",
        f"| {channel.CLAIM_NANOTON_MIN} nanoton before the first claim, "
        f"{channel.CLAIM_NANOTON_SURE} later",
        f"{channel.MESSAGE_FEE_NANOTON} nanoton attached",
        f"1 hour when it is {CHALLENGE_S} s, and {channel.CHALLENGE_S_MAX // 3600} hours at most",
        f"({locks.LOCKS_MAX} at most)",
        f"Up to {channel.EXTERNAL_LOCKS_MAX} witnesses go by external message",
        f"bring {jetton.TRANSFER_VALUE_NANOTON} nanoton for each transfer",
    ):
        assert words in " ".join(PAGE.split()), words


def test_no_figure_on_the_page_is_unchecked() -> None:
    """Large numbers are in the code; who adds one to the page adds it to the tests."""
    known = {
        str(value) for step in TABLE.steps.values() for value in msgspec.to_builtins(step).values()
    }
    known |= {str(limit) for limit in gas.GAS_LIMITS.values()}
    known |= {
        str(value)
        for value in (
            TABLE.rent_nanoton_per_year,
            channel.RESERVE_NANOTON,
            channel.CLAIM_NANOTON_MIN,
            channel.CLAIM_NANOTON_SURE,
            channel.MESSAGE_FEE_NANOTON,
            jetton.TRANSFER_VALUE_NANOTON,
            CHALLENGE_S,
        )
    }
    text = PAGE.replace("--steps 1000000", "").replace("December 2025", "").replace("of 2026", "")
    assert set(re.findall(r"\d{4,}", text)) <= known


def test_the_payers_worst_case_is_what_the_page_says(emulator: Emulator) -> None:
    """The payee is dead: what comes back is the deposit without the fees on the page."""
    rig = Rehearsal(EmbeddedChain(emulator, unix_s=1_780_000_000))
    rig.open(COIN)
    deposit = rig.state.balance_nanoton
    started = rig.chain.now_unix_s
    rig.external(rig.start_close())
    rig.chain.warp(CHALLENGE_S)
    with pytest.raises(MessageRejected):
        rig.external(channel.finish_body())
    rig.chain.warp(1)
    rig.external(channel.finish_body())
    start, finish = (TABLE.steps[name].fees_nanoton for name in ("start_close", "finish"))
    rent = TABLE.rent_nanoton_per_year * (CHALLENGE_S + 1) // (365 * 86_400) + 2
    assert rig.balance(PAYER) >= deposit - start - finish - rent
    assert rig.chain.now_unix_s - started == CHALLENGE_S + 1
