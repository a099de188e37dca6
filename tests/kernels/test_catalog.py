import re
from pathlib import Path

import pytest

import kernels
from kernels.models import catalog


def test_every_file_of_every_model_comes_out_of_a_wheel() -> None:
    for model in catalog.models():
        carried = {name for wheel in model.wheels for name in wheel.members.values()}
        assert carried == {file.name for file in model.files}
        assert model.main_file in carried


def test_models_are_named_by_the_hash_of_their_main_file() -> None:
    ids = {model.name: model.model_id for model in catalog.models()}
    assert ids["SmolLM2-135M-Instruct"].startswith("b179c9523d0e6a0f")
    assert ids["whisper-tiny.en"].startswith("1a5afae06a4db91c")
    assert ids["whisper-base"].startswith("d01c3014881c9c6f")
    assert all(re.fullmatch("[0-9a-f]{64}", model_id) for model_id in ids.values())


def test_unknown_names_are_key_errors() -> None:
    with pytest.raises(KeyError):
        catalog.model("gpt-9")


def test_the_catalog_lies_beside_its_module() -> None:
    assert (Path(str(kernels.__file__)).parent / "models" / "catalog.json").is_file()
