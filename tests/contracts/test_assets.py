import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from contracts import assets, emulator
from contracts.errors import InvalidData, LocalContractError


def test_the_directory_follows_the_environment() -> None:
    assert assets.assets_directory({"COCOON_ASSETS": "/a"}) == Path("/a")
    assert assets.assets_directory({"XDG_CACHE_HOME": "/b"}) == Path("/b/cocoon/assets")
    assert assets.assets_directory({}) == Path.home() / ".cache/cocoon/assets"


def test_both_packages_are_pinned_by_hash() -> None:
    for asset in assets.pinned_assets():
        assert len(bytes.fromhex(asset.sha256)) == 32
        assert asset.files
        assert all(len(bytes.fromhex(digest)) == 32 for digest in asset.files.values())
    assert {asset.name for asset in assets.pinned_assets()} == {"ton-emulator", "tolk"}


def test_an_unknown_asset_is_our_mistake() -> None:
    with pytest.raises(LocalContractError, match="nothing"):
        assets.pinned("nothing")


def test_another_package_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "ton-sandbox-0.41.0.tgz"
    package.write_bytes(b"something else")
    with pytest.raises(InvalidData, match=r"is not @ton/sandbox 0\.41\.0"):
        emulator.extract(package, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def tarball(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_files_are_taken_out_of_a_package_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package.tgz"
    encoded = b"QUJD" * 100
    tarball(
        package,
        {
            "dist/tolkfiftlib.js": b"glue",
            "dist/tolkfiftlib.wasm.js": b"module.exports = '" + encoded + b"';",
            "dist/stdlib.tolk.js": b"module.exports = {\n'@stdlib/a.tolk':`x \\`y\\` \\\\n`,\n};",
        },
    )
    expected = {
        "tolk.js": b"glue",
        "tolk.wasm": b"ABC" * 100,
        "stdlib.json": json.dumps({"@stdlib/a.tolk": "x `y` \\n"}).encode(),
    }
    pins = {name: sha256(data).hexdigest() for name, data in expected.items()}
    asset = assets.Asset("tolk", "p", "1", sha256(package.read_bytes()).hexdigest(), pins)
    monkeypatch.setattr(assets, "pinned", lambda _name: asset)
    assets.extract("tolk", package, tmp_path / "into")
    assert {path.name: path.read_bytes() for path in (tmp_path / "into").iterdir()} == expected
    assert assets.missing_files(asset, tmp_path / "into") == []
    (tmp_path / "into" / "tolk.js").write_bytes(b"tampered")
    with pytest.raises(InvalidData, match="not the pinned"):
        assets.read_asset(asset, tmp_path / "into", "tolk.js")


def test_a_tampered_emulator_is_not_run(
    require_asset: Callable[[str], None], tmp_path: Path
) -> None:
    require_asset(emulator.ASSET)
    installed = assets.assets_directory() / emulator.ASSET
    for name in assets.pinned(emulator.ASSET).files:
        (tmp_path / name).write_bytes((installed / name).read_bytes())
    wasm = bytearray((tmp_path / "emulator.wasm").read_bytes())
    wasm[-1] ^= 1
    (tmp_path / "emulator.wasm").write_bytes(wasm)
    with pytest.raises(InvalidData, match="not the pinned"):
        emulator.open_emulator(tmp_path)
