"""Fixtures for the requester's tests; `provider/stage.py` has the parts."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "provider"))  # stage.py
sys.path.insert(0, str(Path(__file__).parents[2] / "kernels"))  # model_files.py


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model with random weights, as a file."""
    from model_files import tiny_llama_bytes

    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    path.write_bytes(tiny_llama_bytes())
    return path
