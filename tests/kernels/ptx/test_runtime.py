"""The scheduler that ships is the one that is in the source."""

import ctypes
import importlib.util
import math
import re

import pytest

from kernels.ptx.arena import TOUCH_BYTES
from kernels.ptx.errors import FaultReason
from kernels.ptx.run import ACCESS_BYTES
from kernels.ptx.runtime import SCHEDULER
from kernels.ptx.runtime.__main__ import compiled, source_hash
from kernels.ptx.runtime_layout import ROWS, STOP_KINDS, Env, Stop

SOURCE = SCHEDULER.with_suffix(".c").read_text()
REMEDY = "run: python -m kernels.ptx.runtime (it needs the package ziglang)"


def test_the_llvm_text_was_made_from_this_source() -> None:
    assert source_hash() in SCHEDULER.read_text().splitlines()[0], REMEDY


def test_compiling_the_source_gives_the_llvm_text() -> None:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("the package ziglang is not installed")
    assert compiled() == SCHEDULER.read_text(), REMEDY


def enumeration(name: str) -> list[str]:
    text = re.search(rf"enum {name} {{(.*?)}};", SOURCE, re.DOTALL)[1]
    return [each.split("=")[0].strip().lower() for each in text.split(",") if each.strip()]


def test_numbers_are_the_same_in_c_and_in_python() -> None:
    assert enumeration("Kind") == list(STOP_KINDS)
    assert enumeration("Fault") == [each.name.lower() for each in FaultReason]
    assert [each.value for each in FaultReason] == list(range(1, len(FaultReason) + 1))


SIZES = {"u8": 1, "u32": 4, "i64": 8, "u64": 8, "Event": 8}


def fields(name: str) -> dict[str, int]:
    """Return the sizes of the fields of a structure; pointers have 8 bytes."""
    text = re.search(rf"typedef struct {name} {{(.*?)}} {name};", SOURCE, re.DOTALL)[1]
    found = {}
    for line in re.sub(r"//.*", "", text).split(";"):
        if match := re.match(r"\s*(?:struct )?(\w+)\s+(.*)", line, re.DOTALL):
            for item in match[2].split(","):
                count = math.prod(map(int, re.findall(r"\[(\d+)\]", item)))
                size = 8 if "*" in item else SIZES[match[1]]
                found[re.sub(r"[*\s]|\[.*", "", item)] = size * count
    return found


@pytest.mark.parametrize("structure", [Env, Stop])
def test_structures_are_the_same_in_c_and_in_python(structure: type[ctypes.Structure]) -> None:
    wanted = [(name, ctypes.sizeof(kind)) for name, kind in structure._fields_]
    assert list(fields(structure.__name__).items()) == wanted


def test_the_rows_and_the_races_have_the_sizes_that_python_allots() -> None:
    assert sum(fields("Event").values()) == SIZES["Event"]
    assert sum(fields("Access").values()) == ACCESS_BYTES
    assert sum(fields("Touch").values()) == TOUCH_BYTES
    used = re.search(r"Launch launch = {(.*?)};", SOURCE, re.DOTALL)[1].count("(u32 *)")
    assert used == len(ROWS)
