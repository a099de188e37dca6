import os
import stat
from pathlib import Path

import pytest

from contracts.durable_file import create_private, write_atomically
from contracts.errors import LocalContractError


def test_an_atomic_write_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"old")
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(target, b"new")
    assert list(tmp_path.iterdir()) == [target]


def test_a_private_file_is_created_once(tmp_path: Path) -> None:
    target = tmp_path / "key"
    create_private(target, b"first")
    with pytest.raises(LocalContractError, match="exists"):
        create_private(target, b"second")
    assert target.read_bytes() == b"first"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("write", [write_atomically, create_private])
def test_the_content_is_on_the_disk_before_it_has_its_name_and_then_the_name(
    tmp_path: Path, write: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, synced = tmp_path / "file", list[tuple[bool, bool]]()

    def fsync(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), target.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write(target, b"data")
    assert synced == [(False, False), (True, True)]
