"""How fast the local chain and the checks of a liteserver's client are.

    python -m contracts.chain_bench [--transfers 200] [--json]

In processor seconds of one core, because machines are shared. The peer in the same run is
the emulator alone: what the chain around it costs is ours.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Final

from contracts.cells import Cell, decode_boc, join_address
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator, open_emulator
from contracts.lite_messages import AccountState
from contracts.proofs import check_account, check_forward
from contracts.tl import decode, encode
from contracts.units import NanoTon
from contracts.wallet import Transfer, Wallet

TARGET_PER_CPU_S: Final = 500
START_UNIX_S: Final = 1_780_000_000
FRIEND: Final = join_address(0, b"\x0f" * 32)
COIN: Final = 10**9
CHECKS: Final = 200


def _cpu_s(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def _transfers(wallet: Wallet, count: int) -> list[bytes]:
    gift = Transfer(destination=FRIEND, value_nanoton=NanoTon(1000), bounce=False)
    return [wallet.transfer_message(seqno, [gift], START_UNIX_S + 10_000) for seqno in range(count)]


def _chain(emulator: Emulator, wallet: Wallet, *, real_blocks: bool) -> EmbeddedChain:
    chain = EmbeddedChain(emulator, unix_s=START_UNIX_S, real_blocks=real_blocks)
    chain.faucet(wallet.address, NanoTon(1000 * COIN))
    return chain


def _run(chain: EmbeddedChain, messages: list[bytes]) -> float:
    """Return transactions per processor second; a transfer is two of them."""

    def work() -> None:
        for message in messages:
            chain.send_external(message)

    return 2 * len(messages) / _cpu_s(work)


def _emulator_alone(emulator: Emulator, wallet: Wallet, messages: list[bytes]) -> float:
    """Return transactions per processor second of the emulator, on one account."""
    chain = _chain(emulator, wallet, real_blocks=False)
    account = chain.snapshot().shards[wallet.address]
    cells: list[Cell] = [decode_boc(message) for message in messages]

    def work() -> None:
        nonlocal account
        for number, cell in enumerate(cells):
            account = emulator.run_transaction(
                account, cell, now_unix_s=START_UNIX_S, lt=10**7 * (number + 1), seed=bytes(32)
            ).shard_account

    return len(cells) / _cpu_s(work)


def _proofs(chain: EmbeddedChain, wallet: Wallet) -> dict[str, float]:
    ledger = chain.ledger
    block = ledger.last.master.id
    answer = encode(ledger.account_state(block, wallet.address))
    link = ledger.block_proof(ledger.genesis.master_id, None).steps[0]

    def check() -> None:
        for _ in range(CHECKS):
            check_account(decode(answer, AccountState), block, wallet.address)

    def follow() -> None:
        for _ in range(CHECKS):
            check_forward(link, ledger.genesis.master_id)  # type: ignore[arg-type]  # it is one

    def prove() -> None:
        for _ in range(CHECKS):
            ledger.account_state(block, wallet.address)

    return {
        "account_proofs_checked_per_cpu_s": CHECKS / _cpu_s(check),
        "account_proofs_made_per_cpu_s": CHECKS / _cpu_s(prove),
        "links_of_one_signature_checked_per_cpu_s": CHECKS / _cpu_s(follow),
        "account_answer_bytes": len(answer),
    }


def measure(transfers: int) -> dict[str, float]:
    """Measure everything once."""
    opened: list[Emulator] = []
    start_s = _cpu_s(lambda: opened.append(open_emulator()))
    emulator, wallet = opened[0], Wallet(b"\x05" * 32)
    messages = _transfers(wallet, transfers)
    plain = _run(_chain(emulator, wallet, real_blocks=False), messages)
    real_chain = _chain(emulator, wallet, real_blocks=True)
    real = _run(real_chain, messages)
    alone = _emulator_alone(emulator, wallet, messages)
    return {
        "start_cpu_s": start_s,
        "emulator_alone_per_cpu_s": alone,
        "transactions_per_cpu_s": plain,
        "transactions_to_target": plain / TARGET_PER_CPU_S,
        "transactions_to_emulator": plain / alone,
        "transactions_with_real_blocks_per_cpu_s": real,
        **_proofs(real_chain, wallet),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Speed of the local chain and of proofs.")
    parser.add_argument("--transfers", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args()
    figures = {name: round(value, 3) for name, value in measure(parsed.transfers).items()}
    if parsed.json:
        text = json.dumps(figures)
    else:
        text = "\n".join(f"{name:45} {value:>12,}" for name, value in figures.items())
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
