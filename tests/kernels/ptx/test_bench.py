"""The benchmark's kernels are right, in every mode, and so is their peer in C."""

import json

import pytest

from kernels.device import probe_ptx
from kernels.ptx import Mode
from kernels.ptx.bench import __main__ as bench
from kernels.ptx.bench.cases import cases

pytestmark = pytest.mark.skipif(bool(probe_ptx()), reason="; ".join(probe_ptx()))


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    def best_s(work, seconds=0.0) -> float:
        work()
        return 1e-3

    monkeypatch.setattr(bench, "best_s", best_s)
    monkeypatch.setattr(bench, "cases", lambda _size: cases(10_007))


@pytest.mark.parametrize("mode", [Mode.STRICT, Mode.MASKED])
def test_every_kernel_of_the_benchmark_is_right(mode: Mode) -> None:
    rows = bench.measure(mode, [])
    assert [row["kernel"] for row in rows] == [each.name for each in cases(10_007)]
    assert all(row["ptx_ms"] == 1 for row in rows)


def test_the_benchmark_prints_a_table_and_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for extra in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", ["bench", "--kernel", "vadd", "--mode", "masked", *extra])
        assert bench.main() == 0
    table, _, data = capsys.readouterr().out.partition("[")
    assert "vadd" in table
    assert json.loads("[" + data)[0]["kernel"] == "vadd"


def test_a_wrong_result_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    (first, *_) = cases(10_007)
    wrong = type(first)(**{**vars(first), "wanted": (first.wanted[0] + 1,)})
    monkeypatch.setattr(bench, "cases", lambda _size: (wrong,))
    with pytest.raises(bench.KernelError, match="vadd: the PTX route"):
        bench.measure(Mode.MASKED, [])
