"""What the packages promise by name is there, and importing them is light."""

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cocoon

ROOT = Path(__file__).parent.parent
PACKAGES = ("cocoon", "overlay", "kernels", "contracts", "simulations")
WITH_PUBLIC_NAMES = ("overlay", "kernels", "contracts")
HEAVY = [
    *("aioquic", "hypercorn", "httpx", "jinja2", "libp2p", "numpy", "pycuda", "pytoniq_core"),
    *("soundfile", "soxr", "starlette", "tokenizers", "wasmtime"),
]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_resolves(package) -> None:
    module = importlib.import_module(package)
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("package", WITH_PUBLIC_NAMES)
def test_libraries_say_which_names_are_public(package) -> None:
    module = importlib.import_module(package)
    own = {name for name in vars(module) if not name.startswith("_")}
    modules = {name for name in own if type(vars(module)[name]).__name__ == "module"}
    assert own - modules <= set(module.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package) -> None:
    program = (
        f"import json, sys, {package}; "
        f"print(json.dumps(sorted(set({HEAVY!r}) & sys.modules.keys())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == cocoon.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{cocoon.__version__}]" in changelog


def test_the_console_script_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, function = project["scripts"]["cocoon"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
