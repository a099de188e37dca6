"""``python -m cocoon.payments.bench [--json]``: how fast vouchers are made, checked and kept.

Every figure stands beside a peer of the same run on the same machine:

- an update with both signatures (the payer signs, the payee verifies, both cores step, the
  message is encoded and decoded) beside bare Ed25519 signing and verifying;
- durable updates of many channels at once (group commit) beside one fsync for each voucher.

Rates without a disk are per second of processor time, those with one per second of the clock.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

import msgspec
import trio
from nacl.signing import SigningKey

from cocoon.messages import VoucherMessage, decode, encode
from cocoon.payments.channel import (
    JobStarted,
    Opened,
    Payee,
    Payer,
    Phase,
    SignRequested,
    VoucherReceived,
)
from cocoon.payments.durable import DurableLog
from cocoon.payments.journal import Journal
from cocoon.payments.ownership import public_key
from cocoon.payments.payee_book import Held, PayeeBook, PayeeRecord
from cocoon.payments.payee_store import PayeeStore
from cocoon.payments.payer import PayerChannel
from cocoon.payments.payer_book import Channel, Happened, PayerBook, PayerRecord
from cocoon.payments.payer_store import PayerStore
from contracts.channel import ChannelParams
from contracts.units import NanoTon, parse_coins
from contracts.voucher import ChannelRef, sign_voucher, verify_voucher

NETWORK_ID: Final = -3
DEPOSIT: Final = parse_coins("1")
JOB: Final = "job"
UPDATES_PER_CPU_S_MIN: Final = 5000
DURABLE_PER_S_MIN: Final = 1000


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured.

    Attributes:
        ed25519_per_cpu_s: signing and verifying 32 bytes, both, and nothing else.
        updates_per_cpu_s: whole updates, both sides, nothing on the disk.
        updates_of_ed25519: the one as a part of the other.
        plain_per_s: one side, one fsync for each voucher, one after another.
        durable_per_s: both sides in one process, so two journals, many channels at once.
        durable_of_plain: the one as a multiple of the other.
        durable_per_cpu_s: the same by processor time.
        channels: at once, in the durable run.
        disk: the directory that was written.
        load: of the machine, one minute, when the run ended.
        targets: whether each target of the issue was met in this run.
    """

    ed25519_per_cpu_s: int
    updates_per_cpu_s: int
    updates_of_ed25519: float
    plain_per_s: int
    durable_per_s: int
    durable_of_plain: float
    durable_per_cpu_s: int
    channels: int
    disk: str
    load: float
    targets: dict[str, bool]


def _params(number: int) -> ChannelParams:
    account = f"0:{number:064x}"
    return ChannelParams(
        payer_key=public_key(_seed(number)),
        payer_address=account,
        payee_key=public_key(_seed(number)),
        payee_address=account,
        challenge_s=600,
        open_by_unix_s=0,
        salt=number,
    )


def _seed(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _ref(number: int) -> ChannelRef:
    return ChannelRef(NETWORK_ID, f"0:{number:064x}", 1)


def _per_cpu_s(work: Callable[[int], object], times: int) -> float:
    began_s = process_time()
    for number in range(1, times + 1):
        work(number)
    return times / (process_time() - began_s)


def bare_signatures(times: int) -> float:
    """Return how often Ed25519 signs and verifies per CPU-second."""
    key = SigningKey(_seed(1))
    public = key.verify_key

    def both(number: int) -> None:
        data = number.to_bytes(32, "big")
        public.verify(data, key.sign(data).signature)

    return _per_cpu_s(both, times)


def updates(times: int) -> float:
    """Return how many updates both sides make per CPU-second, with nothing on the disk."""
    payer, _ = Payer(phase=Phase.OPEN, opened_lt=1, total_max=DEPOSIT).step(
        JobStarted(job_id=JOB, provider="peer")
    )
    payee, ref, key = Payee(opened_lt=1, total_max=DEPOSIT), _ref(1), public_key(_seed(1))

    def one(number: int) -> None:
        nonlocal payer, payee
        total = NanoTon(number)
        payer, _ = payer.step(SignRequested(job_id=JOB, total=total))
        signature = sign_voucher(_seed(1), ref, total)
        sent = encode(VoucherMessage(total_nanoton=total, signature=signature))
        came = decode(VoucherMessage, sent)
        if not verify_voucher(key, ref, NanoTon(came.total_nanoton), came.signature):
            raise AssertionError("our own voucher does not verify")
        payee, _ = payee.step(VoucherReceived(total=total, signature=came.signature))

    return _per_cpu_s(one, times)


def plain(directory: Path, times: int) -> float:
    """Return how many vouchers a second one journal keeps with an fsync for each."""
    with Journal[Any](directory / "plain.journal", PayerRecord) as journal:
        began_s = perf_counter()
        for number in range(1, times + 1):
            event = SignRequested(job_id=JOB, total=NanoTon(number))
            journal.append(Happened(address=_ref(1).address, event=event))
            sign_voucher(_seed(1), _ref(1), NanoTon(number))
        return times / (perf_counter() - began_s)


class Both:
    """Payer and payee with their journals, and no chain."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        paying: Journal[Any] = Journal(directory / "payer.journal", PayerRecord)
        paid: Journal[Any] = Journal(directory / "payee.journal", PayeeRecord)
        stack.enter_context(paying)
        stack.enter_context(paid)
        books = PayerBook(), PayeeBook()
        self.payer = PayerStore(books[0], DurableLog(paying, books[0]))
        self.payee = PayeeStore(books[1], DurableLog(paid, books[1]))

    async def open(self, number: int) -> Held:
        """Put one open channel into both journals."""
        params, address = _params(number), _ref(number).address
        channel = Channel(address=address, params=params, seed=_seed(number), deposit=DEPOSIT)
        opened = Opened(opened_lt=1, total_max=DEPOSIT)
        started = JobStarted(job_id=JOB, provider="peer")
        await self.payer.record(channel)
        await self.payer.step(address, opened, started)
        held = Held(
            address=address,
            payer_key=params.payer_key,
            payer_address=address,
            state=Payee(opened_lt=1, total_max=DEPOSIT),
        )
        await self.payee.hold(held)
        return held

    async def pay(self, held: Held, times: int) -> None:
        """Pay and be paid, each on the disk before the other goes on."""
        paying = PayerChannel(self.payer, NETWORK_ID, held.address)
        ref = ChannelRef(NETWORK_ID, held.address, 1)
        for number in range(1, times + 1):
            voucher = await paying.pay(NanoTon(number), JOB)
            total, signature = NanoTon(voucher.total_nanoton), voucher.signature
            if not verify_voucher(held.payer_key, ref, total, signature):
                raise AssertionError("our own voucher does not verify")
            await self.payee.step(held, VoucherReceived(total=total, signature=signature))


async def durable(directory: Path, *, channels: int, times: int) -> tuple[float, float]:
    """Return how many updates a second, and a CPU-second, are durable on both sides."""
    with ExitStack() as stack:
        both = Both(directory, stack)
        held = [await both.open(number) for number in range(1, channels + 1)]
        began_s, began_cpu_s = perf_counter(), process_time()
        async with trio.open_nursery() as nursery:
            for each in held:
                nursery.start_soon(both.pay, each, times)
        done = channels * times
        return done / (perf_counter() - began_s), done / (process_time() - began_cpu_s)


def measure(directory: Path, *, channels: int = 128, times: int = 40, bare: int = 8000) -> Report:
    """Run all of it in *directory*; takes a few seconds."""
    ed25519, whole = bare_signatures(bare), updates(bare)
    one_by_one = plain(directory, 300)
    per_s, per_cpu_s = trio.run(_durable, directory, channels, times)
    return Report(
        ed25519_per_cpu_s=round(ed25519),
        updates_per_cpu_s=round(whole),
        updates_of_ed25519=round(whole / ed25519, 3),
        plain_per_s=round(one_by_one),
        durable_per_s=round(per_s),
        durable_of_plain=round(per_s / one_by_one, 2),
        durable_per_cpu_s=round(per_cpu_s),
        channels=channels,
        disk=str(directory),
        load=round(os.getloadavg()[0], 2),
        targets={
            "updates_per_cpu_s": whole >= UPDATES_PER_CPU_S_MIN,
            "durable_per_s": per_s >= DURABLE_PER_S_MIN,
        },
    )


async def _durable(directory: Path, channels: int, times: int) -> tuple[float, float]:
    return await durable(directory, channels=channels, times=times)


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cocoon.payments.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--directory", type=Path, help="on the disk to measure (a temporary one)")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=parsed.directory) as directory:
        report = measure(Path(directory))
    fields = msgspec.to_builtins(report)
    if parsed.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        sys.stdout.writelines(f"{name:20} {value}\n" for name, value in fields.items())
    return 0


if __name__ == "__main__":
    sys.exit(main())
