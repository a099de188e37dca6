import subprocess
import sys
from pathlib import Path

import contracts

HEAVY = ("httpx", "hypercorn", "starlette", "wasmtime", "pytoniq_core", "nacl", "cryptography")


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = f"import sys, contracts; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    assert all(hasattr(contracts, name) for name in contracts.__all__)
    assert contracts.__all__ == sorted(
        contracts.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
