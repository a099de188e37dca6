"""Fixtures for the requester's tests; `provider/stage.py` has the parts."""

import importlib.util
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


def _payments_conftest():
    """The embedded chain's fixtures live with the tests of the payments."""
    path = Path(__file__).parents[1] / "payments" / "conftest.py"
    spec = importlib.util.spec_from_file_location("payments_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_payments = _payments_conftest()
emulator = _payments.emulator
world = _payments.world


@pytest.fixture
async def market(world, tmp_path, tiny_model, monkeypatch):
    from shop import open_market

    async with open_market(world, tmp_path, tiny_model, monkeypatch) as market:
        yield market
