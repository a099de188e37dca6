"""The two written forms of an address on TON, and the way between them.

Raw: ``workchain:64 hex digits``; the only form used inside Cocoon. User-friendly: 48
characters of base64 with flags and a checksum; for people and for foreign services.
pytoniq-core writes and reads the latter; it takes unknown flags, stray characters and raw
forms of any length, so what it read has to come out as it went in.

Source: TEP-2, "TON Smart Contracts Address Standard".
"""

import re
from typing import Final

from pytoniq_core.boc.address import Address  # noqa: TID251 - an adapter

from contracts._pytoniq import refusing
from contracts.cells import join_address, split_address
from contracts.errors import InvalidData, LocalContractError

_FRIENDLY: Final = re.compile(r"[A-Za-z0-9+/_-]{48}", re.ASCII)
_RAW_CHARS_MAX: Final = 69


def parse_address(text: str) -> str:
    """Return the raw form, in lower case, of an address in either form.

    Raises:
        InvalidData: *text* is neither, or its checksum is wrong.
    """
    if _FRIENDLY.fullmatch(text):
        return _parse_friendly(text)
    if len(text) > _RAW_CHARS_MAX or not text.isascii():
        raise InvalidData(f"not an address: {text[:80]!r}")
    try:
        return join_address(*split_address(text))
    except LocalContractError as error:
        raise InvalidData(f"not an address: {text[:80]!r}") from error


def _parse_friendly(text: str) -> str:
    url_safe = text.replace("+", "-").replace("/", "_")
    with refusing(f"not an address, or mistyped: {text!r}"):
        address = Address(url_safe)
    flags = address.is_bounceable, address.is_test_only
    if address.to_str(is_bounceable=flags[0], is_test_only=flags[1]) != url_safe:
        raise InvalidData(f"an address with unknown flags: {text!r}")
    return join_address(address.wc, address.hash_part)


def friendly_address(address: str, *, bounceable: bool = True, test_only: bool = False) -> str:
    """Return the user-friendly form of *address*.

    Args:
        address: in either form.
        bounceable: wallets that may not be deployed yet are written non-bounceable.
        test_only: for a network that is not the main one.

    Raises:
        InvalidData: *address* is not one.
    """
    written = Address(split_address(parse_address(address)))
    return str(written.to_str(is_bounceable=bounceable, is_test_only=test_only))
