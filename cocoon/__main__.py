"""``python -m cocoon`` and the console script ``cocoon``."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from cocoon.cli.main import run  # noqa: PLC0415  (Ctrl-C while it loads is no traceback)

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
