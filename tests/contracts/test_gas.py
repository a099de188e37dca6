import msgspec

from contracts import channel, gas
from contracts.emulator import Emulator

TARGETS = {
    "open": 2600,
    "top_up": 700,
    "claim": 4800,
    "close": 6300,
    "start_close": 3600,
    "finish": 3800,
}


def test_every_step_costs_exactly_what_the_table_says(emulator: Emulator) -> None:
    """After a wanted change: ``python -m contracts.gas --write``."""
    expected = msgspec.json.decode(gas.TABLE.read_bytes(), type=gas.GasTable)
    assert gas.measure(emulator) == expected


def test_the_table_keeps_the_targets() -> None:
    table = msgspec.json.decode(gas.TABLE.read_bytes(), type=gas.GasTable)
    over = {
        name: table.steps[name].gas for name in TARGETS if table.steps[name].gas > TARGETS[name]
    }
    assert not over


def test_the_constants_cover_what_was_measured() -> None:
    table = msgspec.json.decode(gas.TABLE.read_bytes(), type=gas.GasTable)
    assert table.rent_nanoton_per_year <= channel.RENT_NANOTON
    exits = table.steps["start_close"].fees_nanoton + table.steps["finish"].fees_nanoton
    assert table.rent_nanoton_per_year + exits <= channel.RESERVE_NANOTON
    assert table.steps["open"].fees_nanoton <= channel.OPEN_FEE_NANOTON
    assert max(step.fees_nanoton for step in table.steps.values()) <= channel.MESSAGE_FEE_NANOTON
