"""How fast channels are: ``python -m contracts.bench [--json]``.

Each figure is per second of CPU time of one core, so a busy machine does not spoil it, and
stands beside its target and beside a limit that was measured in the same run:

- `vouchers`: an update of a channel. The payer signs the new total and packs it; the payee
  unpacks and verifies it, and signs a receipt that the payer verifies: both signatures. The
  limit is libsodium alone, two signatures and two verifications.
- `devnet`: transactions of whole blocks on the embedded chain, by claims of a channel (the
  channel's, and the payee's). The limit is the emulator alone, on the same claim.

The durable side of a payee (a group commit before the answer) is measured by
``python -m cocoon.bench journal``.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Final

import msgspec
from nacl.signing import SigningKey

from contracts import channel, voucher
from contracts.cells import Cell, decode_boc
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator, open_emulator
from contracts.rehearsal import COIN, PAYEE_SEED, PAYER_SEED, Rehearsal, public_key
from contracts.units import NanoTon
from contracts.voucher import ChannelRef

TARGETS: Final = {"vouchers": 5000, "devnet": 500}
_STEP: Final = channel.CLAIM_NANOTON_SURE
_REF: Final = ChannelRef(-239, "0:" + "ab" * 32, 77)
_ROUND: Final = 50
_START_UNIX_S: Final = 1_780_000_000
_CLAIMS_PER_CHANNEL: Final = 400


class Figure(msgspec.Struct, frozen=True):
    """What was measured, per CPU-second of one core.

    Attributes:
        limit: the same without our code, and what that is.
        ratio: how much of the limit is left.
    """

    name: str
    per_cpu_s: float
    target: float
    limit: str
    limit_per_cpu_s: float
    ratio: float


class _Update(msgspec.Struct, frozen=True):
    total: int
    signature: bytes


def measure(emulator: Emulator, cpu_s: float) -> list[Figure]:
    """Measure everything, each part for *cpu_s* seconds of CPU time."""
    updates = _rate(_voucher_updates(), cpu_s)
    crypto = _rate(_signatures_alone(), cpu_s)
    transactions = 2 * _rate(_devnet_claims(emulator), cpu_s)
    emulated = _rate(_emulator_alone(emulator), cpu_s)
    return [
        _figure("vouchers", updates, "libsodium alone", crypto),
        _figure("devnet", transactions, "the emulator alone", emulated),
    ]


def _figure(name: str, rate: float, limit: str, limit_rate: float) -> Figure:
    ratio = round(rate / limit_rate, 3)
    return Figure(name, round(rate), TARGETS[name], limit, round(limit_rate), ratio)


def _rate(run: Callable[[], object], cpu_s: float) -> float:
    """Return how often *run* can be called in a second of CPU time."""
    run()
    started, done = time.process_time(), 0
    while (spent := time.process_time() - started) < cpu_s:
        for _ in range(_ROUND):
            run()
        done += _ROUND
    return done / spent


def _voucher_updates() -> Callable[[], None]:
    payer_key, payee_key = public_key(PAYER_SEED), public_key(PAYEE_SEED)
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Update)
    total = 0

    def update() -> None:
        nonlocal total
        total += 12_345
        amount = NanoTon(total)
        sent = encoder.encode(_Update(total, voucher.sign_voucher(PAYER_SEED, _REF, amount)))
        got = decoder.decode(sent)
        good = voucher.verify_voucher(payer_key, _REF, NanoTon(got.total), got.signature)
        receipt = voucher.sign_release(PAYEE_SEED, _REF, NanoTon(got.total))
        if not good or not voucher.verify_release(payee_key, _REF, amount, receipt):
            raise AssertionError("a good signature does not verify")

    return update


def _signatures_alone() -> Callable[[], None]:
    payer, payee = SigningKey(PAYER_SEED), SigningKey(PAYEE_SEED)
    digest = bytes(32)

    def sign_and_verify() -> None:
        payer.verify_key.verify(digest, payer.sign(digest).signature)
        payee.verify_key.verify(digest, payee.sign(digest).signature)

    return sign_and_verify


def _devnet_claims(emulator: Emulator) -> Callable[[], None]:
    rig, claims = _channel(emulator), 0
    opened = rig.chain.snapshot()
    ref, address = rig.ref, rig.address

    def claim() -> None:
        nonlocal claims
        if claims == _CLAIMS_PER_CHANNEL:
            rig.chain.restore(opened)
            claims = 0
        claims += 1
        total = NanoTon(claims * _STEP)
        body = channel.claim_body(total, voucher.sign_voucher(PAYER_SEED, ref, total))
        rig.chain.send_external(channel.external_message(address, body))

    return claim


def _channel(emulator: Emulator) -> Rehearsal:
    rig = Rehearsal(EmbeddedChain(emulator, unix_s=_START_UNIX_S))
    rig.open(2 * _CLAIMS_PER_CHANNEL * _STEP + COIN)
    return rig


def _emulator_alone(emulator: Emulator) -> Callable[[], object]:
    rig = _channel(emulator)
    shard = rig.chain.snapshot().shards[rig.address]
    message: Cell = decode_boc(channel.external_message(rig.address, rig.claim(COIN // 2)))
    lt = rig.chain.last_block.end_lt + 1

    def run() -> object:
        return emulator.run_transaction(
            shard, message, now_unix_s=_START_UNIX_S, lt=lt, seed=bytes(32)
        )

    return run


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m contracts.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--cpu-s", type=float, default=2.0, help="for each part (default 2)")
    options = parser.parse_args(arguments)
    figures = measure(open_emulator(), options.cpu_s)
    if options.json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(figures), indent=2) + "\n")
    else:
        for each in figures:
            sys.stdout.write(
                f"{each.name:10} {each.per_cpu_s:8.0f} per CPU-second, target {each.target:.0f}; "
                f"{each.ratio:.0%} of {each.limit} ({each.limit_per_cpu_s:.0f})\n"
            )
    return 0 if all(each.per_cpu_s >= each.target for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
