"""The node's key: made once, whole, and for its owner's eyes only."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from overlay import Identity, IdentityError, generate_identity, load_or_create_identity, verify
from overlay.errors import RemoteProtocolError


def test_the_same_file_gives_the_same_identity(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "node.key"
    first = load_or_create_identity(path)
    assert load_or_create_identity(path).peer_id == first.peer_id
    assert load_or_create_identity(path).seed == first.seed


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    previous = os.umask(0)
    try:
        load_or_create_identity(path)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["node.key"], "no temporary left"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_open_to_others_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "node.key"
    load_or_create_identity(path)
    path.chmod(mode)
    with pytest.raises(IdentityError, match=f"chmod 600 {path}"):
        load_or_create_identity(path)


@pytest.mark.parametrize("content", [b"", b"short", b"zz" * 32, b"\xff" * 64, b"00" * 33])
def test_a_broken_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(IdentityError):
        load_or_create_identity(path)
    assert path.read_bytes() == content


def test_a_crash_before_the_link_leaves_no_key(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "node.key"

    def crash(*_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="power cut"):
        patch.setattr(os, "link", crash)
        load_or_create_identity(path)
    assert not path.exists()
    load_or_create_identity(path)


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    with ThreadPoolExecutor(8) as pool:
        identities = list(pool.map(lambda _: load_or_create_identity(path), range(16)))
    assert len({each.peer_id for each in identities}) == 1


def test_signatures_bind_key_and_message() -> None:
    one, other = generate_identity(), generate_identity()
    signature = one.sign(b"message")
    assert len(signature) == 64
    assert verify(one.peer_id, b"message", signature)
    assert not verify(one.peer_id, b"another message", signature)
    assert not verify(other.peer_id, b"message", signature)
    assert not verify(one.peer_id, b"message", signature[:-1])
    with pytest.raises(RemoteProtocolError):
        verify("nonsense", b"message", signature)


def test_the_rfc_8032_test_vector() -> None:
    """Source: RFC 8032, section 7.1, test 2."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    identity = Identity(seed)
    assert identity.public_key.hex() == (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    assert identity.sign(b"\x72").hex().startswith("92a009a9f0d4cab8720e820b5f642540")


def test_the_seed_is_not_shown() -> None:
    identity = generate_identity()
    assert identity.seed.hex() not in repr(identity)
    with pytest.raises(IdentityError):
        Identity(b"short")
