"""A restarted provider goes on with its price and never uses a number twice."""

import stat

import pytest
from offerings import offering, quote_of

from cocoon.market.load import Load
from cocoon.market.quotes import Offering, Quoter
from cocoon.provider.kept_quotes import KeptQuotes
from overlay.identity import Identity

PEER = Identity(b"q" * 32).peer_id
NOW = 1_800_000_000


def sold(model: bytes = b"m" * 32, statement: bytes = b"s" * 32) -> Offering:
    return offering(PEER, model=model, statement=statement, price=1000)


def test_the_last_quote_of_each_class_is_kept(tmp_path):
    path = tmp_path / "quotes.bin"
    one, other = sold(), sold(b"n" * 32)
    first = quote_of(one)
    second, third = quote_of(one, previous=first), quote_of(other)
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
    of, busy = sold(), Load(1, 60_000, 60_000)
    dear = quote_of(of, previous=quote_of(of), load=busy)
    kept = KeptQuotes(tmp_path / "quotes.bin", PEER)
    kept.put(dear)
    restored = KeptQuotes(tmp_path / "quotes.bin", PEER).get(of.resource_class)
    renewed = sold(statement=b"t" * 32)
    quoter = Quoter([renewed], slots=1, now_ms=0, restored=restored)
    (following,) = quoter.due(now_ms=0, now_unix_s=NOW + 5)
    assert following.seq == dear.seq + 1
    assert following.level_ppm == dear.level_ppm != quote_of(of).level_ppm
    assert following.statement_id == b"t" * 32


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x81\xa6quotes\x91\x01"])
def test_a_damaged_file_starts_prices_afresh(damage, tmp_path, caplog):
    path = tmp_path / "quotes.bin"
    path.write_bytes(damage)
    assert KeptQuotes(path, PEER).get(sold().resource_class) == ()
    assert "prices start afresh" in caplog.text


def test_the_quotes_of_another_identity_are_not_ours(tmp_path):
    KeptQuotes(tmp_path / "quotes.bin", PEER).put(quote_of(sold()))
    stranger = Identity(b"x" * 32).peer_id
    assert KeptQuotes(tmp_path / "quotes.bin", stranger).get(sold().resource_class) == ()


def test_a_disk_that_refuses_is_told(tmp_path):
    kept = KeptQuotes(tmp_path / "missing" / "quotes.bin", PEER)
    with pytest.raises(OSError, match="No such file"):
        kept.put(quote_of(sold()))
