"""What msgspec raises when bytes are not what they should be.

Text that is no UTF-8 and nesting without end have no error of msgspec's own. Apart from
`kernels.errors`, so that who decodes nothing does not load msgspec.
"""

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
