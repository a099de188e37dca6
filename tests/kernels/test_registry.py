"""The specs say what the CUDA sources say, and refuse launches that do not fit."""

import inspect
import re
from typing import Any

import pytest

from kernels.compile import SOURCES
from kernels.device import check_launch
from kernels.errors import LaunchError
from kernels.reference import REFERENCES
from kernels.registry import FAMILIES, kernel, kernel_names
from kernels.spec import Dtype, KernelSpec, Role

SIGNATURE = re.compile(
    r'extern "C" __global__ void\s+(?:__launch_bounds__\((\w+)(?:, \d+)?\)\s+)?(\w+)\(([^)]*)\)',
    re.DOTALL,
)
ELEMENTS = {
    "float": Dtype.F32,
    "float4": Dtype.F32,
    "int": Dtype.I32,
    "long long": Dtype.I64,
    "double": Dtype.F64,
    "signed char": Dtype.I8,
    "int4": Dtype.I8,
}
NORM = {"tokens": 2, "columns": 32, "epsilon": 1e-5}


class Memory:
    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes


def cuda_signatures() -> dict[str, tuple[str, str, list[str]]]:
    found = {}
    for family in FAMILIES:
        text = (SOURCES / f"{family}.cu").read_text()
        for bounds, name, parameters in SIGNATURE.findall(text):
            found[name] = (
                family,
                bounds,
                [" ".join(each.split()) for each in parameters.split(",")],
            )
    return found


def test_every_cuda_kernel_has_a_spec_and_every_spec_a_kernel() -> None:
    assert sorted(cuda_signatures()) == list(kernel_names())
    assert sorted(path.stem for path in SOURCES.glob("*.cu")) == list(FAMILIES)


@pytest.mark.parametrize("name", kernel_names())
def test_a_spec_has_the_parameters_of_the_cuda_source(name: str) -> None:
    spec = kernel(name)
    family, bounds, parameters = cuda_signatures()[name]
    assert family == spec.family
    assert not bounds.isdigit() or int(bounds) == spec.block[0]
    assert len(parameters) == len(spec.parameters)
    for text, parameter in zip(parameters, spec.parameters, strict=True):
        kind, _, parameter_name = text.replace("__restrict__ ", "").rpartition(" ")
        assert parameter_name == parameter.name
        assert ELEMENTS[kind.removeprefix("const ").removesuffix("*")] is parameter.dtype
        assert kind.endswith("*") == (parameter.role is not Role.SCALAR)
        assert kind.startswith("const ") == (parameter.role is Role.IN)


@pytest.mark.parametrize("name", kernel_names())
def test_a_reference_takes_the_arrays_of_its_kernel_in_order(name: str) -> None:
    spec = kernel(name)
    parameters = inspect.signature(REFERENCES[spec.reference]).parameters.values()
    arrays = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert arrays == [each.name for each in spec.arrays]


def test_a_buffer_that_is_a_byte_too_small_is_refused() -> None:
    spec = kernel("rms_norm")
    buffers = {"inputs": Memory(256), "weight": Memory(128), "outputs": Memory(256)}
    assert check_launch(spec, {**buffers, **NORM}).grid == (2, 1, 1)
    for name, buffer in buffers.items():
        small = {**buffers, name: Memory(buffer.size_bytes - 1)}
        with pytest.raises(LaunchError, match=name):
            check_launch(spec, {**small, **NORM})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": -1}, "tokens"),
        ({"tokens": 2**31}, "tokens"),
        ({"tokens": 2.0}, "tokens"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"epsilon": 1}, "epsilon"),
        ({"extra": 1}, "extra"),
        ({"tokens": True}, "tokens"),
        ({"tokens": 0}, "grid"),
        ({"outputs": 7}, "must be a buffer"),
    ],
)
def test_a_launch_with_wrong_scalars_is_refused(changes: dict[str, Any], message: str) -> None:
    buffers = {name: Memory(4096) for name in ("inputs", "weight", "outputs")}
    with pytest.raises(LaunchError, match=message):
        check_launch(kernel("rms_norm"), {**buffers, **NORM, **changes})


def test_a_missing_or_misspelt_argument_is_named() -> None:
    buffers = {name: Memory(4096) for name in ("inputs", "weight", "output")}
    for arguments in ({**buffers, **NORM}, NORM, {**NORM, **buffers, "outputs": Memory(4096)}):
        with pytest.raises(LaunchError, match="output"):
            check_launch(kernel("rms_norm"), arguments)


def test_sizes_that_the_kernel_cannot_do_are_refused() -> None:
    def trouble(spec: KernelSpec, **scalars: float) -> str:
        return spec.requires(scalars)

    sizes = {"heads": 9, "kv_heads": 3, "head_dim": 64, "context": 8, "tokens": 4, "slots": 1}
    attention = kernel("attention")
    assert trouble(attention, **sizes) == ""
    assert "kv_heads" in trouble(attention, **{**sizes, "kv_heads": 2})
    assert "kv_heads" in trouble(attention, **{**sizes, "kv_heads": 0})
    assert "head_dim" in trouble(attention, **{**sizes, "head_dim": 48})
    assert "head_dim" in trouble(attention, **{**sizes, "head_dim": 288})
    assert "chunks" in trouble(kernel("attention_split"), chunks=0, **sizes)
    full = {"heads": 2, "head_dim": 64, "positions": 3, "tokens": 4}
    assert "stride" in trouble(kernel("attention_full"), stride=127, **full)
    assert trouble(kernel("attention_full"), stride=128, **full) == ""
    assert "positions" in trouble(kernel("attention_full"), stride=128, **{**full, "positions": 0})
    assert "32" in trouble(kernel("matmul_q8_t1"), columns=48)


def test_an_unknown_kernel_is_refused_by_name() -> None:
    with pytest.raises(LaunchError, match="warp_drive"):
        kernel("warp_drive")
