import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import gguf_bytes, llama_metadata, llama_tensors, tiny_llama_bytes

from kernels.errors import InvalidModelFile, KernelError, ModelUnavailable
from kernels.models.chat import ChatTurn, open_chat_model
from kernels.models.gguf import open_gguf
from kernels.models.sampling import Sampling

GOOD = tiny_llama_bytes()
HEADER_BYTES = GOOD.index(b"general.architecture")
METADATA_BYTES = GOOD.index(b"ffn_down") + 200

ON_DISK = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def opened(folder: Path, data: bytes):
    path = folder / "model.gguf"
    path.write_bytes(data)
    return open_gguf(path)


def test_metadata_and_tensors_come_back_as_written(tmp_path: Path) -> None:
    gguf = opened(tmp_path, GOOD)
    expected = llama_metadata()
    for key, value in expected.items():
        if isinstance(value, float):
            assert gguf.metadata[key] == np.float32(value)
        else:
            assert gguf.metadata[key] == value
    for name, values in llama_tensors().items():
        assert np.array_equal(gguf.tensors[name].to_floats(), values)


def scalar_q4_0(block: bytes) -> list[float]:
    (scale,) = struct.unpack("<e", block[:2])
    nibbles = [byte & 15 for byte in block[2:]] + [byte >> 4 for byte in block[2:]]
    return [scale * (nibble - 8) for nibble in nibbles]


def scalar_q4_1(block: bytes) -> list[float]:
    scale, minimum = struct.unpack("<ee", block[:4])
    nibbles = [byte & 15 for byte in block[4:]] + [byte >> 4 for byte in block[4:]]
    return [scale * nibble + minimum for nibble in nibbles]


def scalar_q8_0(block: bytes) -> list[float]:
    scale, *quants = struct.unpack("<e32b", block)
    return [scale * quant for quant in quants]


def fives(bits: bytes, nibbles: bytes) -> list[int]:
    (word,) = struct.unpack("<I", bits)
    low = [byte & 15 for byte in nibbles] + [byte >> 4 for byte in nibbles]
    return [nibble + 16 * (word >> index & 1) for index, nibble in enumerate(low)]


def scalar_q5_0(block: bytes) -> list[float]:
    (scale,) = struct.unpack("<e", block[:2])
    return [scale * (quant - 16) for quant in fives(block[2:6], block[6:])]


def scalar_q5_1(block: bytes) -> list[float]:
    scale, minimum = struct.unpack("<ee", block[:4])
    return [scale * quant + minimum for quant in fives(block[4:8], block[8:])]


def six_bits(packed: bytes, group: int) -> tuple[int, int]:
    """Return the scale and the minimum of one of the 8 groups of a K block."""
    if group < 4:
        return packed[group] & 63, packed[group + 4] & 63
    scale = packed[group + 4] & 15 | packed[group - 4] >> 6 << 4
    return scale, packed[group + 4] >> 4 | packed[group] >> 6 << 4


def scalar_k(block: bytes, quants: list[int]) -> list[float]:
    scale, minimum = struct.unpack("<ee", block[:4])
    values = []
    for index, quant in enumerate(quants):
        group_scale, group_minimum = six_bits(block[4:16], index // 32)
        values.append(scale * group_scale * quant - minimum * group_minimum)
    return values


def k_nibbles(packed: bytes) -> list[int]:
    places = [(32 * (index // 64) + index % 32, 4 * (index // 32 % 2)) for index in range(256)]
    return [packed[byte] >> shift & 15 for byte, shift in places]


def scalar_q4_k(block: bytes) -> list[float]:
    return scalar_k(block, k_nibbles(block[16:]))


def scalar_q5_k(block: bytes) -> list[float]:
    fifth = [block[16 + index % 32] >> (index // 32) & 1 for index in range(256)]
    low = k_nibbles(block[48:])
    return scalar_k(block, [a + 16 * b for a, b in zip(low, fifth, strict=True)])


def scalar_q6_k(block: bytes) -> list[float]:
    (scale,) = struct.unpack("<e", block[208:])
    scales = struct.unpack("<16b", block[192:208])
    values = []
    for index in range(256):
        half, group, item = index // 128, index % 128 // 32, index % 32
        low = block[64 * half + 32 * (group % 2) + item] >> 4 * (group // 2) & 15
        upper = block[128 + 32 * half + item] >> 2 * group & 3
        values.append(scale * scales[index // 16] * ((low | upper << 4) - 32))
    return values


@pytest.mark.parametrize(
    ("kind", "scalar", "scales", "size", "items"),
    [
        ("Q4_0", scalar_q4_0, 1, 16, 32),
        ("Q4_1", scalar_q4_1, 2, 16, 32),
        ("Q5_0", scalar_q5_0, 1, 20, 32),
        ("Q5_1", scalar_q5_1, 2, 20, 32),
        ("Q8_0", scalar_q8_0, 1, 32, 32),
        ("Q4_K", scalar_q4_k, 2, 140, 256),
        ("Q5_K", scalar_q5_k, 2, 172, 256),
        ("Q6_K", scalar_q6_k, -1, 208, 256),
    ],
)
@given(data=st.data())
@settings(ON_DISK, max_examples=30)
def test_blocks_dequantise_as_specified(
    tmp_path: Path, kind, scalar, scales, size, items, data
) -> None:
    """With *scales* fp16 numbers before the integers, or one after them."""
    floats = st.lists(st.floats(-100, 100, width=16), min_size=abs(scales), max_size=abs(scales))
    blocks = []
    for seed in data.draw(st.lists(st.integers(0, 2**32), min_size=4, max_size=4)):
        quants = np.random.default_rng(seed).bytes(size)
        numbers = struct.pack(f"<{abs(scales)}e", *data.draw(floats))
        blocks.append(quants + numbers if scales < 0 else numbers + quants)
    tensor = (kind, (2, 2 * items), b"".join(blocks))
    gguf = opened(tmp_path, gguf_bytes({}, {"t": tensor}))
    expected = np.array([scalar(block) for block in blocks], np.float64).reshape(2, 2 * items)
    np.testing.assert_allclose(gguf.tensors["t"].to_floats(), expected, rtol=1e-5, atol=1e-3)


def test_the_upper_halves_of_floats_become_floats(tmp_path: Path) -> None:
    values = np.array([[1.0, -2.5, 3e38, 1e-38]], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    gguf = opened(tmp_path, gguf_bytes({}, {"t": ("BF16", (1, 4), upper.tobytes())}))
    wanted = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert np.array_equal(gguf.tensors["t"].to_floats(), wanted)


def test_halves_become_floats(tmp_path: Path) -> None:
    halves = np.array([[0.5, -2.0, 65504.0, 6e-8]], np.float16)
    gguf = opened(tmp_path, gguf_bytes({}, {"t": ("F16", (1, 4), halves.tobytes())}))
    assert np.array_equal(gguf.tensors["t"].to_floats(), halves.astype(np.float32))


@pytest.mark.parametrize(
    "data",
    [
        b"GGUF",
        b"GGML" + GOOD[4:],
        b"GGUF" + struct.pack("<I", 1) + GOOD[8:],
        b"GGUF" + struct.pack("<I", 3 << 24) + GOOD[8:],
        b"GGUF" + struct.pack("<IQQ", 3, 2**63, 1) + GOOD[24:],
        b"GGUF" + struct.pack("<IQQ", 3, 1, 2**63) + GOOD[24:],
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**62) + b"x" * 64,
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 4, 2**61),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 8, 2**61),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 1) * 99,
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 77) + b"x" * 64,
        gguf_bytes({"general.alignment": 3}, {}),
        gguf_bytes({"general.alignment": 0}, {}),
        gguf_bytes({}, {"t": ("F32", (4, 4), b"x" * 60)}),
        gguf_bytes({}, {"t": ("F32", (2**40, 2**40), b"x" * 64)}),
        gguf_bytes({}, {"t": ("F32", (0, 4), b"")}),
        gguf_bytes({}, {"t": ("Q8_0", (1, 33), b"x" * 68)}),
        gguf_bytes({}, {"t": ("F32", (1, 1, 1, 1, 1), b"x" * 4)}),
        gguf_bytes({}, {"t": ("F32", (4,), b"x" * 16)}, offsets={"t": 2**40}),
        gguf_bytes({}, {"t": ("F32", (4,), b"x" * 16)}, offsets={"t": 1}),
        gguf_bytes(
            {},
            {"a": ("F32", (16,), b"x" * 64), "b": ("F32", (16,), b"x" * 64)},
            offsets={"b": 32},
        ),
    ],
)
def test_hostile_files_are_refused_with_a_typed_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidModelFile):
        opened(tmp_path, data)


def test_a_missing_an_empty_and_an_unreadable_file_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        open_gguf(tmp_path / "absent.gguf")
    with pytest.raises(InvalidModelFile):
        opened(tmp_path, b"")
    with pytest.raises(ModelUnavailable):
        open_gguf(tmp_path)


def try_whole_model(path: Path) -> None:
    """Open a file and answer one token, as a worker would."""
    model = open_chat_model(path, device="cpu", cache=path.parent)
    prompt = model.encode_chat([ChatTurn("user", "hello <|im_end|>")])
    list(model.generate(prompt, sampling=Sampling(), tokens_max=1, should_stop=lambda: False))


@given(
    position=st.integers(0, METADATA_BYTES),
    damage=st.one_of(
        st.binary(min_size=1, max_size=8),
        st.sampled_from([b"\xff" * 8, b"\x00" * 8, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80"]),
    ),
)
@ON_DISK
def test_corrupted_headers_give_kernel_errors_or_work(
    tmp_path: Path, position: int, damage: bytes
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(GOOD[:position] + damage + GOOD[position + len(damage) :])
    try:
        try_whole_model(path)
    except KernelError:
        return


@given(length=st.integers(1, len(GOOD) - 1))
@ON_DISK
def test_truncated_files_are_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(InvalidModelFile):
        opened(tmp_path, GOOD[:length])


@given(st.data())
@ON_DISK
def test_corrupted_weights_give_kernel_errors_or_work(tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 20))):
        at = data.draw(st.integers(METADATA_BYTES, len(GOOD) - 5))
        damaged[at : at + 4] = data.draw(
            st.sampled_from([b"\xff" * 4, b"\0\0\x80\x7f", b"\x7f" * 4])
        )
    path = tmp_path / "model.gguf"
    path.write_bytes(damaged)
    try:
        try_whole_model(path)
    except KernelError:
        return
