"""The price step as a CUDA kernel, run on the processor, is the model's, bit for bit."""

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("llvmlite", reason="the extra `ptx` is not installed")

from kernels.compile import find_nvrtc
from simulations.models.market.price_card import step_levels_on_device
from simulations.models.market.price_rule import check_bounds, step_levels

pytestmark = pytest.mark.skipif(
    find_nvrtc() is None, reason="NVRTC is not installed (pip install nvidia-cuda-nvrtc)"
)
PROVIDERS = 4_000


def providers(seed: int) -> dict[str, np.ndarray]:
    """Return ordinary providers, and as many with the largest values that stay exact."""
    rng = np.random.default_rng(seed)
    half = PROVIDERS // 2
    slot_ms = np.concatenate(
        [rng.integers(1, 9, half) * 60_000, 2 ** rng.integers(0, 49, half, dtype=np.int64)]
    )
    top = np.concatenate([np.full(half, 4_000_000), np.full(half, 10**12)])
    floor_ppm, cap_ppm = np.sort(rng.integers(0, top, (2, PROVIDERS)), axis=0)
    return {
        "level_ppm": rng.integers(0, top),
        "busy_slot_ms": (slot_ms * rng.random(PROVIDERS) * 1.2).astype(np.int64),
        "slot_ms": slot_ms,
        "floor_ppm": floor_ppm,
        "cap_ppm": cap_ppm,
    }


@pytest.mark.parametrize(("elasticity_ppm", "step_max_ppm"), [(50_000, 20_000), (10**12, 10**6)])
def test_every_level_is_the_same(elasticity_ppm: int, step_max_ppm: int) -> None:
    arrays = providers(1)
    check_bounds(arrays["level_ppm"], arrays["busy_slot_ms"])
    before = {name: array.copy() for name, array in arrays.items()}
    found, device = step_levels_on_device(
        **arrays, elasticity_ppm=elasticity_ppm, step_max_ppm=step_max_ppm, device="cpu"
    )
    assert device == "cpu"
    assert all(np.array_equal(arrays[name], before[name]) for name in arrays)
    step_levels(*arrays.values(), elasticity_ppm, step_max_ppm)
    assert np.array_equal(found, arrays["level_ppm"])
    assert (found != before["level_ppm"]).mean() > 0.3, "most levels moved"


def test_arrays_of_several_lengths_are_refused() -> None:
    arrays = providers(1)
    arrays["cap_ppm"] = arrays["cap_ppm"][1:]
    with pytest.raises(ValueError, match="one length"):
        step_levels_on_device(**arrays, elasticity_ppm=1, step_max_ppm=1)
    with pytest.raises(ValueError, match="1 to 5,000,000"):
        step_levels_on_device(*(np.empty(0, np.int64),) * 5, 1, 1)
