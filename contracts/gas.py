"""What every step of a channel costs, run on the real emulator.

``python -m contracts.gas --json`` prints the table, each figure beside its limit, and exits
with 1 when one is above; ``--write`` stores it in `gas.json`, which a test compares, so that
no change of cost goes unnoticed. Gas is exact; fees are those of the emulator's configuration
(December 2025, six times those of 2026), and include the delivery of what the step sends.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts import channel
from contracts.cells import Cell
from contracts.chain import TransactionRecord
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator, open_emulator
from contracts.locks import HashLock, KeyLock, Lock, Preimage, Witness, sign_key_payment
from contracts.rehearsal import CHALLENGE_S, COIN, PAYEE_SEED, Rehearsal, Step, public_key
from contracts.units import NanoTon
from contracts.voucher import sign_release

TABLE: Final = Path(__file__).with_name("gas.json")
GAS_LIMITS: Final = {
    "open": 2600,
    "top_up": 700,
    "claim": 4300,
    "claim_hash_lock": 6500,
    "claim_key_lock": 6500,
    "close": 5800,
    "start_close": 3200,
    "finish": 3400,
}
"""What the steps may cost. Two other channels on TON need 7 272 to 15 934 for a step."""

CODE_CELLS_MAX: Final = 16

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
    for kind, (lock, witness) in _one_lock_of_each_kind(rig).items():
        body = rig.claim_locked(COIN // 2, [lock], [witness])
        steps[f"claim_{kind}"] = _step(rig, partial(rig.external, body))
        rig.chain.restore(here)
    steps["close"] = _step(rig, lambda: rig.external(rig.close(COIN)))
    rig.chain.restore(here)
    steps["close_settled"] = _step(rig, lambda: rig.external(_release_only(rig)))
    rig.chain.restore(here)
    steps["start_close"] = _step(rig, lambda: rig.external(rig.start_close()))
    rig.chain.warp(CHALLENGE_S + 1)
    steps["finish"] = _step(rig, lambda: rig.external(channel.finish_body()))
    return steps


def _one_lock_of_each_kind(rig: Rehearsal) -> dict[str, tuple[Lock, Witness]]:
    secret, amount = b"\xc3" * 32, NanoTon(COIN // 10)
    deadline = rig.chain.now_unix_s + CHALLENGE_S
    digest = sha256(secret).digest()
    by_hash = HashLock(digest=digest, amount_nanoton=amount, deadline_unix_s=deadline)
    key = public_key(secret)
    by_key = KeyLock(key=key, amount_nanoton=amount, deadline_unix_s=deadline)
    payment = sign_key_payment(secret, rig.chain.network_id, amount)
    return {"hash_lock": (by_hash, Preimage(secret)), "key_lock": (by_key, payment)}


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


def above_limits(table: GasTable) -> list[str]:
    """Return what costs more than it may, in words."""
    over = [
        f"{name}: {table.steps[name].gas} gas, limit {limit}"
        for name, limit in GAS_LIMITS.items()
        if table.steps[name].gas > limit
    ]
    if table.code_cells > CODE_CELLS_MAX:
        over.append(f"code: {table.code_cells} cells, limit {CODE_CELLS_MAX}")
    return over


def _with_limits(table: GasTable) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(table)
    shown["code_cells_limit"] = CODE_CELLS_MAX
    for name, step in shown["steps"].items():
        step["gas_limit"] = GAS_LIMITS.get(name)
    return shown


def _lines(table: GasTable) -> str:
    rows = [f"{'':16} {'gas':>6} {'limit':>6} {'nanoton':>9}"]
    for name, step in table.steps.items():
        limit = GAS_LIMITS.get(name, "-")
        rows.append(f"{name:16} {step.gas:6} {limit:>6} {step.fees_nanoton:9}")
    rows.append(f"{'code cells':16} {table.code_cells:6} {CODE_CELLS_MAX:6}")
    rows.append(f"{'rent of a year':16} {'':6} {'':6} {table.rent_nanoton_per_year:9}")
    return "\n".join(rows) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Print the table, or store it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m contracts.gas", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help=f"store it in {TABLE.name}")
    options = parser.parse_args(arguments)
    table = measure(open_emulator())
    if options.write:
        TABLE.write_text(json.dumps(msgspec.to_builtins(table), indent=2) + "\n")
    shown = json.dumps(_with_limits(table), indent=2) + "\n" if options.json else _lines(table)
    sys.stdout.write(shown)
    over = above_limits(table)
    sys.stderr.writelines(f"above its limit: {line}\n" for line in over)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
