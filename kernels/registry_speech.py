"""The kernels that speech recognition needs beside those of text models."""

from typing import Final

from kernels.spec import Dim3, Dtype, KernelSpec, Parameter, Role, Scalars, Shape
from kernels.spec_parts import (
    Q8_BLOCK,
    WARP,
    anything,
    blocks_of,
    ceil_div,
    changed,
    integer,
    multiple,
    read,
    shape,
    sizes,
    written,
)

CONV_TILE: Final = 32
"""Frames and filters of one block of the convolution."""

HOP_SAMPLES: Final = 160
FFT_SAMPLES: Final = 400
BINS: Final = FFT_SAMPLES // 2 + 1


def _quantised(width: str) -> tuple[Parameter, Parameter]:
    return (
        written("quants", shape("tokens", width), Dtype.I8),
        written("scales", blocks_of("tokens", width)),
    )


def _layer_norm(name: str, *, quantised: bool = False, naive: bool = False) -> KernelSpec:
    outputs = (
        _quantised("columns") if quantised else (written("outputs", shape("tokens", "columns")),)
    )
    return KernelSpec(
        name=name,
        family="layer_norm",
        reference="layer_norm_q8" if quantised else "layer_norm",
        parameters=(
            read("inputs", shape("tokens", "columns")),
            read("weight", shape("columns")),
            read("bias", shape("columns")),
            *outputs,
            *sizes("tokens", "columns"),
            Parameter("epsilon", Dtype.F32, Role.SCALAR),
        ),
        block=(32, 1, 1) if naive else (256, 1, 1),
        grid=lambda s: (ceil_div(integer(s, "tokens"), 32 if naive else 1), 1, 1),
        requires=multiple("columns", Q8_BLOCK if quantised else 1),
        tolerance=1e-5,
    )


def _gelu(name: str, *, quantised: bool) -> KernelSpec:
    outputs = _quantised("width") if quantised else (written("outputs", shape("tokens", "width")),)
    per_block = 128 if quantised else 256
    return KernelSpec(
        name=name,
        family="gelu",
        reference=name,
        parameters=(
            read("inputs", shape("tokens", "width")),
            read("bias", shape("width")),
            *outputs,
            *sizes("tokens", "width"),
        ),
        block=(per_block, 1, 1),
        grid=lambda s: (ceil_div(integer(s, "tokens") * integer(s, "width"), per_block), 1, 1),
        requires=multiple("width", Q8_BLOCK if quantised else 1),
        tolerance=1e-5,
    )


def _add_bias() -> KernelSpec:
    return KernelSpec(
        name="add_bias",
        family="gelu",
        reference="add_bias",
        parameters=(
            changed("outputs", shape("tokens", "width")),
            read("bias", shape("width")),
            *sizes("tokens", "width"),
        ),
        block=(256, 1, 1),
        grid=lambda s: (ceil_div(integer(s, "tokens") * integer(s, "width"), 256), 1, 1),
        requires=anything,
        tolerance=1e-6,
    )


def _conv1d(name: str, *, naive: bool) -> KernelSpec:
    def made(s: Scalars) -> int:
        return ceil_div(integer(s, "frames"), max(1, integer(s, "stride")))

    def grid(s: Scalars) -> Dim3:
        filters = ceil_div(integer(s, "filters"), 128 if naive else CONV_TILE)
        return filters, made(s) if naive else ceil_div(made(s), CONV_TILE), 1

    def outputs(s: Scalars) -> Shape:
        return made(s), integer(s, "filters")

    return KernelSpec(
        name=name,
        family="conv1d",
        reference="conv1d",
        parameters=(
            read("inputs", shape("frames", "channels")),
            read("weights", shape("filters", "channels", 3)),
            read("bias", shape("filters")),
            written("outputs", outputs),
            *sizes("frames", "channels", "filters", "stride"),
        ),
        block=(128, 1, 1) if naive else (256, 1, 1),
        grid=grid,
        requires=lambda s: "" if integer(s, "stride") in {1, 2} else "stride is not 1 or 2",
        tolerance=1e-5,
    )


def _log_mel(name: str, *, naive: bool) -> KernelSpec:
    def grid(s: Scalars) -> Dim3:
        if naive:
            return ceil_div(integer(s, "frames"), WARP), integer(s, "bands"), 1
        return integer(s, "frames"), 1, 1

    def trouble(s: Scalars) -> str:
        if integer(s, "count") <= FFT_SAMPLES // 2:
            return f"fewer than {FFT_SAMPLES // 2 + 1} samples"
        short = integer(s, "frames") * HOP_SAMPLES > integer(s, "count")
        return "more frames than the samples give" if short else ""

    peaks = () if naive else (written("peaks", shape("frames")),)
    return KernelSpec(
        name=name,
        family="mel",
        reference="log_mel_naive" if naive else "log_mel",
        parameters=(
            read("samples", shape("count")),
            read("tables", shape(3, FFT_SAMPLES)),
            read("filters", shape("bands", BINS)),
            written("logs", shape("bands", "frames")),
            *peaks,
            *sizes("count", "frames", "bands"),
        ),
        block=(32, 1, 1) if naive else (256, 1, 1),
        grid=grid,
        requires=trouble,
        tolerance=1e-5,
    )


def _log_mel_scale() -> KernelSpec:
    return KernelSpec(
        name="log_mel_scale",
        family="mel",
        reference="log_mel_scale",
        parameters=(
            read("logs", shape("bands", "frames")),
            read("peaks", shape("frames")),
            written("mel", shape("bands", "frames")),
            *sizes("frames", "bands"),
        ),
        block=(128, 1, 1),
        grid=lambda s: (integer(s, "frames"), 1, 1),
        requires=anything,
        tolerance=1e-6,
    )


SPEECH_KERNELS: Final = (
    _layer_norm("layer_norm_naive", naive=True),
    _layer_norm("layer_norm"),
    _layer_norm("layer_norm_q8", quantised=True),
    _gelu("gelu", quantised=False),
    _gelu("gelu_q8", quantised=True),
    _add_bias(),
    _conv1d("conv1d_naive", naive=True),
    _conv1d("conv1d", naive=False),
    _log_mel("log_mel_naive", naive=True),
    _log_mel("log_mel", naive=False),
    _log_mel_scale(),
)
"""Their attention is `attention_full`, and `write_cache` fills its cache."""
