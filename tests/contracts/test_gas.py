import json

import msgspec
import pytest

from contracts import channel, gas
from contracts.emulator import Emulator
from contracts.rehearsal import Step


def test_every_step_costs_exactly_what_the_table_says(emulator: Emulator) -> None:
    """After a wanted change: ``python -m contracts.gas --write``."""
    expected = msgspec.json.decode(gas.TABLE.read_bytes(), type=gas.GasTable)
    assert gas.measure(emulator) == expected


def stored() -> gas.GasTable:
    return msgspec.json.decode(gas.TABLE.read_bytes(), type=gas.GasTable)


def test_the_table_keeps_the_limits() -> None:
    assert gas.above_limits(stored()) == []


def test_a_step_above_its_limit_is_named() -> None:
    table = stored()
    dear = {**table.steps, "finish": Step(gas=3401, fees_nanoton=0)}
    over = gas.above_limits(msgspec.structs.replace(table, steps=dear, code_cells=17))
    assert over == ["finish: 3401 gas, limit 3400", "code: 17 cells, limit 16"]


def test_the_command_prints_each_figure_beside_its_limit(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gas, "open_emulator", lambda: emulator)
    assert gas.main(["--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["steps"]["finish"]["gas"] <= shown["steps"]["finish"]["gas_limit"] == 3400
    monkeypatch.setitem(gas.GAS_LIMITS, "finish", 3000)
    assert gas.main([]) == 1
    assert "finish" in capsys.readouterr().err


def test_the_constants_cover_what_was_measured() -> None:
    table = stored()
    assert table.rent_nanoton_per_year <= channel.RENT_NANOTON
    exits = table.steps["start_close"].fees_nanoton + table.steps["finish"].fees_nanoton
    assert table.rent_nanoton_per_year + exits <= channel.RESERVE_NANOTON
    assert table.steps["open"].fees_nanoton <= channel.OPEN_FEE_NANOTON
    assert max(step.fees_nanoton for step in table.steps.values()) <= channel.MESSAGE_FEE_NANOTON
