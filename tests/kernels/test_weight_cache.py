import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kernels.models import weight_cache
from kernels.models.weight_cache import open_floats

SIZE = 5000


@pytest.fixture(autouse=True)
def small_blocks_are_cached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_cache, "CACHE_BYTES_MIN", 0)


class Filler:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, block: np.ndarray) -> None:
        self.calls += 1
        block[:] = np.arange(SIZE)


def test_the_second_worker_does_not_fill_again(tmp_path: Path) -> None:
    fill = Filler()
    blocks = [open_floats(SIZE, "ab", tmp_path, fill) for _ in range(2)]
    assert fill.calls == 1
    for block in blocks:
        assert np.array_equal(block, np.arange(SIZE))
        assert not block.flags.writeable
    assert not list(tmp_path.glob("*.partial"))


def test_other_content_gets_another_file(tmp_path: Path) -> None:
    fill = Filler()
    open_floats(SIZE, "ab", tmp_path, fill)
    open_floats(SIZE, "cd", tmp_path, fill)
    assert fill.calls == 2


@pytest.mark.parametrize("damage", ["truncate", "header"])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str) -> None:
    fill = Filler()
    open_floats(SIZE, "ab", tmp_path, fill)
    (path,) = tmp_path.glob("*.f32")
    data = path.read_bytes()
    path.write_bytes(data[:-4] if damage == "truncate" else b"x" + data[1:])
    assert np.array_equal(open_floats(SIZE, "ab", tmp_path, fill), np.arange(SIZE))
    assert fill.calls == 2


def test_a_failed_fill_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(block: np.ndarray) -> None:
        block[:10] = 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        open_floats(SIZE, "ab", tmp_path, fail)
    assert not list(tmp_path.glob("*.f32"))
    assert not list(tmp_path.glob("*.partial"))


def test_a_folder_that_cannot_be_made_costs_only_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    fill = Filler()
    block = open_floats(SIZE, "ab", tmp_path / "file" / "cache", fill)
    assert np.array_equal(block, np.arange(SIZE))


def test_workers_that_start_together_fill_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from kernels.models import weight_cache as w\n"
        "w.CACHE_BYTES_MIN = 0\n"
        "def fill(block):\n    print('filled'); time.sleep(0.5); block[:] = 3\n"
        "block = w.open_floats(5000, 'ab', Path(sys.argv[1]), fill)\n"
        "assert block.sum() == 15000\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    outputs = [worker.communicate(timeout=30)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert b"".join(outputs).count(b"filled") == 1
