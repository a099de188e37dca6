"""Manifests of kernels that harm, for the tests of kernels over the market."""

from pathlib import Path

ENDLESS = """
extern "C" __global__ void endless(unsigned* p) {
    unsigned x = threadIdx.x + 1;
    while (x) { x ^= x << 13; x ^= x >> 17; x ^= x << 5; }
    p[0] = x;
}
"""
WILD = """
extern "C" __global__ void wild(unsigned* p) { p[1 << 28] = 0xdead; }
"""
JOB = """
entry = "{entry}"
source = "code.cu"
grid = [1, 1, 1]
block = [32, 1, 1]
[[arguments]]
name = "p"
dtype = "uint32"
shape = [32]
role = "out"
"""


def manifest(folder: Path, entry: str, code: str = ENDLESS) -> Path:
    """Write a job that runs *entry* of *code* into a new *folder*, and return it."""
    folder.mkdir()
    (folder / "job.toml").write_text(JOB.format(entry=entry))
    (folder / "code.cu").write_text(code)
    return folder
