"""Writes small GGUF and CTranslate2 files, so that tests need no download."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("h e", "l l", "he ll", "hell o", "Ġ t", "Ġt h", "1 2")
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q4_K": 12,
    "Q5_K": 13, "Q6_K": 14, "BF16": 30,
}  # fmt: skip

Value = str | int | float | bool | list[str] | list[int] | list[float]


def byte_characters() -> list[str]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(rest)) for byte in range(256)]


def vocabulary() -> list[str]:
    return [*SPECIALS, *byte_characters(), *(merge.replace(" ", "") for merge in MERGES)]


def llama_metadata(**changes: Value) -> dict[str, Value]:
    tokens = vocabulary()
    metadata: dict[str, Value] = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.block_count": 2,
        "llama.context_length": 256,
        "llama.embedding_length": 32,
        "llama.feed_forward_length": 64,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(SPECIALS) + [1] * (len(tokens) - len(SPECIALS)),
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": TEMPLATE,
    }
    return metadata | {key.replace("__", "."): value for key, value in changes.items()}


def llama_tensors(seed: int = 7) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    width, hidden, kv, words = 32, 64, 16, len(vocabulary())
    shapes = {"token_embd.weight": (words, width), "output_norm.weight": (width,)}
    for layer in range(2):
        shapes |= {
            f"blk.{layer}.{name}.weight": shape
            for name, shape in {
                "attn_norm": (width,),
                "attn_q": (width, width),
                "attn_k": (kv, width),
                "attn_v": (kv, width),
                "attn_output": (width, width),
                "ffn_norm": (width,),
                "ffn_gate": (hidden, width),
                "ffn_up": (hidden, width),
                "ffn_down": (width, hidden),
            }.items()
        }
    return {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}


FAMILY_SHAPE = {
    "block_count": 2,
    "context_length": 400,
    "embedding_length": 64,
    "feed_forward_length": 96,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 10000.0,
}
"""Large enough for the native kernel: widths of 32, heads of 16."""

WIDE = {"embedding_length": 256, "feed_forward_length": 512}
"""For encodings with blocks of 256."""

RANDOM_BLOCKS = {
    "Q5_0": (22, (0.02,)), "Q5_1": (24, (0.02, -0.3)), "Q4_K": (144, (6e-4, 4e-3)),
    "Q5_K": (176, (3e-4, 4e-3)), "Q6_K": (210, (3e-4,)),
}  # fmt: skip
"""Bytes of a block, and about what its factors are, so that the numbers are within 0.6."""


def family_metadata(family: str, kind: str = "") -> dict[str, Value]:
    metadata = {k: v for k, v in llama_metadata().items() if not k.startswith("llama.")}
    given = FAMILY_SHAPE | (WIDE if kind.endswith("_K") else {})
    shape: dict[str, Value] = {f"{family}.{key}": value for key, value in given.items()}
    return metadata | shape | {"general.architecture": family}


def family_tensors(
    family: str, seed: int = 11, *, wide: bool = False
) -> dict[str, NDArray[np.float32]]:
    rng, words = np.random.default_rng(seed), len(vocabulary())
    width, hidden, kv, head = (256, 512, 128, 64) if wide else (64, 96, 32, 16)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (words, width),
        "output_norm.weight": (width,),
    }
    parts: dict[str, tuple[int, ...]] = {
        "attn_norm.weight": (width,),
        "attn_q.weight": (width, width),
        "attn_k.weight": (kv, width),
        "attn_v.weight": (kv, width),
        "attn_output.weight": (width, width),
        "ffn_norm.weight": (width,),
        "ffn_gate.weight": (hidden, width),
        "ffn_up.weight": (hidden, width),
        "ffn_down.weight": (width, hidden),
    }
    if family == "qwen2":
        parts |= {"attn_q.bias": (width,), "attn_k.bias": (kv,), "attn_v.bias": (kv,)}
        shapes["output.weight"] = (words, width)
    if family == "qwen3":
        parts |= {"attn_q_norm.weight": (head,), "attn_k_norm.weight": (head,)}
    for layer in range(2):
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in parts.items()}
    return {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def family_bytes(family: str, kind: str = "Q8_0") -> bytes:
    """Return a model of a family with random weights, its matrices stored as *kind*."""
    tensors: dict[str, tuple[str, Sequence[int], bytes]] = {}
    for name, values in family_tensors(family, wide=kind.endswith("_K")).items():
        stored = kind if values.ndim == 2 else "F32"
        tensors[name] = (stored, values.shape, quantised(values, stored))
    return gguf_bytes(family_metadata(family, kind), tensors)


def quantised(values: NDArray[np.float32], kind: str) -> bytes:
    """Return *values* in one of GGUF's encodings, rounded plainly, or random blocks."""
    if kind in RANDOM_BLOCKS:
        return random_blocks(kind, values.size)
    if kind in {"F32", "F16"}:
        return values.astype(np.float32 if kind == "F32" else np.float16).tobytes()
    if kind == "Q8_0":
        return _quantise_q8_0(values)
    blocks = values.reshape(-1, 32)
    low = blocks.min(1, keepdims=True) if kind == "Q4_1" else 0
    span = (blocks - low).max(1, keepdims=True) / 15
    if kind == "Q4_0":
        span = np.abs(blocks).max(1, keepdims=True) / 7
    scales = span.astype(np.float16)
    codes = np.round((blocks - low) / np.maximum(scales.astype(np.float32), 1e-9))
    codes = np.clip(codes + (8 if kind == "Q4_0" else 0), 0, 15).astype(np.uint8)
    parts = [scales.view(np.uint8)]
    if kind == "Q4_1":
        parts.append(np.asarray(low).astype(np.float16).view(np.uint8))
    return np.concatenate([*parts, codes[:, :16] | codes[:, 16:] << 4], axis=1).tobytes()


def random_blocks(kind: str, items: int) -> bytes:
    """Return random numbers of an encoding, all of its bits used."""
    rng, (size, factors) = np.random.default_rng(items), RANDOM_BLOCKS[kind]
    blocks = rng.integers(0, 256, (items // (256 if kind.endswith("_K") else 32), size), np.uint8)
    near = rng.uniform(0.7, 1.3, (len(blocks), len(factors))) * factors
    at = 208 if kind == "Q6_K" else 0
    blocks[:, at : at + 2 * len(factors)] = near.astype(np.float16).view(np.uint8)
    return blocks.tobytes()


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Value) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if value and isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, map(str, value)))
    if value and isinstance(value[0], float):
        return struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *map(float, value))
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *map(int, value))


def _quantise_q8_0(values: NDArray[np.float32]) -> bytes:
    blocks = values.reshape(-1, 32)
    scales = (np.abs(blocks).max(1, keepdims=True) / 127).astype(np.float16)
    quants = np.round(blocks / np.maximum(scales.astype(np.float32), 1e-9)).astype(np.int8)
    return np.concatenate([scales.view(np.uint8), quants.view(np.uint8)], axis=1).tobytes()


def gguf_bytes(
    metadata: Mapping[str, Value],
    tensors: Mapping[str, tuple[str, Sequence[int], bytes]],
    *,
    offsets: Mapping[str, int] | None = None,
) -> bytes:
    """Assemble a GGUF file; *tensors* maps names to (type, shape, data)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += _text(key) + _value(value)
    body = bytearray()
    for name, (kind, shape, data) in tensors.items():
        body += b"\0" * (-len(body) % 32)
        offset = (offsets or {}).get(name, len(body))
        head += _text(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}QIQ", *reversed(shape), TYPES[kind], offset)
        body += data
    return head + b"\0" * (-len(head) % 32) + body


def tiny_llama_bytes(*, quantised: bool = False, **changes: Value) -> bytes:
    """Return a whole chat model with random weights, about 100 kB."""
    tensors: dict[str, tuple[str, Sequence[int], bytes]] = {}
    for name, values in llama_tensors().items():
        small = quantised and values.ndim == 2
        data = _quantise_q8_0(values) if small else values.tobytes()
        tensors[name] = ("Q8_0" if small else "F32", values.shape, data)
    return gguf_bytes(llama_metadata(**changes), tensors)


def ct2_bytes(variables: Mapping[str, NDArray[np.generic]], version: int = 6) -> bytes:
    """Assemble a CTranslate2 model.bin."""
    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}

    def text(value: str) -> bytes:
        data = value.encode() + b"\0"
        return struct.pack("<H", len(data)) + data

    out = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        out += text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        out += struct.pack("<BI", kinds[array.dtype.name], array.nbytes) + array.tobytes()
    return out + struct.pack("<I", 0)


def whisper_variables(
    *, vocabulary_size: int, width: int = 16, positions: int = 50, seed: int = 3
) -> dict[str, NDArray[np.generic]]:
    """Return the variables of a Whisper with random weights and a short window."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder/conv1/weight": (width, 80, 3),
        "encoder/conv1/bias": (width,),
        "encoder/conv2/weight": (width, width, 3),
        "encoder/conv2/bias": (width,),
        "encoder/position_encodings/encodings": (positions, width),
        "decoder/position_encodings/encodings": (448, width),
        "decoder/embeddings/weight": (vocabulary_size, width),
    }
    attention = [(3 * width, width), (width, width)]
    cross = [(width, width), (2 * width, width), (width, width)]
    inner = [(4 * width, width), (width, 4 * width)]
    parts = {
        "encoder/layer_0/self_attention": attention,
        "encoder/layer_0/ffn": inner,
        "decoder/layer_0/self_attention": attention,
        "decoder/layer_0/attention": cross,
        "decoder/layer_0/ffn": inner,
    }
    for prefix in ("encoder", "decoder", *parts):
        shapes |= {f"{prefix}/layer_norm/{name}": (width,) for name in ("gamma", "beta")}
    for prefix, sizes in parts.items():
        for index, shape in enumerate(sizes):
            shapes[f"{prefix}/linear_{index}/weight"] = shape
            shapes[f"{prefix}/linear_{index}/bias"] = shape[:1]
    variables: dict[str, NDArray[np.generic]] = {
        name: rng.normal(0, 0.3, shape).astype(np.float16) for name, shape in shapes.items()
    }
    return variables | {"encoder/num_heads": np.array(2, np.int8)}
