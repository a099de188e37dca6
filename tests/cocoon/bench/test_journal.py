"""The journal benchmark does what it says: real vouchers, all of them on the disk."""

from cocoon.bench import journal
from cocoon.bench.journal import measure_journal
from cocoon.payments.channel import SignRequested
from cocoon.payments.journal import read_records
from cocoon.payments.payer_book import Happened, PayerRecord


async def test_every_voucher_that_is_counted_is_in_the_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "VOUCHERS", 12)
    monkeypatch.setattr(journal, "CHANNELS", (1, 4))
    monkeypatch.setattr(journal, "FSYNCS", 3)
    found = await measure_journal(tmp_path)
    assert [rate.channels for rate in found.payer] == [1, 4]
    for rate in found.payer:
        assert rate.vouchers_per_s > 0
        assert rate.append_ms.n == 12
        records = read_records(tmp_path / f"payer-{rate.channels}.journal", PayerRecord)
        events = [record.event for record in records if isinstance(record, Happened)]
        assert sum(isinstance(event, SignRequested) for event in events) == 12
