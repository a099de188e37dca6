"""The last quote of each class, on disk: a restarted provider goes on where it was.

A quote is kept before it is published, so that no number is ever used for two
different quotes: that would be proof of cheating.
"""

import logging
from pathlib import Path

from cocoon.market.quotes import malformed
from cocoon.messages import Message, Quote, decode, encode
from overlay.errors import RemoteProtocolError
from overlay.private_file import replace_private_file

logger = logging.getLogger(__name__)

FILE_BYTES_MAX = 1 << 18


class _File(Message, frozen=True):
    quotes: tuple[Quote, ...]


class KeptQuotes:
    """The file of a provider's last quotes. Blocks for the disk: call `put` in a thread."""

    def __init__(self, path: Path, peer_id: str) -> None:
        self._path = path
        self._quotes = {quote.resource_class: quote for quote in self._read(peer_id)}

    def get(self, resource_class: str) -> tuple[Quote, ...]:
        """Return the last quote of a class, if there is one."""
        quote = self._quotes.get(resource_class)
        return () if quote is None else (quote,)

    def put(self, quote: Quote) -> None:
        """Keep *quote* as the last of its class; it is on the disk when this returns.

        Raises:
            OSError: the disk refuses.
        """
        self._quotes[quote.resource_class] = quote
        replace_private_file(self._path, encode(_File(quotes=tuple(self._quotes.values()))))

    def _read(self, peer_id: str) -> list[Quote]:
        try:
            data = self._path.read_bytes()
            quotes = decode(_File, data, size_bytes_max=FILE_BYTES_MAX).quotes
        except FileNotFoundError:
            return []
        except (OSError, RemoteProtocolError) as error:
            logger.warning("%s is not used, prices start afresh: %s", self._path, error)
            return []
        return [quote for quote in quotes if not malformed(quote, peer_id=peer_id)]
