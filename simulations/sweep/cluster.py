"""The one adapter to Dask.distributed: a scheduler's address becomes an executor."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from cocoon.errors import ConfigError, MissingAsset

CONNECT_TIMEOUT_S: Final = 20
RETRIES: Final = 20
"""A run whose worker died is given to another one so often."""


@contextmanager
def open_cluster(address: str) -> Iterator[Executor]:
    """Connect to the Dask scheduler at *address* (``tcp://host:8786``).

    Workers need this package and must see the folder of results under the same path.

    Raises:
        ConfigError: nobody answers there.
        MissingAsset: Dask is not installed.
    """
    try:
        module: Any = import_module("distributed")  # of the extra `dask`, and large
    except ModuleNotFoundError as error:
        raise MissingAsset("a sweep on a cluster needs Dask: pip install distributed") from error
    try:
        client = module.Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler at {address}: {error}") from error
    with client:
        executor: Executor = client.get_executor(pure=False, retries=RETRIES)
        yield executor
