from collections.abc import Callable

import pytest

from contracts import assets
from contracts.embedded import EmbeddedChain
from contracts.emulator import ASSET, Emulator, open_emulator
from contracts.rehearsal import Rehearsal

START_UNIX_S = 1_780_000_000


def require(name: str) -> None:
    directory = assets.assets_directory() / name
    if missing := assets.missing_files(assets.pinned(name), directory):
        pytest.skip(f"{missing} not in {directory}; run: cocoon assets fetch tests")


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    require(ASSET)
    return open_emulator()


@pytest.fixture
def chain(emulator: Emulator) -> EmbeddedChain:
    return EmbeddedChain(emulator, unix_s=START_UNIX_S)


@pytest.fixture
def rig(chain: EmbeddedChain) -> Rehearsal:
    """Give a channel that is not open yet."""
    return Rehearsal(chain)


@pytest.fixture
def require_asset() -> Callable[[str], None]:
    return require
