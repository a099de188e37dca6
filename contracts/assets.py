"""Files that we run but do not ship: the TON emulator and the Tolk compiler.

Both are WebAssembly inside npm packages. `assets.json` pins each package and each
file taken from it by SHA-256, so a changed package is refused, whoever sent it.
"""

import base64
import json
import os
import re
import tarfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from contracts.durable_file import write_atomically
from contracts.errors import InvalidData, LocalContractError

PACKAGE_BYTES_MAX: Final = 64 << 20
_MEMBER_BYTES_MAX: Final = 32 << 20


class Asset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pinned npm package, and what we take from it.

    Attributes:
        name: of the directory that it is extracted to.
        package: the npm package, as ``npm pack`` wants it before the version.
        sha256: of the package's tarball, hex.
        files: SHA-256 (hex) of every extracted file by its name.
    """

    name: str
    package: str
    version: str
    sha256: str
    files: dict[str, str]


def pinned_assets() -> tuple[Asset, ...]:
    """Return everything that `assets.json` pins."""
    text = Path(__file__).with_name("assets.json").read_bytes()
    return msgspec.json.decode(text, type=tuple[Asset, ...])


def pinned(name: str) -> Asset:
    """Return the asset called *name*."""
    for asset in pinned_assets():
        if asset.name == name:
            return asset
    raise LocalContractError(f"no asset is called {name!r}")


def assets_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where extracted assets live.

    ``$COCOON_ASSETS``, else ``$XDG_CACHE_HOME/cocoon/assets``, else ``~/.cache/cocoon/assets``.
    """
    if chosen := environ.get("COCOON_ASSETS"):
        return Path(chosen)
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "cocoon" / "assets"


def missing_files(asset: Asset, directory: Path) -> list[str]:
    """Return which files of *asset* are absent from *directory*, by name."""
    return [name for name in asset.files if not (directory / name).is_file()]


def read_asset(asset: Asset, directory: Path, name: str) -> bytes:
    """Read one extracted file and check that it is the pinned one.

    Raises:
        LocalContractError: it is not there.
        InvalidData: it is another one.
    """
    try:
        data = (directory / name).read_bytes()
    except OSError as error:
        raise LocalContractError(f"asset {asset.name}/{name} is not installed: {error}") from error
    if sha256(data).hexdigest() != asset.files[name]:
        raise InvalidData(f"asset {asset.name}/{name} is not the pinned one")
    return data


def extract(name: str, package_tgz: Path, into: Path) -> None:
    """Take the files of asset *name* out of its npm tarball.

    Raises:
        InvalidData: the tarball or a file in it is not the pinned one.
        OSError: it cannot be read, or *into* not be written.
    """
    asset = pinned(name)
    if package_tgz.stat().st_size > PACKAGE_BYTES_MAX:
        raise InvalidData(f"{package_tgz.name} is too large")
    if sha256(package_tgz.read_bytes()).hexdigest() != asset.sha256:
        raise InvalidData(f"{package_tgz.name} is not {asset.package} {asset.version}")
    files = _EXTRACTORS[name](package_tgz)
    into.mkdir(parents=True, exist_ok=True)
    for file_name, data in files.items():
        if sha256(data).hexdigest() != asset.files.get(file_name):
            raise InvalidData(f"{asset.package}: {file_name} is not the pinned one")
        write_atomically(into / file_name, data)


def _members(package_tgz: Path, names: tuple[str, ...]) -> list[bytes]:
    with tarfile.open(package_tgz) as archive:
        return [_member(archive, f"package/{name}") for name in names]


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    info = archive.getmember(name)
    file = archive.extractfile(info)
    if file is None or info.size > _MEMBER_BYTES_MAX:
        raise InvalidData(f"{name} is not a file, or too large")
    return file.read(info.size)


def _emulator_files(package_tgz: Path) -> dict[str, bytes]:
    glue, wasm, config = _members(
        package_tgz,
        (
            "dist/executor/emulator-emscripten.js",
            "dist/executor/emulator-emscripten.wasm.js",
            "dist/config/slimConfig.js",
        ),
    )
    return {
        "emulator.js": glue,
        "emulator.wasm": _longest_base64(wasm),
        "config.boc": _longest_base64(config),
    }


def _compiler_files(package_tgz: Path) -> dict[str, bytes]:
    glue, wasm, stdlib = _members(
        package_tgz,
        ("dist/tolkfiftlib.js", "dist/tolkfiftlib.wasm.js", "dist/stdlib.tolk.js"),
    )
    sources = {
        name: re.sub(r"\\(.)", r"\1", text)
        for name, text in re.findall(
            r"'(@[^']+)':\s*`((?:[^`\\]|\\.)*)`", stdlib.decode(), re.DOTALL
        )
    }
    return {
        "tolk.js": glue,
        "tolk.wasm": _longest_base64(wasm),
        "stdlib.json": json.dumps(sources, sort_keys=True).encode(),
    }


def _longest_base64(javascript: bytes) -> bytes:
    """Return the binary that a JavaScript module carries as one string literal."""
    literals = re.findall(rb"['\"`]([A-Za-z0-9+/=]{64,})['\"`]", javascript)
    if not literals:
        raise InvalidData("no base64 literal in the package's module")
    return base64.b64decode(max(literals, key=len), validate=True)


_EXTRACTORS: Final[dict[str, Callable[[Path], dict[str, bytes]]]] = {
    "ton-emulator": _emulator_files,
    "tolk": _compiler_files,
}
