import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from contracts import assets
from contracts.devnet import serve_devnet
from contracts.embedded import EmbeddedChain
from contracts.emulator import ASSET, Emulator, open_emulator
from contracts.rehearsal import Rehearsal
from contracts.toncenter import Toncenter, open_toncenter

sys.path.insert(0, str(Path(__file__).parent))  # lite_rig.py, beside us

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


@pytest.fixture
async def devnet_url(chain: EmbeddedChain, nursery: trio.Nursery) -> str:
    """Serve *chain* on loopback, a second per second from its start."""
    started_s = trio.current_time()
    serve = partial(
        serve_devnet, chain, clock=lambda: START_UNIX_S + int(trio.current_time() - started_s)
    )
    return await nursery.start(serve)


@pytest.fixture
async def toncenter(devnet_url: str) -> AsyncIterator[Toncenter]:
    async with open_toncenter(devnet_url) as client:
        yield client
