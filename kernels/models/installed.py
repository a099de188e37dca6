"""Where fetched weights lie on this machine."""

import os
from collections.abc import Mapping
from pathlib import Path

from kernels.errors import ModelUnavailable
from kernels.models import catalog


def assets_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return ``$COCOON_ASSETS``, or ``cocoon/assets`` in the user's cache."""
    if chosen := environ.get("COCOON_ASSETS"):
        return Path(chosen)
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "cocoon" / "assets"


def find_model(name_or_path: str, kind: str) -> Path:
    """Return where a model is: a path that exists, or a known name that was fetched.

    Raises:
        ModelUnavailable: there is no such file or model; the message says what to do.
    """
    path = Path(name_or_path)
    if path.exists():
        return path
    known = {model.name: model for model in catalog.models() if model.kind == kind}
    if name_or_path not in known:
        names = ", ".join(known)
        raise ModelUnavailable(f"{name_or_path} is neither a file nor a known model ({names})")
    folder = assets_directory() / "models" / name_or_path
    missing = [file.name for file in known[name_or_path].files if not (folder / file.name).exists()]
    if missing:
        raise ModelUnavailable(
            f"the weights of {name_or_path} are not here; fetch them: "
            f"cocoon assets fetch {name_or_path}"
        )
    return folder
