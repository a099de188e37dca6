"""Private files appear whole or not at all, and leave no draft behind."""

import stat

import pytest

from overlay.private_file import create_private_file, replace_private_file


def test_the_first_file_stays_and_only_its_owner_can_read_it(tmp_path):
    path = tmp_path / "home" / "key"
    create_private_file(path, b"first")
    create_private_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_replaced_and_kept_when_that_fails(tmp_path):
    path = tmp_path / "state"
    for data in (b"old", b"new"):
        replace_private_file(path, data)
        assert path.read_bytes() == data
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        replace_private_file(tmp_path / "folder", b"x")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "state"]
