"""How fast the exact engine is: events a CPU-second, on the pure cores and on whole scenarios.

``python -m simulations.exact.speed [--json]``. Three figures, in one process and one run:

* `queue`: the event queue alone, against `heapq` with bare tuples (the limit of pure Python);
* `cores`: the queue driving the payment and metering cores of paid jobs (`Payer`, `Payee`,
  `Lease`, `MeterWatch`) without signatures, encoding and disks, which are C libraries' time;
* `market`: `examples/market_faults.toml` as it is, with every signature, record and journal.
"""

import argparse
import heapq
import json
import sys
import time
from pathlib import Path
from typing import Final

from cocoon.messages import Kind, Limits, Meter, OutputPiece, PriceSchedule
from cocoon.payments.channel import (
    ChannelSeen,
    GrantWork,
    JobStarted,
    Opened,
    Payee,
    Payer,
    SignRequested,
    SignVoucher,
    VoucherReceived,
)
from cocoon.provider.lease import Lease
from cocoon.requester.meter import MeterWatch
from contracts.units import NO_MONEY, NanoTon
from simulations.exact.events import EventQueue
from simulations.exact.run import simulate
from simulations.scenario import load

PENDING: Final = 1000
EVENTS: Final = 300_000
DEPOSIT: Final = NanoTon(10**15)
PRICES: Final = PriceSchedule(prompt_token=40_000, output_token=160_000)
CHUNK_TOKENS: Final = 16
PIECE_TOKENS: Final = 4
PROMPT_TOKENS: Final = 100
TOKENS_MAX: Final = 1 << 30
SEEDS: Final = 4
_SIGNATURE: Final = bytes(64)


class PaidJob:
    """One endless job: pieces one way, vouchers the other, each an event of its own."""

    def __init__(self, events: EventQueue, delay_us: int) -> None:
        self._events, self._delay_us = events, delay_us
        limits = Limits(chunk_tokens=CHUNK_TOKENS)
        self.lease = Lease(Kind.CHAT, PRICES, limits)
        self.watch = MeterWatch(
            kind=Kind.CHAT,
            schedule=PRICES,
            limits=limits,
            prompt_tokens_max=PROMPT_TOKENS,
            output_tokens_max=TOKENS_MAX,
            audio_ms_max=0,
        )
        self.payer, _ = Payer().step(Opened(opened_lt=1, total_max=DEPOSIT))
        self.payer, _ = self.payer.step(JobStarted(job_id="j", provider="p"))
        seen = ChannelSeen(
            opened_lt=1, total_max=DEPOSIT, paid_total=NO_MONEY, close_at_unix_s=0, lt=1
        )
        self.payee, _ = Payee().step(seen)
        self._tokens = 0

    def produce(self) -> None:
        """The provider sends a piece, if it may."""
        if not self.lease.room():
            return
        ids = tuple(range(PIECE_TOKENS))
        self._tokens += PIECE_TOKENS
        meter = Meter(prompt_tokens=PROMPT_TOKENS, output_tokens=self._tokens)
        self.lease.record_sent(meter)
        self._events.after(self._delay_us, self.receive, OutputPiece(meter=meter, token_ids=ids))
        self._events.after(self._delay_us // 2, self.produce)

    def receive(self, piece: OutputPiece) -> None:
        """The requester checks the meter, and signs when something is due."""
        self.watch.receive(piece)
        due = self.watch.take_due(ended=False)
        if due is None:
            return
        self.payer, effects = self.payer.step(SignRequested(job_id="j", total=due))
        for effect in effects:
            if isinstance(effect, SignVoucher):
                self._events.after(self._delay_us, self.take_voucher, effect.total)

    def take_voucher(self, total: NanoTon) -> None:
        """The provider takes the voucher, and goes on."""
        event = VoucherReceived(total=total, signature=_SIGNATURE)
        self.payee, effects = self.payee.step(event)
        for effect in effects:
            if isinstance(effect, GrantWork):
                self.lease.record_paid(effect.total)
                self.produce()


def cores_per_s() -> float:
    """Return events a CPU-second with the cores of paid jobs."""
    events = EventQueue()
    for number in range(PENDING):
        events.after(number, PaidJob(events, 1000 + number % 97).produce)
    started_s = time.process_time()
    while events.handled < EVENTS:
        events.run(events.now_us + 1000)
    return events.handled / (time.process_time() - started_s)


def queue_per_s() -> float:
    """Return events a CPU-second of the queue alone."""
    events = EventQueue()

    def again(number: int) -> None:
        events.after(1000 + number % 97, again, number)

    for number in range(PENDING):
        events.after(number, again, number)
    started_s = time.process_time()
    while events.handled < EVENTS:
        events.run(events.now_us + 1000)
    return events.handled / (time.process_time() - started_s)


def heapq_per_s() -> float:
    """Return the same for `heapq` with bare tuples and no calls."""
    heap = [(number, number) for number in range(PENDING)]
    started_s = time.process_time()
    for _ in range(EVENTS):
        now_us, number = heap[0]
        heapq.heapreplace(heap, (now_us + 1000 + number % 97, number))
    return EVENTS / (time.process_time() - started_s)


def market_per_s(scenario: Path) -> float:
    """Return events a CPU-second of the whole market with faults."""
    loaded = load(scenario)
    started_s, events = time.process_time(), 0
    for seed in range(1, SEEDS + 1):
        events += int(simulate(loaded, seed).summary["events"])
    return events / (time.process_time() - started_s)


def measure() -> dict[str, float]:
    """Return all figures, in events a CPU-second."""
    found = {
        "heapq_per_cpu_s": heapq_per_s(),
        "queue_per_cpu_s": queue_per_s(),
        "cores_per_cpu_s": cores_per_s(),
    }
    scenario = Path(__file__).parents[2] / "examples" / "market_faults.toml"
    if scenario.exists():
        found["market_per_cpu_s"] = market_per_s(scenario)
    return {name: round(value) for name, value in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m simulations.exact.speed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    found = measure()
    text = json.dumps(found, indent=2) if parser.parse_args().json else _table(found)
    sys.stdout.write(f"{text}\n")


def _table(found: dict[str, float]) -> str:
    peer = found["heapq_per_cpu_s"]
    lines = [f"{name:<20} {value:>12,}  {value / peer:6.1%}" for name, value in found.items()]
    return "\n".join(["events a CPU-second of one core, and beside bare heapq", *lines])


if __name__ == "__main__":
    main()
