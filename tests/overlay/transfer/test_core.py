"""Two tallies agree on what is missing, wherever and however often they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay import PeerUnavailable, RemoteProtocolError
from overlay.transfer.core import Tally


def sent(*frames: bytes, kept_bytes_max: int = 1000) -> Tally:
    tally = Tally(kept_bytes_max)
    for frame in frames:
        tally.note_sent(frame)
    return tally


@given(st.data())
def test_every_frame_comes_once_and_in_order_wherever_the_cuts_are(data) -> None:
    frames = data.draw(st.lists(st.binary(min_size=1, max_size=9), max_size=30))
    sender, receiver, came = Tally(), Tally(), []
    waiting, on_its_way = list(frames), []
    while waiting or on_its_way:
        step = data.draw(st.sampled_from(["send", "arrive", "cut"]))
        if step == "send" and waiting:
            sender.note_sent(waiting[0])
            on_its_way.append(waiting.pop(0))
        elif step == "arrive" and on_its_way:
            came.append(on_its_way.pop(0))
            receiver.note_received()
        elif step == "cut":
            on_its_way = sender.rest(receiver.received)
    assert came == frames
    assert (sender.sent, receiver.received) == (len(frames), len(frames))


@given(st.lists(st.binary(max_size=20), max_size=40), st.integers(1, 50), st.integers(0, 50))
def test_what_is_kept_is_bounded_and_what_is_not_kept_is_said(frames, kept_bytes_max, came) -> None:
    tally = sent(*frames, kept_bytes_max=kept_bytes_max)
    kept = list(tally._kept)
    assert sum(map(len, kept)) <= kept_bytes_max or len(kept) == 1
    assert kept == frames[len(frames) - len(kept) :]
    try:
        assert tally.rest(came) == frames[came:]
        assert came >= len(frames) - len(kept)
    except RemoteProtocolError:
        assert came > len(frames)
    except PeerUnavailable:
        assert came < len(frames) - len(kept)


def test_a_peer_cannot_go_back_behind_what_it_said_had_come() -> None:
    tally = sent(b"a", b"b", b"c")
    assert tally.rest(2) == [b"c"]
    assert tally.rest(2) == [b"c"]
    with pytest.raises(PeerUnavailable, match="2 frames behind"):
        tally.rest(1)


def test_a_peer_cannot_have_received_what_was_never_sent() -> None:
    with pytest.raises(RemoteProtocolError) as error:
        sent(b"a").rest(2)
    assert error.value.penalty == 10
