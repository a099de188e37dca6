"""What the tests of customers' kernels share."""

import pytest

from kernels.compile import find_nvrtc
from kernels.custom.confinement import can_confine


@pytest.fixture(scope="session")
def code_cache(tmp_path_factory):
    """A cache of compiled code for this run alone: nothing old is taken for new."""
    return tmp_path_factory.mktemp("code")


@pytest.fixture(scope="session")
def sandbox() -> None:
    """Skip, with the reason, where strangers' code cannot be compiled and confined."""
    if find_nvrtc() is None:
        pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc)")
    if missing := can_confine():
        pytest.skip(missing)
