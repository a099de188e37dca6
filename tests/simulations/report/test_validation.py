"""The comparison with published results holds at reduced size; so do the engines' own."""

import pytest

pytest.importorskip("numba")

from simulations.report import validation
from simulations.report.crosscheck import pair


@pytest.mark.parametrize("measure", validation.PUBLISHED, ids=lambda one: one.__name__)
def test_what_can_be_compared_agrees(measure) -> None:
    rows = measure(True)
    assert rows
    assert [(row.what, row.theirs, row.ours) for row in rows if row.agrees is False] == []
    assert all(row.why for row in rows if row.agrees is None), "says why it cannot be compared"


def test_the_exact_engine_and_the_model_end_at_the_same_price() -> None:
    one = pair("idle, load 0.2", exact_seeds=1, model_seeds=8)
    assert abs(one.gap.mean) <= 0.05 * one.exact.mean
    assert one.model.mean < 900_000, "the level did move"
