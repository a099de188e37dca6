"""kill -9 in the middle of paying: whatever left the process is on the disk."""

import subprocess
import sys
import time

import pytest

from cocoon.payments.journal import Journal
from cocoon.payments.payer_book import PayerBook, PayerRecord

PAY_FOR_EVER = """
import sys
from pathlib import Path
import trio
from cocoon.payments.channel import JobStarted, Opened
from cocoon.payments.durable import DurableLog
from cocoon.payments.journal import Journal
from cocoon.payments.ownership import public_key
from cocoon.payments.payer import PayerChannel
from cocoon.payments.payer_book import Channel, PayerBook, PayerRecord
from cocoon.payments.payer_store import PayerStore
from contracts.channel import ChannelParams

SEED, ACCOUNT = b"s" * 32, "0:" + "11" * 32

async def main():
    journal = Journal(Path(sys.argv[1]), PayerRecord)
    book = PayerBook(journal.records)
    # A small limit, so that compaction happens under way too.
    store = PayerStore(book, DurableLog(journal, book, compact_above_bytes=2000))
    params = ChannelParams(
        payer_key=public_key(SEED), payer_address=ACCOUNT, payee_key=b"p" * 32,
        payee_address=ACCOUNT, challenge_s=600, open_by_unix_s=1, salt=1,
    )
    channel = Channel(address=ACCOUNT, params=params, seed=SEED, deposit=10**9)
    await store.record(channel)
    await store.step(ACCOUNT, Opened(opened_lt=7, total_max=10**9))
    await store.step(ACCOUNT, JobStarted(job_id="job", provider="peer"))
    paying = PayerChannel(store, -3, ACCOUNT)
    for total in range(1, 10**9):
        voucher = await paying.pay(total, "job")
        print(voucher.total_nanoton, flush=True)

trio.run(main)
"""


@pytest.mark.parametrize("lives_s", [0.05, 0.2])
def test_no_voucher_leaves_before_it_is_on_the_disk(tmp_path, lives_s):
    path = tmp_path / "payer.journal"
    command = [sys.executable, "-c", PAY_FOR_EVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as payer:
        assert payer.stdout is not None
        first = payer.stdout.readline()
        time.sleep(lives_s)
        payer.kill()
        lines = (first + payer.stdout.read()).split("\n")
    last_that_left = int(lines[-2])
    with Journal[PayerRecord](path, PayerRecord) as journal:
        book = PayerBook(journal.records)
    (channel,) = book.channels.values()
    assert last_that_left <= channel.state.signed_total <= last_that_left + 1
    assert [record.job_id for record in book.interruptions() if hasattr(record, "job_id")] == [
        "job"
    ]
