"""What `cocoon explain` tells."""

import msgspec
from offerings import offering, quote_of

from cocoon.market.book import Listing
from cocoon.market.explain import HEADER, Explanation, explain, render
from cocoon.market.match import Loss, Track
from cocoon.market.sizes import JobSize
from cocoon.messages import (
    LossReason,
    Signed,
)

NOW = 1_800_000_000
SIZE = JobSize(output_tokens_max=100)


def listing(peer: str, price: int) -> Listing:
    quote = quote_of(offering(peer, price=price), speed=12_345)
    return Listing(
        signed=Signed(body=b"", signature=bytes(64)),
        base=Signed(body=b"", signature=bytes(64)),
        base_id=bytes(20),
        quote=quote,
        flags=frozenset(),
        reasons=(),
        stepped_at_unix_s=None,
        arrival=1,
        renewals=0,
        terms_changes=0,
    )


def example(**changes) -> Explanation:
    told = {
        "job_id": "j1",
        "now_unix_s": NOW,
        "resource_class": "chat/x",
        "candidates": [listing("p" * 50 + "loser", 2_000_000_000), listing("winner", 10**9)],
        "asked": ["winner"],
        "losses": [Loss("p" * 50 + "loser", LossReason.NOT_ASKED, "2.00x the score of the best")],
        "winner": "winner",
        "size": SIZE,
        "tracks": {"winner": Track(jobs=10, speed_milli_per_s=20_000)},
    }
    return explain(**(told | changes))


def test_every_provider_has_a_line_and_the_winner_comes_first():
    first, second = example().providers
    assert (first.peer, first.outcome, first.asked) == ("winner", "won", True)
    assert (first.price_nanoton, first.speed_milli_per_s) == (98_000_000, 20_000)
    assert first.reliability_ppm == 950_000
    assert (second.outcome, second.asked) == ("not_asked", False)
    assert second.detail == "2.00x the score of the best"


def test_the_table_is_for_people():
    header, first, second = render(example())
    assert header == HEADER
    assert first == ("*", "winner", "0.098", "20.0", "95 %", "yes", "won")
    assert second == (
        "",
        "ppploser",
        "0.196",
        "12.3",
        "90 %",
        "no",
        "not asked: 2.00x the score of the best",
    )


def test_the_record_is_json_with_stable_keys_and_comes_back():
    data = msgspec.json.encode(example())
    assert msgspec.json.decode(data, type=Explanation) == example()
    assert sorted(msgspec.json.decode(data)) == [
        "at_unix_s",
        "job_id",
        "providers",
        "resource_class",
        "version",
    ]


def test_the_price_of_the_winner_is_the_agreed_one():
    assert example(agreed_nanoton=7).providers[0].price_nanoton == 7


def test_of_several_reasons_the_last_one_counts():
    losses = [
        Loss("winner", LossReason.NOT_DRAWN, "first"),
        Loss("winner", LossReason.DIED_MID_JOB, "after 3 tokens"),
    ]
    lines = {one.peer: one for one in example(winner=None, losses=losses).providers}
    assert (lines["winner"].outcome, lines["winner"].detail) == ("died_mid_job", "after 3 tokens")


def test_a_missing_reason_is_not_hidden():
    lines = {one.peer: one for one in example(winner=None, losses=[]).providers}
    assert lines["winner"].outcome == "unknown"
