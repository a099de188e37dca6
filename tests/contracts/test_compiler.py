import json
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts import channel, compiler
from contracts.cells import decode_boc
from contracts.errors import LocalContractError


def test_the_checked_in_code_is_what_the_sources_compile_to(
    require_asset: Callable[[str], None],
) -> None:
    require_asset(compiler.ASSET)
    assert compiler.build() == json.loads(compiler.BUILD.read_text())
    jetton = compiler.build(compiler.JETTON_ENTRY)
    assert jetton == json.loads(compiler.JETTON_BUILD.read_text())


def test_a_mistake_in_the_source_is_reported(
    require_asset: Callable[[str], None], tmp_path: Path
) -> None:
    require_asset(compiler.ASSET)
    (tmp_path / "wrong.tolk").write_text("tolk 1.3\nfun onInternalMessage( {}\n")
    with pytest.raises(LocalContractError, match=r"wrong\.tolk:2"):
        compiler.compile_tolk("wrong.tolk", tmp_path)


def test_a_missing_import_is_reported(require_asset: Callable[[str], None], tmp_path: Path) -> None:
    require_asset(compiler.ASSET)
    (tmp_path / "alone.tolk").write_text('tolk 1.3\nimport "nowhere"\n')
    with pytest.raises(LocalContractError, match="nowhere"):
        compiler.compile_tolk("alone.tolk", tmp_path)


def test_a_compiler_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalContractError, match="not installed"):
        compiler.compile_tolk(compiler.ENTRY, compiler.SOURCES, directory=tmp_path)


def test_the_hash_of_the_code_is_the_one_written_beside_it() -> None:
    built = json.loads(compiler.BUILD.read_text())
    assert channel.channel_code().hash.hex() == built["code_hash"]
    assert decode_boc(channel.channel_code().to_boc()) == channel.channel_code()
