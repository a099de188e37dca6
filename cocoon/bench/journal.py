"""How many durable vouchers a second the disk allows: the payer's own code, no network."""

import os
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

import trio

from cocoon.bench.figures import JournalRate, Journals, Spread, spread
from cocoon.payments.channel import Opened
from cocoon.payments.durable import DurableLog
from cocoon.payments.journal import Journal
from cocoon.payments.ownership import public_key
from cocoon.payments.payer import PayerChannel
from cocoon.payments.payer_book import Channel, Happened, PayerBook, PayerRecord
from cocoon.payments.payer_store import PayerStore
from contracts.channel import ChannelParams
from contracts.units import NanoTon, parse_coins

VOUCHERS: Final = 400
CHANNELS: Final = (1, 8, 32)
FSYNCS: Final = 200
RECORD_BYTES: Final = 200
NETWORK_ID: Final = -3
DEPOSIT: Final = parse_coins("1")


def _fsync_ms(path: Path) -> Spread:
    took_ms = []
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            began_s = perf_counter()
            file.write(bytes(RECORD_BYTES))
            os.fsync(file.fileno())
            took_ms.append(1000 * (perf_counter() - began_s))
    return spread(took_ms)


def _channel(number: int) -> Channel:
    """Return an open channel; no chain has it, and none is asked."""
    seed = number.to_bytes(32, "big")
    address = f"0:{number:064x}"
    params = ChannelParams(
        payer_key=public_key(seed),
        payer_address=address,
        payee_key=public_key(seed),
        payee_address=address,
        challenge_s=600,
        open_by_unix_s=0,
        salt=number,
    )
    return Channel(address=address, params=params, seed=seed, deposit=DEPOSIT)


async def _pay(channel: PayerChannel, vouchers: int, took_ms: list[float]) -> None:
    for number in range(1, vouchers + 1):
        began_s = perf_counter()
        await channel.pay(NanoTon(number), "job")
        took_ms.append(1000 * (perf_counter() - began_s))


async def _rate(directory: Path, channels: int) -> JournalRate:
    took_ms: list[float] = []
    path = directory / f"payer-{channels}.journal"
    with await trio.to_thread.run_sync(partial(Journal[PayerRecord], path, PayerRecord)) as journal:
        book = PayerBook()
        store = PayerStore(book, DurableLog(journal, book))
        opened = Opened(opened_lt=1, total_max=DEPOSIT)
        held = [_channel(number) for number in range(1, channels + 1)]
        for each in held:
            await store.record(each, Happened(address=each.address, event=opened))
        began_s = perf_counter()
        async with trio.open_nursery() as nursery:
            for each in held:
                paying = PayerChannel(store, NETWORK_ID, each.address)
                nursery.start_soon(_pay, paying, VOUCHERS // channels, took_ms)
        took_s = perf_counter() - began_s
    return JournalRate(channels, round(len(took_ms) / took_s, 1), spread(took_ms))


async def measure_journal(directory: Path) -> Journals:
    """Sign vouchers as fast as they can be made durable in *directory*."""
    bare = await trio.to_thread.run_sync(_fsync_ms, directory / "bare")
    payer = [await _rate(directory, channels) for channels in CHANNELS]
    return Journals(str(directory), bare, payer)
