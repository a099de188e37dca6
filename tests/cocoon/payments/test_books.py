from hypothesis import given, settings
from hypothesis import strategies as st

from cocoon.payments.channel import (
    ChannelSeen,
    Gone,
    JobStarted,
    Lapsed,
    Opened,
    Settled,
    SignRequested,
    VoucherReceived,
)
from cocoon.payments.payee_book import Happened as PayeeHappened
from cocoon.payments.payee_book import Held, PayeeBook
from cocoon.payments.payer_book import (
    CLOSED_KEPT,
    Acknowledged,
    Channel,
    Happened,
    InterruptedJob,
    PayerBook,
)
from contracts.channel import ChannelParams

ADDRESSES = [f"0:{number:064x}" for number in range(3)]
PARAMS = ChannelParams(
    payer_key=b"k" * 32,
    payer_address=ADDRESSES[0],
    payee_key=b"p" * 32,
    payee_address=ADDRESSES[1],
    challenge_s=600,
    open_by_unix_s=1,
    salt=1,
)
addresses = st.sampled_from(ADDRESSES)
totals = st.integers(0, 120)

payer_events = st.one_of(
    st.just(Opened(opened_lt=7, total_max=100)),
    st.just(Lapsed()),
    st.builds(JobStarted, job_id=st.sampled_from(["a", "b"]), provider=st.just("p")),
    st.builds(SignRequested, job_id=st.sampled_from(["a", "b"]), total=totals),
    st.builds(Gone, paid=totals, refunded=totals, fees=totals),
)
payer_records = st.one_of(
    st.builds(
        Channel, address=addresses, params=st.just(PARAMS), seed=st.just(b"s" * 32), deposit=totals
    ),
    st.builds(Happened, address=addresses, event=payer_events),
    st.builds(Acknowledged, job_id=st.sampled_from(["a", "b"])),
)
payee_events = st.one_of(
    st.builds(
        ChannelSeen,
        opened_lt=st.just(7),
        total_max=totals,
        paid_total=totals,
        close_at_unix_s=st.just(0),
        lt=totals,
    ),
    st.builds(VoucherReceived, total=totals, signature=st.just(b"s")),
    st.builds(Settled, received=totals, lt=totals, gone=st.booleans()),
)
payee_records = st.one_of(
    st.builds(Held, address=addresses, payer_key=st.just(b"k"), payer_address=st.just("x")),
    st.builds(PayeeHappened, address=addresses, event=payee_events),
)


@given(st.lists(payer_records, max_size=40))
@settings(deadline=None)
def test_compaction_forgets_nothing_but_lapsed_channels(records):
    book = PayerBook(records)
    again = PayerBook(book.snapshot())
    live = {
        address: channel
        for address, channel in book.channels.items()
        if channel.state.phase.value != "lapsed"
    }
    assert again.channels == live
    assert again.interrupted == book.interrupted


@given(st.lists(payer_records, max_size=40))
@settings(deadline=None)
def test_after_a_start_no_job_runs_and_each_interruption_is_told_once(records):
    book = PayerBook(records)
    running = [each.state.job_id for each in book.channels.values() if each.state.job_id]
    written = list(book.interruptions())
    for record in written:
        book.apply(record)
    told = [record.job_id for record in written if isinstance(record, InterruptedJob)]
    assert told == running
    assert list(book.interruptions()) == []
    assert set(book.interrupted) == set(running)


@given(st.lists(payee_records, max_size=60))
@settings(deadline=None)
def test_compaction_keeps_the_payees_earnings_to_the_nanoton(records):
    book = PayeeBook(records)
    once = PayeeBook(book.snapshot())
    twice = PayeeBook(once.snapshot())
    assert book.earnings() == once.earnings() == twice.earnings()
    assert all(not held.state.gone for held in once.channels.values())


def test_the_list_of_closed_channels_stays_short():
    book = PayerBook()
    for number in range(CLOSED_KEPT + 20):
        address = f"0:{number:064x}"
        book.apply(Channel(address=address, params=PARAMS, seed=b"s" * 32, deposit=1))
        book.apply(Happened(address=address, event=Opened(opened_lt=7, total_max=1)))
        if number != 3:
            book.apply(Happened(address=address, event=Gone(paid=0, refunded=1, fees=0)))
    kept = PayerBook(book.snapshot()).channels
    assert len(kept) == CLOSED_KEPT + 1
    assert f"0:{3:064x}" in kept, "an open channel is never dropped"
