"""A restarted provider goes on with its price and never uses a number twice."""

import stat

import pytest

from cocoon.market.load import Load
from cocoon.market.quotes import Offering, PriceTerms, Quoter, make_quote
from cocoon.messages import Kind, Limits, ModelOnOffer, PriceSchedule, Tier
from cocoon.provider.kept_quotes import KeptQuotes
from overlay.identity import Identity

PEER = Identity(b"q" * 32).peer_id
NOW = 1_800_000_000


def offering(model: bytes = b"m" * 32, statement: bytes = b"s" * 32) -> Offering:
    return Offering(
        peer_id=PEER,
        statement_id=statement,
        model=ModelOnOffer(
            kind=Kind.CHAT, name="m", model_id=model, engine_id=bytes(32), limits=Limits()
        ),
        terms=PriceTerms(base=PriceSchedule(output_token=1000)),
        tier=Tier.OPEN,
    )


def quote(of: Offering, previous=None, load=None):
    return make_quote(
        of,
        previous=previous,
        load=load,
        slots=1,
        free_slots=1,
        speed_milli_per_s=1,
        now_unix_s=NOW,
    )


def test_the_last_quote_of_each_class_is_kept(tmp_path):
    path = tmp_path / "quotes.bin"
    one, other = offering(), offering(b"n" * 32)
    first = quote(one)
    second, third = quote(one, first), quote(other)
    kept = KeptQuotes(path, PEER)
    for each in (first, second, third):
        kept.put(each)
    again = KeptQuotes(path, PEER)
    assert again.get(one.resource_class) == (second,)
    assert again.get(other.resource_class) == (third,)
    assert again.get("chat/unknown") == ()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["quotes.bin"]


def test_a_quoter_goes_on_from_what_was_kept(tmp_path):
    of, busy = offering(), Load(1, 60_000, 60_000)
    dear = quote(of, quote(of), busy)
    kept = KeptQuotes(tmp_path / "quotes.bin", PEER)
    kept.put(dear)
    restored = KeptQuotes(tmp_path / "quotes.bin", PEER).get(of.resource_class)
    renewed = offering(statement=b"t" * 32)
    quoter = Quoter([renewed], slots=1, now_ms=0, restored=restored)
    (following,) = quoter.due(now_ms=0, now_unix_s=NOW + 5)
    assert following.seq == dear.seq + 1
    assert following.level_ppm == dear.level_ppm != quote(of).level_ppm
    assert following.statement_id == b"t" * 32


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x81\xa6quotes\x91\x01"])
def test_a_damaged_file_starts_prices_afresh(damage, tmp_path, caplog):
    path = tmp_path / "quotes.bin"
    path.write_bytes(damage)
    assert KeptQuotes(path, PEER).get(offering().resource_class) == ()
    assert "prices start afresh" in caplog.text


def test_the_quotes_of_another_identity_are_not_ours(tmp_path):
    KeptQuotes(tmp_path / "quotes.bin", PEER).put(quote(offering()))
    stranger = Identity(b"x" * 32).peer_id
    assert KeptQuotes(tmp_path / "quotes.bin", stranger).get(offering().resource_class) == ()


def test_a_disk_that_refuses_is_told(tmp_path):
    kept = KeptQuotes(tmp_path / "missing" / "quotes.bin", PEER)
    with pytest.raises(OSError, match="No such file"):
        kept.put(quote(offering()))
