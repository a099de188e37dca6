import json
from pathlib import Path

import pytest

from contracts.errors import InvalidData, LocalContractError
from contracts.keystore import create_keyfile, create_plain_keyfile, read_keyfile, read_public

SEED = bytes(range(32))
ADDRESS = "0:" + "ab" * 32


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "wallet.json"
    create_keyfile(path, SEED, "correct horse", address=ADDRESS)
    return path


def test_the_passphrase_opens_it_and_no_other_does(sealed: Path) -> None:
    assert read_keyfile(sealed, "correct horse") == SEED
    with pytest.raises(InvalidData, match="passphrase"):
        read_keyfile(sealed, "correct horses")
    with pytest.raises(LocalContractError, match="passphrase"):
        read_keyfile(sealed)


def test_a_passphrase_of_a_terminal_without_utf8_opens_it_too(tmp_path: Path) -> None:
    typed = b"caf\xe9".decode("utf-8", "surrogateescape")
    create_keyfile(tmp_path / "key", SEED, typed, address=ADDRESS)
    assert read_keyfile(tmp_path / "key", typed) == SEED


def test_the_key_is_not_in_a_sealed_file(sealed: Path) -> None:
    content = sealed.read_bytes()
    assert SEED not in content
    assert SEED.hex().encode() not in content
    assert json.loads(content)["encryption"] == "argon2id+aes-256-gcm"


def test_the_address_can_be_read_without_the_passphrase(sealed: Path) -> None:
    assert read_public(sealed).address == ADDRESS
    assert read_public(sealed).encrypted


@pytest.mark.parametrize("field", ["address", "seed", "nonce", "kdf"])
def test_a_changed_file_does_not_open(sealed: Path, tmp_path: Path, field: str) -> None:
    content = json.loads(sealed.read_bytes())
    if field == "kdf":
        content["kdf"]["passes"] = 4
    elif field == "address":
        content["address"] = "0:" + "cd" * 32
    else:
        content[field] = ("B" if content[field][0] == "A" else "A") + content[field][1:]
    path = tmp_path / "changed.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))
    with pytest.raises(InvalidData):
        read_keyfile(path, "correct horse")


def test_a_file_cannot_ask_for_weak_or_endless_derivation(sealed: Path, tmp_path: Path) -> None:
    for name, value in (("memory_kib", 8), ("memory_kib", 1 << 30), ("passes", 1)):
        content = json.loads(sealed.read_bytes())
        content["kdf"][name] = value
        path = tmp_path / f"{name}{value}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
        with pytest.raises(InvalidData, match=name):
            read_keyfile(path, "correct horse")


def test_a_key_in_the_clear_says_so(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    create_plain_keyfile(path, SEED, address=ADDRESS)
    assert json.loads(path.read_bytes())["encryption"] == "none"
    assert read_keyfile(path) == SEED
    assert not read_public(path).encrypted


def test_a_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    create_plain_keyfile(path, SEED, address=ADDRESS)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(LocalContractError, match="never overwritten"):
        create_plain_keyfile(path, bytes(32), address=ADDRESS)
    assert read_keyfile(path) == SEED
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    create_plain_keyfile(path, SEED, address=ADDRESS)
    path.chmod(0o640)
    with pytest.raises(LocalContractError, match="chmod"):
        read_keyfile(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 4000, b"x" * 10_000])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wallet.json"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(InvalidData):
        read_keyfile(path)
