"""Silence for the length of a block: refusals are told thousands of times in a soak."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced(level: int = logging.CRITICAL) -> Iterator[None]:
    """Log nothing up to *level*; what was logged before is logged again after the block."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)
