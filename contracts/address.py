"""The two written forms of an address on TON, and the way between them.

Raw: ``workchain:64 hex digits``; the only form used inside Cocoon. User-friendly: 48
characters of base64 with flags and a checksum; for people and for foreign services.

Source: TEP-2, "TON Smart Contracts Address Standard".
"""

import base64
import binascii
from typing import Final

from contracts.cells import join_address, split_address
from contracts.errors import InvalidData, LocalContractError

_BOUNCEABLE: Final = 0x11
_NON_BOUNCEABLE: Final = 0x51
_TEST_ONLY: Final = 0x80
_FRIENDLY_CHARS: Final = 48
_RAW_CHARS_MAX: Final = 69


def parse_address(text: str) -> str:
    """Return the raw form, in lower case, of an address in either form.

    Raises:
        InvalidData: *text* is neither, or its checksum is wrong.
    """
    if len(text) == _FRIENDLY_CHARS and ":" not in text:
        return _parse_friendly(text)
    if len(text) > _RAW_CHARS_MAX or not text.isascii():
        raise InvalidData(f"not an address: {text[:80]!r}")
    try:
        return join_address(*split_address(text))
    except LocalContractError as error:
        raise InvalidData(f"not an address: {text[:80]!r}") from error


def _parse_friendly(text: str) -> str:
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError as error:
        raise InvalidData(f"not an address: {text!r}") from error
    tag = data[0] & ~_TEST_ONLY
    if tag not in (_BOUNCEABLE, _NON_BOUNCEABLE) or binascii.crc_hqx(data, 0):
        raise InvalidData(f"not an address, or mistyped: {text!r}")
    return join_address(int.from_bytes(data[1:2], signed=True), data[2:34])


def friendly_address(address: str, *, bounceable: bool = True, test_only: bool = False) -> str:
    """Return the user-friendly form of *address*.

    Args:
        address: in either form.
        bounceable: wallets that may not be deployed yet are written non-bounceable.
        test_only: for a network that is not the main one.

    Raises:
        InvalidData: *address* is not one.
    """
    workchain, account = split_address(parse_address(address))
    tag = (_BOUNCEABLE if bounceable else _NON_BOUNCEABLE) | (_TEST_ONLY if test_only else 0)
    data = bytes((tag, workchain % 256)) + account
    return base64.urlsafe_b64encode(data + binascii.crc_hqx(data, 0).to_bytes(2)).decode()
