"""Fixtures for the tests of PTX on the CPU."""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # ptx_source.py, beside us

if importlib.util.find_spec("llvmlite") is None:
    collect_ignore_glob = ["test_*.py"]  # pip install llvmlite nvidia-cuda-nvrtc
