"""What our own jobs say of providers outlives a restart, and stays small."""

import pytest

from cocoon.market.match import Track
from cocoon.requester import tracks as module
from cocoon.requester.tracks import CHANNELS_MAX, COUNT_MAX, Tracks


def test_records_are_there_after_a_restart(tmp_path):
    path = tmp_path / "deep" / "tracks.json"
    tracks = Tracks(path)
    tracks.paid_through("ann", "0:aa")
    tracks.succeeded("ann", 8000)
    tracks.succeeded("ann", 4000)
    tracks.failed("bob")
    again = Tracks(path)
    assert again.view() == {"ann": Track(2, 0, 7000), "bob": Track(0, 1, 0)}
    assert again.provider_of("0:aa") == "ann"
    assert again.provider_of("0:bb") == ""
    assert again.with_receipts() == ["ann"]


def test_every_channel_to_a_provider_is_known_not_only_the_newest(tmp_path):
    path = tmp_path / "tracks.json"
    tracks = Tracks(path)
    for number in range(CHANNELS_MAX + 1):
        tracks.paid_through("ann", f"0:{number}")
    again = Tracks(path)
    assert again.provider_of(f"0:{CHANNELS_MAX}") == again.provider_of("0:1") == "ann"
    assert again.provider_of("0:0") == "", "there is a bound"


def test_a_file_of_an_earlier_version_is_read(tmp_path):
    path = tmp_path / "tracks.json"
    path.write_bytes(b'{"ann":{"jobs":1,"failures":0,"speed_milli_per_s":0,"channel":"0:aa"}}')
    tracks = Tracks(path)
    tracks.paid_through("ann", "0:bb")
    assert Tracks(path).provider_of("0:aa") == Tracks(path).provider_of("0:bb") == "ann"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"ann": {"jobs": "many"}}',
        b"\xff",
        b'{"\xff": {}}',
        b'{"ann": {"channel": ' + b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_forgotten_and_not_fatal(content, tmp_path):
    path = tmp_path / "tracks.json"
    path.write_bytes(content)
    tracks = Tracks(path)
    assert tracks.view() == {}
    tracks.failed("bob")
    assert Tracks(path).view()["bob"].failures == 1


def test_what_happened_long_ago_weighs_less(tmp_path):
    tracks = Tracks(tmp_path / "tracks.json")
    for _ in range(COUNT_MAX + 1):
        tracks.succeeded("ann", 1)
    assert tracks.view()["ann"].jobs == (COUNT_MAX + 1) // 2


def test_the_longest_unheard_of_are_forgotten_first(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PEERS_MAX", 3)
    tracks = Tracks(tmp_path / "tracks.json")
    for peer in ("a", "b", "c", "a", "d"):
        tracks.failed(peer)
    assert list(tracks.view()) == ["c", "a", "d"]
