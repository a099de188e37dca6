"""What a node remembers survives crashes and is never believed blindly."""

import os
import stat

import pytest

from overlay import LocalProtocolError, PeerId
from overlay.limits.standing import Standing
from overlay.storage import MAX_AGE_S, PEERS_MAX, Storage, full_addresses
from overlay.transport import PeerAddress

NOW = 1_800_000_000.0


def peer(number: int) -> PeerAddress:
    return PeerAddress(PeerId(f"peer{number}"), (f"/ip4/8.8.8.8/tcp/{number + 1}",))


def test_peers_come_back_latest_first_and_bounded(tmp_path) -> None:
    storage = Storage(tmp_path / "state")
    storage.save_peers([peer(1), peer(2)], NOW)
    storage.save_peers([peer(2)], NOW + 10)
    again = Storage(tmp_path / "state").load_peers(NOW + 20)
    assert [each.peer for each in again] == [peer(2), peer(1)]
    storage.save_peers([peer(number) for number in range(PEERS_MAX + 50)], NOW + 30)
    assert len(storage.load_peers(NOW + 30)) == PEERS_MAX
    assert storage.load_peers(NOW + 31 + MAX_AGE_S) == []
    storage.forget_peers()
    assert storage.load_peers(NOW) == []


def test_files_are_for_their_owner_only(tmp_path) -> None:
    storage = Storage(tmp_path / "state")
    storage.save_peers([peer(1)], NOW)
    storage.save_bans([Standing(ban_s=60).ban("x", "flood", NOW)])
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    for path in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in storage.load_bans()] == ["x"]


def test_a_directory_that_others_may_write_into_is_refused(tmp_path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(LocalProtocolError, match="chmod 700"):
        Storage(tmp_path / "open")


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"version":9,"peers":[]}', b"\xff" * 100, b"[" * 9999]
)
def test_a_damaged_file_is_put_aside(tmp_path, data, caplog) -> None:
    storage = Storage(tmp_path)
    (tmp_path / "peers.json").write_bytes(data)
    assert storage.load_peers(NOW) == []
    assert (tmp_path / "peers.damaged").read_bytes() == data
    assert "damaged" in caplog.text
    storage.save_peers([peer(1)], NOW)
    assert len(storage.load_peers(NOW)) == 1


def test_a_crash_while_saving_leaves_the_old_file(tmp_path, monkeypatch, caplog) -> None:
    storage = Storage(tmp_path)
    storage.save_peers([peer(1)], NOW)

    def crash(_descriptor: int) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, "fsync", crash)
    storage.save_peers([peer(2)], NOW)  # a memory is no reason to end a node
    assert "power cut" in caplog.text
    assert [each.peer for each in storage.load_peers(NOW)] == [peer(1)]
    assert [each.name for each in tmp_path.iterdir()] == ["peers.json"]


def test_addresses_are_ready_to_dial() -> None:
    assert full_addresses(peer(1)) == ["/ip4/8.8.8.8/tcp/2/p2p/peer1"]
