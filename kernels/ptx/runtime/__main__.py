"""Compile scheduler.c into scheduler.ll, for developers: ``python -m kernels.ptx.runtime``.

It needs the package ziglang, whose clang writes LLVM text. What depends on the machine or on the
compiler's version is taken out, so that any LLVM from 20 on reads the text, for any target.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from kernels.ptx.runtime import SCHEDULER

FLAGS = (
    "-target", "x86_64-linux-gnu", "-O1", "-g0", "-fno-stack-protector", "-fno-sanitize=all",
    "-fno-vectorize", "-fno-slp-vectorize", "-fno-unroll-loops", "-fno-strict-aliasing",
    "-S", "-emit-llvm",
)  # fmt: skip


def compiled() -> str:
    """Return the LLVM text of scheduler.c."""
    source = SCHEDULER.with_suffix(".c")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "scheduler.ll"
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, "-o", str(output), str(source)]
        subprocess.run(command, check=True, capture_output=True)
        text = portable(output.read_text(encoding="utf-8"))
    return f"; of scheduler.c with SHA-256 {source_hash()}\n{text}"


def source_hash() -> str:
    """Return the hash of scheduler.c that stands in the first line of scheduler.ll."""
    return hashlib.sha256(SCHEDULER.with_suffix(".c").read_bytes()).hexdigest()


def portable(text: str) -> str:
    """Take out attributes, target and comments."""
    text = re.sub(r"^(source_filename|target|attributes|!|;).*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r",? ![\w.]+ !\d+", "", text)
    text = re.sub(
        r" (captures|initializes|range|dead_on_return)(\((?:[^()]|\([^()]*\))*\))?", "", text
    )
    text = re.sub(r" (noundef|nonnull|readonly|writeonly|readnone|nocapture|returned)\b", "", text)
    text = re.sub(r" (nuw|nneg|samesign|disjoint|immarg)\b", "", text)
    text = re.sub(r"^.*@llvm\.lifetime\..*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r" ;.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\s+#\d+", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    SCHEDULER.write_text(compiled(), encoding="utf-8")
