"""All kernels by name.

>>> kernel("rms_norm").family
'norm'
>>> "attention" in kernel_names()
True
"""

from collections.abc import Callable
from typing import Final

from kernels.errors import LaunchError
from kernels.registry_speech import SPEECH_KERNELS
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

FAMILIES: Final = (
    "attention",
    "conv1d",
    "embedding",
    "gelu",
    "layer_norm",
    "matmul",
    "matmul_q4",
    "mel",
    "norm",
    "rope",
    "sampling",
    "swiglu",
)
"""The CUDA sources, without the suffix."""

HEAD_DIM_MAX: Final = 256
VOCABULARY_MAX: Final = 1 << 18
"""Tokens to choose from: the sum of their weights, at most 2^44 each, must fit an integer."""

ATTENTION_CHUNK: Final = 256
"""Positions that attention takes at a time; see cuda/attention.cu."""

QUERIES_PER_BLOCK: Final = 4
"""Queries of a group that share the loads of one block."""

TOKENS_PER_WARP: Final = 8
"""Tokens that one warp of the ``_t8`` products serves."""


def kernel_names() -> tuple[str, ...]:
    """Return the names of all kernels, sorted."""
    return tuple(sorted(_KERNELS))


def kernel(name: str) -> KernelSpec:
    """Return the kernel called *name*.

    Raises:
        LaunchError: there is none.
    """
    try:
        return _KERNELS[name]
    except KeyError:
        raise LaunchError(f"no kernel is called {name!r}") from None


def _attention_sizes(step: int, most: int) -> Callable[[Scalars], str]:
    def trouble(s: Scalars) -> str:
        if not integer(s, "kv_heads") or integer(s, "heads") % integer(s, "kv_heads"):
            return "heads is not a multiple of kv_heads"
        if integer(s, "head_dim") % step or integer(s, "head_dim") > most:
            return f"head_dim is not a multiple of {step} up to {most}"
        return ""

    return trouble


def _qkv_shape(s: Scalars) -> Shape:
    width = (integer(s, "heads") + 2 * integer(s, "kv_heads")) * integer(s, "head_dim")
    return integer(s, "tokens"), width


_CACHE_SHAPE: Final = shape("slots", "kv_heads", "context", "head_dim")
_ATTENTION_SCALARS: Final = sizes("tokens", "heads", "kv_heads", "head_dim", "context", "slots")
_PLACES: Final = read("places", shape("tokens", 2), Dtype.I32)


def _partials_shape(s: Scalars) -> Shape:
    return (
        integer(s, "tokens"),
        integer(s, "heads"),
        integer(s, "chunks"),
        integer(s, "head_dim") + 2,
    )


def _head_tiles(s: Scalars) -> int:
    """Return the blocks that one token takes when a block serves queries of one group."""
    return integer(s, "kv_heads") * ceil_div(
        integer(s, "heads") // integer(s, "kv_heads"), QUERIES_PER_BLOCK
    )


def _one_chunk(s: Scalars) -> str:
    return "" if integer(s, "chunks") else "no chunks"


def _matmul(name: str, weights: str, *, block: int = 128, tokens: int) -> KernelSpec:
    """Return a product.

    Args:
        name: of the kernel.
        weights: their layout, f32, q8 or q4; the inputs are q8 with the last two.
        block: threads.
        tokens: served by one warp, or 0 where a thread makes an output.
    """
    matrix = {
        "f32": (read("weights", shape("rows", "columns")),),
        "q8": (
            read("weights", shape("rows", "columns"), Dtype.I8),
            read("weight_scales", blocks_of("rows", "columns")),
        ),
        "q4": _q4_table("weights", "weight_scales", "rows"),
    }[weights]
    inputs = [
        read("inputs", shape("tokens", "columns"), Dtype.F32 if weights == "f32" else Dtype.I8)
    ]
    if weights != "f32":
        inputs.append(read("input_scales", blocks_of("tokens", "columns")))
    rows_per_block = block // WARP if tokens else block

    def grid(s: Scalars) -> Dim3:
        return (
            ceil_div(integer(s, "rows"), rows_per_block),
            ceil_div(integer(s, "tokens"), tokens or 1),
            1,
        )

    return KernelSpec(
        name=name,
        family="matmul_q4" if weights == "q4" else "matmul",
        reference=f"matmul_{weights}",
        parameters=(
            *matrix,
            *inputs,
            changed("outputs", shape("tokens", "rows")),
            *sizes("tokens", "rows", "columns", "accumulate"),
        ),
        block=(block, 1, 1),
        grid=grid,
        requires=multiple("columns", 4 if weights == "f32" else Q8_BLOCK),
        tolerance=1e-5,
    )


def _q4_table(values: str, scales: str, rows: str) -> tuple[Parameter, ...]:
    def packed(s: Scalars) -> Shape:
        return integer(s, rows), integer(s, "columns") // 2

    return (
        read(values, packed, Dtype.I8),
        read(scales, blocks_of(rows, "columns"), Dtype.I32),
    )


def _norm(name: str, *, quantised: bool, naive: bool = False) -> KernelSpec:
    outputs = (
        (
            written("quants", shape("tokens", "columns"), Dtype.I8),
            written("scales", blocks_of("tokens", "columns")),
        )
        if quantised
        else (written("outputs", shape("tokens", "columns")),)
    )
    return KernelSpec(
        name=name,
        family="norm",
        reference="rms_norm_q8" if quantised else "rms_norm",
        parameters=(
            read("inputs", shape("tokens", "columns")),
            read("weight", shape("columns")),
            *outputs,
            *sizes("tokens", "columns"),
            Parameter("epsilon", Dtype.F32, Role.SCALAR),
        ),
        block=(32, 1, 1) if naive else (256, 1, 1),
        grid=lambda s: (ceil_div(integer(s, "tokens"), 32 if naive else 1), 1, 1),
        requires=multiple("columns", Q8_BLOCK if quantised else 1),
        tolerance=1e-5,
    )


def _attention(name: str, blocks: Callable[[Scalars], int], *, naive: bool = False) -> KernelSpec:
    """Return a version of which *blocks* serve one token."""
    return KernelSpec(
        name=name,
        family="attention",
        reference="attention",
        parameters=(
            read("qkv", _qkv_shape),
            read("keys", _CACHE_SHAPE),
            read("values", _CACHE_SHAPE),
            _PLACES,
            changed("outputs", shape("tokens", "heads", "head_dim")),
            *_ATTENTION_SCALARS,
        ),
        block=(32, 1, 1) if naive else (128, 1, 1),
        grid=lambda s: (blocks(s), integer(s, "tokens"), 1),
        requires=_attention_sizes(*((1, 2**20) if naive else (WARP, HEAD_DIM_MAX))),
        tolerance=1e-5,
    )


def _attention_split() -> KernelSpec:
    trouble = _attention_sizes(WARP, HEAD_DIM_MAX)
    return KernelSpec(
        name="attention_split",
        family="attention",
        reference="attention_split",
        parameters=(
            read("qkv", _qkv_shape),
            read("keys", _CACHE_SHAPE),
            read("values", _CACHE_SHAPE),
            _PLACES,
            changed("partials", _partials_shape),
            *_ATTENTION_SCALARS,
            *sizes("chunks"),
        ),
        block=(128, 1, 1),
        grid=lambda s: (_head_tiles(s), integer(s, "tokens"), integer(s, "chunks")),
        requires=lambda s: trouble(s) or _one_chunk(s),
        tolerance=1e-5,
    )


def _attention_merge() -> KernelSpec:
    return KernelSpec(
        name="attention_merge",
        family="attention",
        reference="attention_merge",
        parameters=(
            read("partials", _partials_shape),
            _PLACES,
            changed("outputs", shape("tokens", "heads", "head_dim")),
            *sizes("tokens", "heads", "head_dim", "context", "slots", "chunks"),
        ),
        block=(128, 1, 1),
        grid=lambda s: (integer(s, "heads"), integer(s, "tokens"), 1),
        requires=lambda s: multiple("head_dim", WARP)(s) or _one_chunk(s),
        tolerance=1e-5,
    )


def _attention_full() -> KernelSpec:
    def trouble(s: Scalars) -> str:
        if integer(s, "head_dim") % WARP or integer(s, "head_dim") > HEAD_DIM_MAX:
            return f"head_dim is not a multiple of {WARP} up to {HEAD_DIM_MAX}"
        if not integer(s, "positions"):
            return "no positions"
        if integer(s, "stride") < integer(s, "heads") * integer(s, "head_dim"):
            return "stride is less than the queries of a token"
        return ""

    cache = shape("heads", "positions", "head_dim")
    return KernelSpec(
        name="attention_full",
        family="attention",
        reference="attention_full",
        parameters=(
            read("queries", shape("tokens", "stride")),
            read("keys", cache),
            read("values", cache),
            written("outputs", shape("tokens", "heads", "head_dim")),
            *sizes("tokens", "heads", "head_dim", "positions", "stride"),
        ),
        block=(128, 1, 1),
        grid=lambda s: (integer(s, "heads"), integer(s, "tokens"), 1),
        requires=trouble,
        tolerance=1e-5,
    )


def _cache_write(name: str, *, rotates: bool) -> KernelSpec:
    """Return a kernel that fills the cache, and rotates queries and keys if it *rotates*."""

    def grid(s: Scalars) -> Dim3:
        pairs = _qkv_shape(s)[1] // 2
        return ceil_div(pairs, 128), integer(s, "tokens"), 1

    def table(s: Scalars) -> Shape:
        return integer(s, "context"), integer(s, "head_dim") // 2

    source: tuple[Parameter, ...] = (read("qkv", _qkv_shape),)
    if rotates:
        source = (changed("qkv", _qkv_shape), read("cosines", table), read("sines", table))
    return KernelSpec(
        name=name,
        family="rope",
        reference=name,
        parameters=(
            *source,
            _PLACES,
            changed("keys", _CACHE_SHAPE),
            changed("values", _CACHE_SHAPE),
            *_ATTENTION_SCALARS,
        ),
        block=(128, 1, 1),
        grid=grid,
        requires=_attention_sizes(2, 2**20),
        tolerance=1e-5,
    )


def _swiglu(name: str, *, quantised: bool) -> KernelSpec:
    outputs = (
        (
            written("quants", shape("tokens", "width"), Dtype.I8),
            written("scales", blocks_of("tokens", "width")),
        )
        if quantised
        else (written("outputs", shape("tokens", "width")),)
    )
    per_block = 128 if quantised else 256
    return KernelSpec(
        name=name,
        family="swiglu",
        reference=name,
        parameters=(
            read("gate_up", shape("tokens", 2, "width")),
            *outputs,
            *sizes("tokens", "width"),
        ),
        block=(per_block, 1, 1),
        grid=lambda s: (ceil_div(integer(s, "tokens") * integer(s, "width"), per_block), 1, 1),
        requires=multiple("width", Q8_BLOCK if quantised else 1),
        tolerance=1e-5,
    )


def _embedding(name: str, layout: str) -> KernelSpec:
    table = {
        "f32": (read("table", shape("vocabulary", "columns")),),
        "q8": (
            read("table", shape("vocabulary", "columns"), Dtype.I8),
            read("scales", blocks_of("vocabulary", "columns")),
        ),
        "q4": _q4_table("table", "scales", "vocabulary"),
    }[layout]
    return KernelSpec(
        name=name,
        family="matmul_q4" if layout == "q4" else "embedding",
        reference=name,
        parameters=(
            *table,
            read("ids", shape("tokens"), Dtype.I32),
            written("outputs", shape("tokens", "columns")),
            *sizes("tokens", "vocabulary", "columns"),
        ),
        block=(256, 1, 1),
        grid=lambda s: (ceil_div(integer(s, "columns"), 256), integer(s, "tokens"), 1),
        requires=multiple("columns", 1 if layout == "f32" else Q8_BLOCK),
        tolerance=1e-6 if layout == "q4" else 0.0,
    )


def _argmax(name: str, *, naive: bool) -> KernelSpec:
    return KernelSpec(
        name=name,
        family="sampling",
        reference="argmax",
        parameters=(
            read("scores", shape("tokens", "vocabulary")),
            written("best", shape("tokens"), Dtype.I32),
            *sizes("tokens", "vocabulary"),
        ),
        block=(32, 1, 1) if naive else (256, 1, 1),
        grid=lambda s: (ceil_div(integer(s, "tokens"), 32 if naive else 1), 1, 1),
        requires=anything,
        tolerance=0.0,
    )


def _sampling_sizes(s: Scalars) -> str:
    most = VOCABULARY_MAX
    return "" if integer(s, "vocabulary") <= most else f"more than {most} tokens to choose from"


def _sample_weights() -> KernelSpec:
    return KernelSpec(
        name="sample_weights",
        family="sampling",
        reference="sample_weights",
        parameters=(
            read("scores", shape("tokens", "vocabulary")),
            read("best", shape("tokens"), Dtype.I32),
            read("temperatures", shape("tokens"), Dtype.F64),
            written("weights", shape("tokens", "vocabulary"), Dtype.I64),
            *sizes("tokens", "vocabulary"),
        ),
        block=(256, 1, 1),
        grid=lambda s: (ceil_div(integer(s, "vocabulary"), 256), integer(s, "tokens"), 1),
        requires=_sampling_sizes,
        tolerance=1e-12,
    )


def _sample() -> KernelSpec:
    return KernelSpec(
        name="sample",
        family="sampling",
        reference="sample",
        parameters=(
            read("scores", shape("tokens", "vocabulary")),
            read("weights", shape("tokens", "vocabulary"), Dtype.I64),
            read("best", shape("tokens"), Dtype.I32),
            read("rules", shape("tokens", 3), Dtype.I64),
            written("chosen", shape("tokens"), Dtype.I32),
            *sizes("tokens", "vocabulary"),
        ),
        block=(256, 1, 1),
        grid=lambda s: (integer(s, "tokens"), 1, 1),
        requires=_sampling_sizes,
        tolerance=0.0,
    )


def _quantise() -> KernelSpec:
    return KernelSpec(
        name="quantise_q8",
        family="norm",
        reference="quantise_q8",
        parameters=(
            read("inputs", shape("blocks", Q8_BLOCK)),
            written("quants", shape("blocks", Q8_BLOCK), Dtype.I8),
            written("scales", shape("blocks")),
            *sizes("blocks"),
        ),
        block=(128, 1, 1),
        grid=lambda s: (ceil_div(integer(s, "blocks"), 128 // WARP), 1, 1),
        requires=anything,
        tolerance=1e-6,
    )


_KERNELS: Final = {
    each.name: each
    for each in (
        *(
            _matmul(f"matmul_{weights}_{version}", weights, tokens=tokens)
            for weights in ("f32", "q8", "q4")
            for version, tokens in (("naive", 0), ("t1", 1), ("t8", TOKENS_PER_WARP))
        ),
        _norm("rms_norm_naive", quantised=False, naive=True),
        _norm("rms_norm", quantised=False),
        _norm("rms_norm_q8", quantised=True),
        _quantise(),
        _cache_write("rope_cache", rotates=True),
        _cache_write("write_cache", rotates=False),
        _attention("attention_naive", lambda s: ceil_div(integer(s, "heads"), 32), naive=True),
        _attention("attention", lambda s: integer(s, "heads")),
        _attention("attention_group", _head_tiles),
        _attention_split(),
        _attention_merge(),
        _attention_full(),
        _swiglu("swiglu", quantised=False),
        _swiglu("swiglu_q8", quantised=True),
        _embedding("embed_f32", "f32"),
        _embedding("embed_q8", "q8"),
        _embedding("embed_q4", "q4"),
        _argmax("argmax_naive", naive=True),
        _argmax("argmax", naive=False),
        _sample_weights(),
        _sample(),
        *SPEECH_KERNELS,
    )
}
