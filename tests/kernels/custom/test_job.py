"""Jobs and manifests from strangers: bounded, typed, refused in words."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.custom.errors import BadManifest
from kernels.custom.job import (
    SOURCE_BYTES_MAX,
    Argument,
    ElementType,
    KernelJob,
    Language,
    Limits,
    Role,
    check_job,
    decode_job,
    encode_job,
)
from kernels.custom.manifest import read_manifest

ARRAY = Argument(name="x", role=Role.IN, dtype=ElementType.FLOAT32, shape=(2, 3), data=bytes(24))
SCALAR = Argument(name="n", role=Role.SCALAR, dtype=ElementType.INT32, data=bytes(4))
JOB = KernelJob(
    language=Language.CUDA,
    code="code",
    entry="f",
    grid=(1, 1, 1),
    block=(32, 1, 1),
    arguments=(ARRAY, SCALAR),
)


def changed(part, **fields):
    return msgspec.structs.replace(part, **fields)


def with_argument(**fields) -> KernelJob:
    return changed(JOB, arguments=(changed(ARRAY, **fields),))


@pytest.mark.parametrize("dtype", list(ElementType))
def test_element_types_have_numpys_names_and_sizes(dtype) -> None:
    assert np.dtype(dtype.value).itemsize == dtype.size_bytes


def test_a_job_round_trips() -> None:
    assert decode_job(encode_job(JOB)) == JOB


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (changed(JOB, entry="f; rm -rf /"), "entry"),
        (changed(JOB, grid=(0, 1, 1)), "grid"),
        (changed(JOB, grid=(1, 65_536, 1)), "grid"),
        (changed(JOB, block=(1024, 2, 1)), "2048 threads"),
        (changed(JOB, block=(1, 1, 65)), "block"),
        (changed(JOB, shared_bytes=48 * 1024 + 1), "shared_bytes"),
        (changed(JOB, code="x" * SOURCE_BYTES_MAX + "y"), "code"),
        (changed(JOB, arguments=(ARRAY, ARRAY)), "same name"),
        (changed(JOB, limits=Limits(memory_bytes=23)), "limits.memory_bytes"),
        (with_argument(data=bytes(23)), "23 bytes of data"),
        (with_argument(data=b"", role=Role.INOUT), "0 bytes of data"),
        (with_argument(role=Role.OUT), "24 bytes of data"),
        (with_argument(shape=()), "needs a shape"),
        (with_argument(shape=(2, 0)), "needs a shape"),
        (with_argument(shape=(1 << 40, 1 << 40), role=Role.OUT, data=b""), "at most"),
        (with_argument(role=Role.SCALAR), "a scalar is one"),
    ],
)
def test_what_breaks_a_bound_is_refused_by_name(job, words) -> None:
    with pytest.raises(BadManifest, match=words):
        check_job(job)


@given(st.binary(max_size=200))
def test_garbage_is_no_job(data) -> None:
    with pytest.raises(BadManifest):
        decode_job(data)


@given(st.data())
def test_a_damaged_job_is_refused_or_another_job(data) -> None:
    whole = encode_job(JOB)
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    try:
        decode_job(damaged)
    except BadManifest:
        return


MANIFEST = """
entry = "f"
source = "f.cu"
grid = [1, 1, 1]
block = [32, 1, 1]
[[arguments]]
name = "n"
dtype = "int32"
value = -3
[[arguments]]
name = "x"
dtype = "float32"
shape = [4]
data = "x.npy"
[[arguments]]
name = "k"
dtype = "uint8"
shape = [3]
count_from = 254
role = "inout"
[[arguments]]
name = "r"
dtype = "int16"
shape = [5]
random_seed = 1
[[arguments]]
name = "y"
dtype = "float64"
shape = [2, 2]
role = "out"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "job.toml").write_text(MANIFEST)
    (tmp_path / "f.cu").write_text("source")
    np.save(tmp_path / "x.npy", np.arange(4, dtype=np.float32))
    return tmp_path


def test_a_manifest_becomes_a_job(folder) -> None:
    job = read_manifest(folder)
    n, x, k, r, y = job.arguments
    assert (job.code, job.language) == ("source", Language.CUDA)
    assert np.frombuffer(n.data, "<i4")[0] == -3
    assert np.frombuffer(x.data, "<f4").tolist() == [0, 1, 2, 3]
    assert list(k.data) == [254, 255, 0]
    assert len(r.data) == 10
    assert (y.role, y.data, y.size_bytes) == (Role.OUT, b"", 32)
    assert read_manifest(folder / "job.toml") == job


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('entry = "f"', 'entri = "f"', "entri"),
        ('source = "f.cu"', "", "source or ptx"),
        ('source = "f.cu"', 'source = "none.cu"', "none.cu"),
        ("grid = [1, 1, 1]", "grid = [1, 1]", "grid"),
        ('dtype = "int32"', 'dtype = "int33"', "int33"),
        ("value = -3", "value = 3_000_000_000", "does not fit int32"),
        ("shape = [4]", "shape = [5]", "x.npy"),
        ('dtype = "float32"', 'dtype = "float64"', "holds float32"),
        ('data = "x.npy"', 'data = "f.cu"', "not a .npy"),
        ('data = "x.npy"', "", "one of data"),
        ('role = "out"', 'role = "out"\nfill = 1', "nothing"),
        ("value = -3", "", "scalar"),
        ("value = -3", "value = 1\nshape = [2]", "without shape"),
        ("random_seed = 1", "random_seed = 1\nfill = 2", "one of"),
        ("[[arguments]]", "[[arguments]", "line"),
    ],
)
def test_a_wrong_manifest_is_refused_with_file_and_field(folder, old, new, words) -> None:
    text = MANIFEST.replace(old, new, 1)
    assert text != MANIFEST
    (folder / "job.toml").write_text(text)
    with pytest.raises(BadManifest, match=words):
        read_manifest(folder)


def test_pickles_in_an_array_file_are_not_read(folder) -> None:
    np.save(folder / "x.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(BadManifest, match=r"not a \.npy"):
        read_manifest(folder)
