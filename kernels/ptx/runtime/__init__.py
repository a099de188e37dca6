"""The scheduler of blocks, warps and barriers: scheduler.c, shipped as the LLVM text it gives."""

from pathlib import Path
from typing import Final

SCHEDULER: Final = Path(__file__).with_name("scheduler.ll")
