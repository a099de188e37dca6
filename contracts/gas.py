"""What every step of a channel costs, run on the real emulator.

``python -m contracts.gas --json`` prints the table; ``--write`` stores it in
`gas.json`, which a test compares, so that no change of cost goes unnoticed. Gas is
exact; fees are those of the emulator's configuration (December 2025), and include
the delivery of what the step sends.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from contracts import channel
from contracts.cells import Cell
from contracts.chain import TransactionRecord
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator, open_emulator
from contracts.rehearsal import CHALLENGE_S, COIN, PAYEE_SEED, Rehearsal, Step
from contracts.units import NanoTon
from contracts.voucher import sign_release

TABLE: Final = Path(__file__).with_name("gas.json")
_START_UNIX_S: Final = 1_780_000_000
_YEAR_S: Final = 365 * 86_400


class GasTable(msgspec.Struct, frozen=True):
    """The figures of one build of the contract.

    Attributes:
        rent_nanoton_per_year: storage of an open channel.
    """

    code_hash: str
    code_cells: int
    code_bits: int
    rent_nanoton_per_year: int
    steps: dict[str, Step]


def measure(emulator: Emulator) -> GasTable:
    """Run every step once and return what it cost."""
    code = channel.channel_code()
    sizes = _sizes(code, {})
    return GasTable(
        code_hash=code.hash.hex(),
        code_cells=len(sizes),
        code_bits=sum(sizes.values()),
        rent_nanoton_per_year=_rent(emulator),
        steps=_steps(emulator),
    )


def _steps(emulator: Emulator) -> dict[str, Step]:
    rig = Rehearsal(EmbeddedChain(emulator, unix_s=_START_UNIX_S))
    steps = {"open": _step(rig, lambda: rig.open(COIN))}
    steps["top_up"] = _step(rig, lambda: rig.internal(COIN))
    steps["claim"] = _step(rig, lambda: rig.external(rig.claim(COIN // 4)))
    fee = channel.MESSAGE_FEE_NANOTON
    steps["claim_internal"] = _step(rig, lambda: rig.internal(fee, rig.claim(COIN // 2)))
    here = rig.chain.snapshot()
    steps["close"] = _step(rig, lambda: rig.external(rig.close(COIN)))
    rig.chain.restore(here)
    steps["close_settled"] = _step(rig, lambda: rig.external(_release_only(rig)))
    rig.chain.restore(here)
    steps["start_close"] = _step(rig, lambda: rig.external(rig.start_close()))
    rig.chain.warp(CHALLENGE_S + 1)
    steps["finish"] = _step(rig, lambda: rig.external(channel.finish_body()))
    return steps


def _step(rig: Rehearsal, run: Callable[[], TransactionRecord]) -> Step:
    burned = rig.chain.burned_nanoton
    record = run()
    return Step(record.gas_used, rig.chain.burned_nanoton - burned)


def _release_only(rig: Rehearsal) -> bytes:
    paid = rig.state.paid_nanoton
    return channel.close_body(paid, None, sign_release(PAYEE_SEED, rig.ref, paid))


def _rent(emulator: Emulator) -> NanoTon:
    rig = Rehearsal(EmbeddedChain(emulator, unix_s=_START_UNIX_S))
    rig.open()
    before = rig.balance(rig.address)
    rig.chain.warp(_YEAR_S)
    rig.internal(COIN)
    with_gas = before + COIN - rig.balance(rig.address)
    return NanoTon(with_gas - _top_up_fee(rig))


def _top_up_fee(rig: Rehearsal) -> int:
    before = rig.balance(rig.address)
    rig.internal(COIN)
    return before + COIN - rig.balance(rig.address)


def _sizes(cell: Cell, seen: dict[bytes, int]) -> dict[bytes, int]:
    seen[cell.hash] = cell.size_bits
    for ref in cell.refs:
        if ref.hash not in seen:
            _sizes(ref, seen)
    return seen


def main() -> None:
    """Print the table, or store it."""
    parser = argparse.ArgumentParser(prog="python -m contracts.gas", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help=f"store it in {TABLE.name}")
    options = parser.parse_args()
    table = measure(open_emulator())
    text = json.dumps(msgspec.to_builtins(table), indent=2) + "\n"
    if options.write:
        TABLE.write_text(text)
    if options.json:
        sys.stdout.write(text)
        return
    for name, step in table.steps.items():
        sys.stdout.write(f"{name:16}{step.gas:6} gas{step.fees_nanoton:10} nanoton\n")


if __name__ == "__main__":
    main()
