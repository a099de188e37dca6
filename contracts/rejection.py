"""The words by which a chain says that it did not accept a message."""

import re
from typing import Final

_EXIT_CODE: Final = re.compile(r"exitcode=(-?\d{1,10})")


def exit_code_in(text: str) -> int | None:
    """Return the TVM's exit code in what a node says, if it tells one."""
    found = _EXIT_CODE.search(text)
    return int(found[1]) if found else None
