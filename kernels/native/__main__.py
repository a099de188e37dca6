"""``python -m kernels.native``: build the native kernel now, and say which one is used."""

import sys

from kernels.native import library


def main() -> int:
    """Build; 0 even where there is no compiler, for nothing needs it."""
    found = library.status()
    remedy = f" (to mend it: {found.remedy})" if found.remedy else ""
    sys.stdout.write(f"CPU engine: {found.detail}{remedy}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
