"""What does not decode is refused by its type, wherever it comes from."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from contracts import devnet_file, keystore, lite_config, toncenter
from contracts._http import Answer
from contracts.decoding import decode_json, decode_msgpack
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.errors import ChainUnavailable, InvalidData

NO_UTF8 = b"\xff\xfe"
JSON = b'{"error": "%s"}' % NO_UTF8
PACKED = b"\x81\xa6format\xa2" + NO_UTF8
DEEP = b'{"error": ' + b"[" * 100_000

HOSTILE = pytest.mark.parametrize(
    "data", [b"", b"\xc1", NO_UTF8, JSON, PACKED, DEEP, b"\x91" * 10**5]
)


class _Said(msgspec.Struct):
    error: str = ""
    format: str = ""


def test_what_is_meant_is_decoded() -> None:
    assert decode_json(b'{"error": "no"}', _Said, "?").error == "no"
    assert decode_msgpack(b"\x81\xa6format\xa2no", _Said, "?").format == "no"


@HOSTILE
@pytest.mark.parametrize("decode", [decode_json, decode_msgpack])
@pytest.mark.parametrize("kind", [_Said, object])
def test_everything_else_is_refused_and_named(decode: Callable, kind: type, data: bytes) -> None:
    with pytest.raises(InvalidData, match=r"^not it: "):
        decode(data, kind, "not it")


def _toncenter(data: bytes, _path: Path, _emulator: Emulator) -> None:
    with pytest.raises(ChainUnavailable):
        toncenter._result(Answer(500, data), _Said)
    toncenter._result(Answer(200, data), _Said)


def _toncenter_result(data: bytes, _path: Path, _emulator: Emulator) -> None:
    toncenter._result(Answer(200, b'{"ok": true, "result": ' + data + b"}"), _Said)


READERS = {
    "key file": lambda _data, path, _emulator: keystore.read_public(path),
    "global configuration": lambda data, _path, _emulator: lite_config.parse_global_config(data),
    "snapshot": lambda data, _path, _emulator: devnet_file.Kept(1, 1, data).open(),
    "devnet": lambda _data, path, emulator: devnet_file.read_devnet(emulator, path),
    "chain": lambda _data, path, emulator: EmbeddedChain.load(emulator, path),
    "toncenter": _toncenter,
    "toncenter's result": _toncenter_result,
}


@HOSTILE
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_what_does_not_decode(
    reader: str, data: bytes, tmp_path: Path, emulator: Emulator
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InvalidData):
        READERS[reader](data, path, emulator)


@HOSTILE
def test_a_damaged_memory_of_trust_is_as_good_as_none(data: bytes, tmp_path: Path) -> None:
    zero = lite_config._block(lite_config._Block("A" * 43 + "=", "A" * 43 + "="))
    config = lite_config.LiteConfig(servers=(), trusted=zero, zero_state=zero)
    (tmp_path / "trusted").write_bytes(data)
    assert lite_config.recall_trusted(tmp_path / "trusted", config) == zero
