"""What is shipped: our five packages, everything that they read, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import cocoon
import contracts
import kernels
import overlay
import simulations

ROOT = Path(__file__).parent.parent
PACKAGES = ("cocoon", "overlay", "kernels", "contracts", "simulations")
SHIPPED_WITH_THE_CODE = (
    "cocoon/py.typed",
    "overlay/py.typed",
    "kernels/py.typed",
    "contracts/py.typed",
    "simulations/py.typed",
    "cocoon/data/voice-note.ogg",
    "contracts/assets.json",
    "contracts/gas.json",
    "contracts/build/jetton_channel.json",
    "contracts/build/payment_channel.json",
    "contracts/build/wallets.json",
    "kernels/models/catalog.json",
)
SHIPPED_FOLDERS = ("contracts/tolk/*.tolk", "kernels/cuda/*.cu", "kernels/cuda/*.cuh")
NOT_SOURCE = {"build", "dist"}

# Spelt in two parts, so that this file may be looked into as well.
REGISTRY_HOSTS = (
    "pypi" + ".org",
    "python" + "hosted",
    "npmjs" + ".org",
    "npmjs" + ".com",
    "npm" + "mirror",
    "--index" + "-url",
    "--extra-index" + "-url",
    "--registry" + "=",
)


def test_all_packages_come_from_one_directory() -> None:
    modules = (cocoon, overlay, kernels, contracts, simulations)
    assert {Path(str(module.__file__)).parent.parent for module in modules} == {ROOT}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.Path:
    """Build a wheel from a copy, as `make setup` would, without the network."""
    clone, built = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("built")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, clone / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    (clone / "tests").mkdir()
    (clone / "tests" / "test_left_out.py").touch()
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", built, clone),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (path,) = built.glob("*.whl")
    return zipfile.Path(path)


def names_in(wheel: zipfile.Path) -> set[str]:
    return set(wheel.root.namelist())


def test_the_wheel_has_everything_that_the_code_reads(wheel) -> None:
    wanted = set(SHIPPED_WITH_THE_CODE)
    for pattern in SHIPPED_FOLDERS:
        found = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)}
        assert found, pattern
        wanted |= found
    assert wanted - names_in(wheel) == set()


def test_the_wheel_has_every_module(wheel) -> None:
    ours = {
        p.relative_to(ROOT).as_posix() for name in PACKAGES for p in (ROOT / name).rglob("*.py")
    }
    assert ours - names_in(wheel) == set()


def test_the_wheel_has_nothing_else(wheel) -> None:
    tops = {name.split("/")[0] for name in names_in(wheel)}
    assert tops == {*PACKAGES, f"cocoon_node-{cocoon.__version__}.dist-info"}
    assert not [name for name in names_in(wheel) if "test" in name.lower()]


def test_the_wheel_carries_its_licence_and_command(wheel) -> None:
    info = wheel / f"cocoon_node-{cocoon.__version__}.dist-info"
    metadata = (info / "METADATA").read_text(encoding="utf-8")
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert f"\nVersion: {cocoon.__version__}\n" in metadata
    assert (info / "licenses" / "LICENSE").is_file()
    assert "cocoon = cocoon.__main__:main" in (info / "entry_points.txt").read_text("utf-8")


def committed_text() -> Iterator[tuple[Path, str]]:
    """Yield every text file of the repository; works without git."""
    for top in sorted(ROOT.iterdir()):
        hidden = top.name.startswith(".") and top.name not in {".ci", ".github", ".gitignore"}
        if hidden or top.name in NOT_SOURCE or top.name.endswith(".egg-info"):
            continue
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.parent.name != "__pycache__":
                try:
                    yield path, path.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    continue  # a sound file, a bag of cells


def test_no_package_registry_is_named() -> None:
    """Whoever installs decides where packages come from; the lock's hashes decide what they are."""
    named = [
        f"{path.relative_to(ROOT)}: {host}"
        for path, text in committed_text()
        for host in REGISTRY_HOSTS
        if host in text.lower()
    ]
    assert not named
