"""The folders are layers, and import-linter says so; and it does say no when they are not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cocoon", "overlay", "kernels", "contracts", "simulations")
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"

# What a hurried change could do: the file that it is done in, the line, the contract that breaks.
PLANTED = {
    "a sibling imports a sibling": (
        "kernels/spec.py",
        "import contracts.units",
        "Folders are layers",
    ),
    "a library imports the node": ("overlay/ids.py", "import cocoon.clock", "Folders are layers"),
    "libp2p gets out": ("cocoon/directory.py", "import libp2p", "libp2p stays behind one adapter"),
    "pycuda gets out": ("kernels/device.py", "import pycuda", "pycuda stays behind one adapter"),
    "asyncio gets in": ("cocoon/node.py", "import asyncio", "asyncio stays out"),
    "pickle gets in": ("cocoon/provider/worker.py", "import pickle", "asyncio stays out"),
    "a core reads a clock": (
        "cocoon/market/price.py",
        "import time",
        "Protocol cores do no I/O",
    ),
    "a core waits": ("cocoon/payments/channel.py", "import trio", "Protocol cores do no I/O"),
    "a lower layer of the node imports a higher one": (
        "cocoon/receipts.py",
        "import cocoon.provider.service",
        "The node's own layers",
    ),
}


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("clone")
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, directory / package, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", directory)
    return directory


def test_every_import_goes_the_right_way(clone) -> None:
    done = lint(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BROKEN" not in done.stdout


@pytest.mark.parametrize("planted", PLANTED)
def test_a_wrong_import_is_noticed(clone, planted) -> None:
    name, line, contract = PLANTED[planted]
    path = clone / name
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    try:
        done = lint(clone)
    finally:
        path.write_text(before, encoding="utf-8")
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout
