"""Quotes in few bytes: what a renewal stands for, and what becomes of those that come alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from offerings import offering, quote_of

from cocoon.directory import Directory
from cocoon.market.book import Flag, QuoteBook
from cocoon.market.load import Load
from cocoon.market.price import recompute
from cocoon.market.quotes import (
    FAREWELL_S,
    Offering,
    Quoter,
    change_s,
    reissue_s,
)
from cocoon.market.renewal import (
    RENEWALS_MAX,
    BasesRequest,
    QuoteRenewal,
    Renewer,
    base_id,
    expand,
    is_renewal,
)
from cocoon.messages import (
    Kind,
    Limits,
    Quote,
    Signed,
    decode,
    encode,
)
from cocoon.signing import sign
from overlay import generate_identity
from overlay.errors import RemoteProtocolError
from overlay.transport import Verdict

NETWORK = "test"
NOW = 1_800_000_000
SELLER = generate_identity()


def sold_by(seller=SELLER, *, model: int = 0, price: int = 160_000) -> Offering:
    limits = Limits(context_tokens=512)
    return offering(seller.peer_id, model=bytes([model]) * 32, price=price, limits=limits)


def quote(*, previous=None, now=NOW, free=3, load=None, sold=None) -> Quote:
    return quote_of(
        sold or sold_by(),
        previous=previous,
        load=load,
        slots=4,
        free=free,
        speed=45_000,
        now=now,
    )


class Market:
    """A directory and a clock."""

    def __init__(self) -> None:
        self.now = float(NOW)
        self.directory = Directory(None, NETWORK, lambda: self.now)

    def hear(self, message, seller=SELLER) -> Verdict:
        data = encode(message if isinstance(message, Signed) else sign(seller, NETWORK, message))
        return self.directory.hear(Kind.CHAT, seller.peer_id, data)

    def quotes(self) -> list[Quote]:
        book, now = self.directory.book, int(self.now)
        return [x.quote for one in book.classes(now) for x in book.candidates(one, now)]


def test_the_second_quote_is_a_renewal_of_a_sixth_of_the_size() -> None:
    renewer = Renewer()
    [full] = renewer.messages([first := quote()])
    [renewal] = renewer.messages([quote(previous=first, now=NOW + 15, free=2)])
    assert full == first
    assert isinstance(renewal, QuoteRenewal)
    assert len(encode(sign(SELLER, NETWORK, renewal))) <= 150
    assert 6 * len(encode(renewal)) < len(encode(full))


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 120), st.integers(0, 4), st.integers(0, 240_000), st.booleans()),
        max_size=60,
    )
)
def test_a_reader_of_renewals_knows_exactly_the_quotes_that_were_made(steps) -> None:
    renewer, reader, previous, now = Renewer(), Market(), None, NOW
    for passed_s, free, busy_ms, dearer in steps:
        now += passed_s
        load = Load(4, 60_000, busy_ms) if passed_s >= 60 else None
        sold = sold_by(price=160_000 + now % 7 if dearer else 160_000)
        previous = quote(previous=previous, now=now, free=free, load=load, sold=sold)
        reader.now = now
        for message in renewer.messages([previous]):
            signed = sign(SELLER, NETWORK, message)
            if is_renewal(signed.body):
                assert decode(QuoteRenewal, signed.body) == message
            assert reader.hear(signed) is Verdict.ACCEPT
        assert reader.quotes() == [previous]
        assert recompute(previous) == []


def test_new_terms_are_told_in_full_and_so_is_every_thirty_third_quote() -> None:
    renewer, made, full = Renewer(), quote(), []
    for number in range(RENEWALS_MAX + 2):
        [message] = renewer.messages([made])
        full += [number] if isinstance(message, Quote) else []
        made = quote(previous=made)
    assert full == [0, RENEWALS_MAX + 1]
    dearer = quote(previous=made, sold=sold_by(price=200_000))
    assert renewer.messages([dearer]) == [dearer]


def test_a_price_that_is_not_by_the_rule_cannot_be_renewed() -> None:
    renewer = Renewer()
    renewer.messages([first := quote()])
    lie = replace(quote(previous=first), level_ppm=3_000_000)
    assert renewer.messages([lie]) == [lie]


def test_the_quotes_of_several_models_go_in_one_message() -> None:
    renewer, reader = Renewer(), Market()
    sold = [sold_by(model=model) for model in range(5)]
    firsts = [quote(sold=each) for each in sold]
    for message in renewer.messages(firsts):
        assert reader.hear(message) is Verdict.ACCEPT
    seconds = [quote(previous=q, sold=s, now=NOW + 9) for q, s in zip(firsts, sold, strict=True)]
    [together] = renewer.messages(seconds)
    assert len(encode(sign(SELLER, NETWORK, together))) < 400
    reader.now += 9
    assert reader.hear(together) is Verdict.ACCEPT
    assert reader.quotes() == sorted(seconds, key=lambda each: each.resource_class)


def test_a_renewal_that_comes_before_its_full_quote_is_passed_on_and_waits_for_it() -> None:
    renewer, reader = Renewer(), Market()
    [full] = renewer.messages([first := quote()])
    [renewal] = renewer.messages([second := quote(previous=first, now=NOW + 1)])
    assert reader.hear(renewal) is Verdict.ACCEPT
    assert reader.quotes() == []
    assert reader.directory.take_lacking() == (base_id(encode(full)),)
    assert reader.hear(full) is Verdict.ACCEPT
    assert reader.quotes() == [second]


def test_a_newcomer_gets_the_full_quotes_that_it_asks_for_and_no_others() -> None:
    renewer, old, newcomer = Renewer(), Market(), Market()
    [full] = renewer.messages([first := quote()])
    old.hear(full)
    [renewal] = renewer.messages([second := quote(previous=first, now=NOW + 1)])
    newcomer.hear(renewal)
    asked = newcomer.directory.take_lacking()
    assert decode(BasesRequest, encode(BasesRequest(bases=asked))).bases == asked
    other = generate_identity()
    unasked = sign(other, NETWORK, quote(sold=sold_by(other)))
    newcomer.directory.hear_bases([*old.directory.bases(asked), unasked], asked)
    assert newcomer.quotes() == [second]


def test_old_renewals_change_nothing_whenever_they_come_again() -> None:
    renewer, reader, previous, sent = Renewer(), Market(), None, []
    for second in range(5):
        previous = quote(previous=previous, now=NOW + second, free=second % 4)
        sent += [sign(SELLER, NETWORK, each) for each in renewer.messages([previous])]
    for signed in sent:
        assert reader.hear(signed) is Verdict.ACCEPT
    for signed in reversed(sent):
        assert reader.hear(signed) is Verdict.IGNORE
    assert reader.quotes() == [previous]


def test_a_late_renewal_without_its_full_quote_is_not_passed_on() -> None:
    renewer, reader = Renewer(), Market()
    renewer.messages([first := quote()])
    [renewal] = renewer.messages([quote(previous=first)])
    reader.now += 61
    assert reader.hear(renewal) is Verdict.IGNORE
    assert reader.directory.take_lacking() == ()


def test_nobody_renews_the_quote_of_another() -> None:
    renewer, reader, thief = Renewer(), Market(), generate_identity()
    [full] = renewer.messages([first := quote()])
    reader.hear(full)
    [renewal] = renewer.messages([quote(previous=first, free=0)])
    assert reader.hear(renewal, thief) is Verdict.REJECT
    assert reader.quotes() == [first]


def test_two_renewals_under_one_number_are_kept_as_evidence_with_what_they_renew() -> None:
    reader, renewer = Market(), Renewer()
    [full] = renewer.messages([first := quote()])
    [one] = renewer.messages([quote(previous=first, free=1)])
    [two] = renewer.messages([quote(previous=first, free=2)])
    for message in (full, one, two):
        reader.hear(message)
    [listing] = reader.directory.book.candidates(first.resource_class, NOW)
    assert Flag.EQUIVOCATION in listing.flags
    [proof] = reader.directory.book.evidence
    assert proof.first_base == proof.second_base
    told = [decode(QuoteRenewal, each.body) for each in (proof.first, proof.second)]
    base = decode(Quote, proof.first_base.body)
    first_told, second_told = [expand(base, each, each.renewed[0]) for each in told]
    assert first_told.seq == second_told.seq
    assert first_told != second_told


def test_an_answer_to_a_newcomer_holds_the_full_quote_and_its_renewal() -> None:
    renewer, old, newcomer = Renewer(), Market(), Market()
    for message in renewer.messages([first := quote()]):
        old.hear(message)
    for message in renewer.messages([second := quote(previous=first)]):
        old.hear(message)
    answer = old.directory.book.snapshot(first.resource_class, now_unix_s=NOW)
    assert len(answer) == 2
    newcomer.directory.hear_answer(answer, first.resource_class)
    assert newcomer.quotes() == [second]


@given(st.binary(max_size=200))
def test_no_damaged_renewal_crashes_a_reader(tail: bytes) -> None:
    reader, renewer = Market(), Renewer()
    [full] = renewer.messages([first := quote()])
    reader.hear(full)
    [renewal] = renewer.messages([quote(previous=first)])
    body = encode(renewal)
    for damaged in (body[: len(tail)] + tail, body + tail, tail):
        try:
            decode(QuoteRenewal, damaged)
        except RemoteProtocolError:
            pass
        signed = Signed(body=damaged, signature=sign(SELLER, NETWORK, renewal).signature)
        reader.hear(signed)
    assert len(reader.directory.book) == 1


@pytest.mark.parametrize("crowd", [0, 10, 150, 1000, 10_000, 14_000])
def test_a_class_of_any_size_at_rest_sends_no_more_than_its_share(crowd: int) -> None:
    source, sent = Quoter([sold_by()], slots=4, now_ms=0), 0
    hours = 4
    for second in range(3600 * hours):
        sent += len(source.due(now_ms=1000 * second, now_unix_s=NOW + second, crowd=crowd))
        if second == 3600:
            sent = 0  # its price has come down to the floor: from now on it is at rest
    per_s = crowd * sent / (3600 * (hours - 1))
    assert per_s <= max(14.1, crowd / 15)


def test_a_change_waits_its_turn_in_a_large_market_and_is_then_told() -> None:
    crowd = 10_000
    source = Quoter([sold_by()], slots=1, now_ms=0)
    source.due(now_ms=0, now_unix_s=NOW, crowd=crowd)
    source.started(500)
    told = [
        second
        for second in range(1, reissue_s(crowd))
        for made in source.due(now_ms=1000 * second, now_unix_s=NOW + second, crowd=crowd)
        if made.free_slots == 0
    ]
    assert told[0] == change_s(crowd) == 200
    assert len(told) == 4, "the price moves, a step in each turn"


def test_a_provider_that_leaves_is_soon_out_of_the_book() -> None:
    source, renewer, reader = Quoter([sold_by()], slots=2, now_ms=0), Renewer(), Market()
    assert source.farewell(now_unix_s=NOW) == [], "it never quoted"
    for message in renewer.messages(source.due(now_ms=0, now_unix_s=NOW, crowd=10_000)):
        reader.hear(message)
    reader.now += 20
    [last] = source.farewell(now_unix_s=NOW + 20)
    [message] = renewer.messages([last])
    assert isinstance(message, QuoteRenewal)
    assert reader.hear(message) is Verdict.ACCEPT
    assert reader.quotes() == [last]
    assert last.free_slots == 0
    reader.now += FAREWELL_S
    assert reader.quotes() == []
    [back] = Quoter([sold_by()], slots=2, now_ms=0, restored=[last]).due(
        now_ms=0, now_unix_s=NOW + 40
    )
    assert back.seq == last.seq + 1
    assert back.free_slots == 2


def test_the_book_forgets_the_name_of_a_full_quote_with_its_listing() -> None:
    book, first = QuoteBook(), quote()
    signed = sign(SELLER, NETWORK, first)
    book.accept(signed, first, NOW)
    assert book.find_base(base_id(signed.body)) is not None
    book.drop_expired(NOW + 60)
    assert book.find_base(base_id(signed.body)) is None
