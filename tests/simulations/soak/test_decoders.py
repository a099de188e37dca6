"""No stranger's bytes crash a reader of Cocoon or of its chain, or make it take much memory."""

import os
import random
from pathlib import Path

import msgspec
import pytest

from cocoon import messages
from cocoon.messages import Message, encode
from contracts import assets
from contracts.emulator import ASSET
from simulations.soak import damage, decoders
from simulations.soak.market_targets import market_targets
from simulations.soak.samples import sample, structs_below, variants
from simulations.soak.targets import Target

INPUTS = int(os.environ.get("COCOON_FUZZ_INPUTS", "8000"))


@pytest.fixture
def chain() -> None:
    directory = assets.assets_directory() / ASSET
    if missing := assets.missing_files(assets.pinned(ASSET), directory):
        pytest.skip(f"{missing} not in {directory}; run: cocoon assets fetch tests")


def test_no_damaged_input_crashes_a_reader(chain) -> None:
    rows = list(decoders.run(INPUTS))
    assert all(row.passed for row in rows), rows
    assert rows[0].values["understood"] > INPUTS / 50, "damage that nobody understands tests little"


def test_every_message_of_the_market_is_among_them(tmp_path) -> None:
    names = {target.name for target in market_targets(tmp_path)}
    declared = {
        name
        for name, kind in vars(messages).items()
        if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
    }
    assert declared <= {name.removeprefix("message ") for name in names}
    kinds = {type(each).__name__ for each in variants(messages.FromRequester)}
    assert {f"from a requester: {kind}" for kind in kinds} <= names


def test_what_is_made_from_a_type_is_valid(tmp_path) -> None:
    for kind in structs_below(Message):
        made = sample(kind)
        assert msgspec.msgpack.decode(encode(made), type=kind) == made


def planted(feed) -> list[Target]:
    return [Target("planted", feed, encode(sample(messages.Offer)), (ValueError,), damage.packed)]


def test_a_crash_is_reported_with_its_input() -> None:
    valid = planted(len)[0].valid

    def crash(data: bytes) -> None:
        if data != valid:
            raise KeyError("planted")

    with pytest.raises(KeyError) as caught:
        list(decoders.feed_all(planted(crash), 50, 1))
    assert "planted with" in caught.value.__notes__[0]


def test_one_input_that_takes_much_memory_is_noticed() -> None:
    greedy = planted(lambda data: bytes(20 << 20) if b"\xff\xff\xff\xff" in data else b"")
    memory, _ = decoders.feed_all(greedy, 400, 1)
    assert not memory.passed
    assert memory.values["peak_mib"] >= 20


def test_what_is_kept_is_noticed() -> None:
    kept: list[bytes] = []
    memory, _ = decoders.feed_all(planted(lambda data: kept.append(b"x" * (1 << 18))), 400, 1)
    assert not memory.passed


@pytest.mark.parametrize("kind", [damage.packed, damage.json, damage.cells, damage.lines])
def test_damage_never_fails_itself_and_repeats_with_its_seed(kind) -> None:
    from contracts.cells import Cell, encode_boc

    seeds = {
        damage.packed: encode(sample(messages.Offer)),
        damage.json: b'{"a": [1, {"b": "c"}], "d": 1.5}',
        damage.cells: encode_boc(Cell(5, 3, (Cell(1, 9), Cell(0, 0)))),
        damage.lines: b"a.b = 1\nc = 'd'",
    }
    one, two = random.Random(3), random.Random(3)  # noqa: S311  (it repeats itself)
    made = [kind(one, seeds[kind]) for _ in range(500)]
    assert made == [kind(two, seeds[kind]) for _ in range(500)]
    assert len(set(made)) > 200


def test_the_folder_of_a_run_is_gone_afterwards(chain, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    list(decoders.run(300))
    assert not list(Path(tmp_path).iterdir())
