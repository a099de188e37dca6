from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import ct2_bytes

from kernels.errors import InvalidModelFile, KernelError
from kernels.models.ct2 import open_ct2

VARIABLES = {
    "a/weight": np.arange(12, dtype=np.float16).reshape(3, 4),
    "b/bias": np.array([1.5, -2.0], np.float32),
    "heads": np.array(6, np.int8),
}
GOOD = ct2_bytes(VARIABLES)
ON_DISK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def opened(folder: Path, data: bytes):
    path = folder / "model.bin"
    path.write_bytes(data)
    return open_ct2(path)


def test_variables_come_back_as_written(tmp_path: Path) -> None:
    file = opened(tmp_path, GOOD)
    assert file.specification == "WhisperSpec"
    assert np.array_equal(file.floats("a/weight", 3, -1), VARIABLES["a/weight"].astype(np.float32))
    assert file.integer("heads", minimum=1, maximum=8) == 6


def test_a_wrong_shape_type_or_name_is_refused(tmp_path: Path) -> None:
    file = opened(tmp_path, GOOD)
    for name, shape in [("a/weight", (4, 3)), ("a/weight", (12,)), ("heads", ()), ("no", (1,))]:
        with pytest.raises(InvalidModelFile):
            file.floats(name, *shape)
    with pytest.raises(InvalidModelFile):
        file.integer("heads", minimum=7, maximum=8)
    with pytest.raises(InvalidModelFile):
        file.integer("b/bias", minimum=0, maximum=8)


def test_another_version_and_bytes_after_the_end_are_refused(tmp_path: Path) -> None:
    for data in (ct2_bytes(VARIABLES, version=5), GOOD + b"\0"):
        with pytest.raises(InvalidModelFile):
            opened(tmp_path, data)


@given(length=st.integers(1, len(GOOD) - 1))
@ON_DISK
def test_truncated_files_are_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(InvalidModelFile):
        opened(tmp_path, GOOD[:length])


@given(position=st.integers(0, len(GOOD)), damage=st.binary(min_size=1, max_size=8))
@ON_DISK
def test_corrupted_files_give_kernel_errors_or_work(
    tmp_path: Path, position: int, damage: bytes
) -> None:
    try:
        opened(tmp_path, GOOD[:position] + damage + GOOD[position + len(damage) :])
    except KernelError:
        return
