import base64
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidData, LocalContractError
from contracts.lite_config import (
    LiteServer,
    parse_global_config,
    read_global_config,
    recall_trusted,
    remember_trusted,
)


def b64(fill: int) -> str:
    return base64.b64encode(bytes([fill]) * 32).decode()


def written(**changes: object) -> dict:
    block = {"workchain": -1, "shard": -(1 << 63), "seqno": 0, "root_hash": b64(1)}
    block["file_hash"] = b64(2)
    server = {"ip": -2147483647, "port": 4443, "id": {"@type": "pub.ed25519", "key": b64(3)}}
    init = block | {"seqno": 77, "root_hash": b64(4)}
    validator = {"@type": "validator.config.global", "zero_state": block, "init_block": init}
    return {
        "@type": "config.global",
        "dht": {"ignored": True},
        "liteservers": [server, server | {"ip": 2130706433}],
        "validator": validator,
    } | changes


def test_a_global_configuration_is_read() -> None:
    config = parse_global_config(json.dumps(written()).encode())
    assert config.servers[0] == LiteServer("128.0.0.1", 4443, b"\x03" * 32)
    assert config.servers[1].host == "127.0.0.1"
    assert (config.trusted.seqno, config.trusted.root_hash) == (77, b"\x04" * 32)
    assert config.zero_state.seqno == 0


def test_without_an_init_block_the_zero_state_is_trusted() -> None:
    content = written()
    del content["validator"]["init_block"]
    config = parse_global_config(json.dumps(content).encode())
    assert config.trusted == config.zero_state


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b" " * (1 << 21),
        json.dumps(written(liteservers=[])).encode(),
        json.dumps(written(validator={})).encode(),
        json.dumps(written(liteservers=[{"ip": 0, "port": 0, "id": {"key": b64(1)}}])).encode(),
        json.dumps(written(liteservers=[{"ip": 0, "port": 1, "id": {"key": "A" * 44}}])).encode(),
        json.dumps(written()).replace('"workchain": -1', '"workchain": 0').encode(),
    ],
    ids=range(10),
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidData):
        parse_global_config(content)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LocalContractError, match="No such file"):
        read_global_config(tmp_path / "config.json")
    (tmp_path / "config.json").write_text(json.dumps(written()))
    assert read_global_config(tmp_path / "config.json").trusted.seqno == 77


def test_the_newest_key_block_is_remembered_for_its_own_network(tmp_path: Path) -> None:
    config = parse_global_config(json.dumps(written()).encode())
    path = tmp_path / "trusted.json"
    assert recall_trusted(path, config) == config.trusted
    newer = msgspec.structs.replace(config.trusted, seqno=99, root_hash=b"\x09" * 32)
    remember_trusted(path, config, newer)
    assert recall_trusted(path, config) == newer
    other = msgspec.structs.replace(
        config, zero_state=msgspec.structs.replace(config.zero_state, root_hash=bytes(32))
    )
    assert recall_trusted(path, other) == config.trusted
    fresher = msgspec.structs.replace(config, trusted=msgspec.structs.replace(newer, seqno=100))
    assert recall_trusted(path, fresher).seqno == 100
    path.write_bytes(b"\xff{")
    assert recall_trusted(path, config) == config.trusted


KEYS = st.sampled_from(["liteservers", "validator", "ip", "id"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(KEYS, each),
    max_leaves=12,
)


@given(JSON)
def test_no_json_does_more_than_be_refused(value: object) -> None:
    with pytest.raises(InvalidData):
        parse_global_config(json.dumps(value).encode())
