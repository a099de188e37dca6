"""Compiles the contracts; a developer's tool: ``python -m contracts.compiler``.

Runs the official Tolk compiler (WebAssembly in the npm package ``@ton/tolk-js``,
pinned in `assets.json`) without Node.js. The result is checked in under `build/`
with the compiler's version, because the version is part of what the bytes are.
"""

import base64
import json
import posixpath
import sys
from pathlib import Path
from typing import Any, Final

from contracts import assets
from contracts._emscripten import Instance, default_cache
from contracts.cells import decode_boc
from contracts.errors import LocalContractError

ASSET: Final = "tolk"
SOURCES: Final = Path(__file__).with_name("tolk")
ENTRY: Final = "payment_channel.tolk"
JETTON_ENTRY: Final = "jetton_channel.tolk"
BUILD: Final = Path(__file__).with_name("build") / "payment_channel.json"
JETTON_BUILD: Final = BUILD.with_name("jetton_channel.json")

_REALPATH, _READ = 0, 1


def extract(package_tgz: Path, into: Path) -> None:
    """Take the compiler out of the tarball of the pinned ``@ton/tolk-js``.

    Raises:
        InvalidData: it is not the pinned package.
    """
    assets.extract(ASSET, package_tgz, into)


def compile_tolk(
    entry: str,
    sources: Path,
    directory: Path | None = None,
    cache: Path | None = None,
) -> bytes:
    """Compile *entry* and what it imports.

    Args:
        entry: file name in *sources*.
        sources: directory that imports are read from.
        directory: where `extract` put the compiler; the project's default when None.
        cache: where compiled modules are kept; beside the assets when None.

    Returns:
        The code cell as a BoC.

    Raises:
        LocalContractError: the compiler is not installed, or refuses the sources.
    """
    directory = directory or assets.assets_directory() / ASSET
    wasm, glue, stdlib = (
        assets.read_asset(assets.pinned(ASSET), directory, name)
        for name in ("tolk.wasm", "tolk.js", "stdlib.json")
    )
    instance = Instance(wasm, glue.decode(), cache or default_cache(directory.parent))
    reader = _Reader(instance, sources, json.loads(stdlib))
    callback = instance.add_callback(reader.answer, params=5)
    request = instance.new_string(json.dumps(_options(entry)).encode())
    reply = json.loads(instance.take_string(instance.call("_tolk_compile", request, callback, 0)))
    if reply["status"] != "ok":
        raise LocalContractError(f"Tolk: {reply.get('message')}")
    return base64.b64decode(reply["codeBoc64"])


def _options(entry: str) -> dict[str, Any]:
    return {
        "entrypointFileName": entry,
        "optimizationLevel": 2,
        "withStackComments": False,
        "withSrcLineComments": False,
    }


class _Reader:
    """Answers the compiler's questions for files."""

    def __init__(self, instance: Instance, sources: Path, stdlib: dict[str, str]) -> None:
        self._instance = instance
        self._sources = sources
        self._stdlib = stdlib

    def answer(self, kind: int, name: int, contents: int, error: int, _payload: int) -> None:
        """Implement the compiler's ``WasmFsReadCallback``."""
        wanted = self._instance.read_string(name).decode()
        try:
            text = self._full_name(wanted) if kind == _REALPATH else self._read(wanted)
        except (OSError, KeyError) as problem:
            pointer = self._instance.new_string(repr(problem).encode())
            self._instance.write_pointer(error, pointer)
        else:
            self._instance.write_pointer(contents, self._instance.new_string(text.encode()))

    def _full_name(self, name: str) -> str:
        suffix = "" if name.endswith((".tolk", ".fif")) else ".tolk"
        return name + suffix if name.startswith("@") else posixpath.normpath(name + suffix)

    def _read(self, name: str) -> str:
        if name.startswith("@"):
            return self._stdlib[name]
        return (self._sources / Path(name).name).read_text()


def build(entry: str = ENTRY) -> dict[str, str]:
    """Compile a contract and describe the result as in `build/`."""
    code = compile_tolk(entry, SOURCES)
    return {
        "compiler": f"{assets.pinned(ASSET).package} {assets.pinned(ASSET).version}",
        "code_hash": decode_boc(code).hash.hex(),
        "code_boc": base64.b64encode(code).decode(),
    }


def main() -> None:
    """Write the files in `build/`."""
    for entry, target in ((ENTRY, BUILD), (JETTON_ENTRY, JETTON_BUILD)):
        result = build(entry)
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(result, indent=2) + "\n")
        sys.stdout.write(f"{result['code_hash']} {target.name}\n")


if __name__ == "__main__":
    main()
