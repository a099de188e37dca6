import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime as wt
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import _emscripten, assets, emulator, tlb
from contracts.cells import EMPTY, Builder, Cell, decode_boc, encode_boc
from contracts.config import with_network_id
from contracts.embedded import EmbeddedChain
from contracts.emulator import ASSET, Emulator, open_emulator
from contracts.errors import (
    ChainUnavailable,
    ContractError,
    InvalidData,
    LocalContractError,
    MessageRejected,
)
from contracts.rehearsal import COIN, STRANGER, Rehearsal

NO_ACCOUNT = base64.b64encode(encode_boc(tlb.NO_ACCOUNT)).decode()


def run(engine: Emulator, message: Cell, shard: str = NO_ACCOUNT) -> emulator.Emulated:
    return engine.run_transaction(shard, message, now_unix_s=1_780_000_000, lt=5, seed=bytes(32))


def gift() -> Cell:
    return tlb.internal_message(
        STRANGER, STRANGER, COIN, bounce=False, created_lt=0, created_unix_s=0
    )


def test_an_emulator_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalContractError, match="not installed"):
        open_emulator(tmp_path)


def test_the_compiled_module_is_cached_and_a_damaged_one_replaced(tmp_path: Path) -> None:
    """On a module of three bytes' work; the emulator's own takes seconds to compile."""
    engine = wt.Engine(wt.Config())
    wasm = bytes(wt.wat2wasm("(module)"))
    _emscripten._compiled(engine, wasm, tmp_path)
    (cached,) = tmp_path.iterdir()
    good, stamp = cached.read_bytes(), cached.stat().st_mtime_ns
    _emscripten._compiled(engine, wasm, tmp_path)
    assert cached.stat().st_mtime_ns == stamp
    cached.write_bytes(good[: len(good) // 2])
    _emscripten._compiled(engine, wasm, tmp_path)
    assert cached.read_bytes() == good
    assert list(tmp_path.iterdir()) == [cached]


def test_the_same_message_gives_the_same_transaction(emulator: Emulator) -> None:
    assert run(emulator, gift()) == run(emulator, gift())


def test_what_is_no_account_is_refused(emulator: Emulator) -> None:
    nonsense = base64.b64encode(encode_boc(EMPTY)).decode()
    with pytest.raises(ContractError):
        run(emulator, gift(), nonsense)
    assert run(emulator, gift())


def test_what_is_no_message_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ContractError):
        run(emulator, EMPTY)
    assert run(emulator, gift())


@given(st.binary(max_size=120))
@settings(max_examples=60)
def test_random_messages_never_break_the_emulator(emulator: Emulator, data: bytes) -> None:
    try:
        run(emulator, Builder().raw(data).end())
    except ContractError:
        pass
    assert run(emulator, gift())


def nested(depth: int) -> Cell:
    cell = EMPTY
    for number in range(depth):
        cell = Cell(number, 10, (cell,))
    return cell


def test_deep_messages_cannot_overflow_the_emulators_stack(emulator: Emulator) -> None:
    chain = EmbeddedChain(emulator, unix_s=1_780_000_000)
    rig = Rehearsal(chain)
    rig.open()
    before = rig.state
    with pytest.raises(InvalidData, match="deeper"):
        rig.external(encode_boc(nested(300)))
    with pytest.raises(MessageRejected):
        rig.external(encode_boc(nested(200)))
    for depth in (200, 300, 500):
        rig.internal(COIN, encode_boc(nested(depth)))
        assert chain.supply() == chain.minted_nanoton
    assert rig.state == before


def test_a_trap_is_reported_and_survived(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Address 1 is no emulator: the module runs into a wall, the next call works."""
    good = emulator._emulator
    monkeypatch.setattr(emulator, "_emulator", 0xFFFFFFF0)
    with pytest.raises(ChainUnavailable, match="trapped"):
        run(emulator, gift())
    assert good
    assert run(emulator, gift())


def config(require: Callable[[str], None]) -> Cell:
    require(ASSET)
    directory = assets.assets_directory() / ASSET
    return decode_boc(assets.read_asset(assets.pinned(ASSET), directory, "config.boc"))


def test_only_the_network_id_of_the_configuration_is_changed(
    require_asset: Callable[[str], None],
) -> None:
    original = config(require_asset)
    changed = with_network_id(original, -3)
    assert changed != original
    assert with_network_id(changed, -239) == original


def test_a_configuration_without_a_network_id_is_refused() -> None:
    with pytest.raises(InvalidData):
        with_network_id(Builder().uint(0b10, 2).uint(0, 6).ref(EMPTY).ref(EMPTY).end(), 1)


def test_pins_are_json_that_other_tools_can_read() -> None:
    pins = json.loads(Path(assets.__file__).with_name("assets.json").read_text())
    assert {"name", "package", "version", "sha256"} <= set(pins[0])
