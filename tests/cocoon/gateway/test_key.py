"""The key is made once, is private, and only it opens the door."""

import stat

import pytest

from cocoon.errors import ConfigError
from cocoon.gateway.key import KEY_FILE, is_authorised, load_or_create_key


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    home = tmp_path / "home"
    key = load_or_create_key(home)
    assert load_or_create_key(home) == key
    assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == [KEY_FILE]
    assert load_or_create_key(tmp_path / "other") != key


def test_an_empty_key_file_is_refused(tmp_path):
    (tmp_path / KEY_FILE).write_text("\n")
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(ConfigError, match="empty"):
        load_or_create_key(tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_key_that_others_can_read_or_change_is_refused(tmp_path, mode):
    load_or_create_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_or_create_key(tmp_path)


def test_only_the_key_itself_is_accepted():
    assert is_authorised("Bearer secret", "secret")
    assert is_authorised("bearer secret", "secret")
    for header in ("", "secret", "Bearer", "Bearer ", "Bearer secre", "Basic secret", "Bearer é"):
        assert not is_authorised(header, "secret")
