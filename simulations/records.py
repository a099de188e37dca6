"""How the results of a run are kept: Parquet tables and a manifest that says how to redo it.

A folder of results holds one folder for each run, named by what determines the run::

    RESULTS/runs/<key>/job.parquet ...   tables
    RESULTS/runs/<key>/events.log        the event log, if it was asked for
    RESULTS/runs/<key>/manifest.json     written last: a run without it is not finished

The key is a hash of scenario, seed and commit, so a stopped sweep goes on where it was:
what has a manifest is not run again. Everything is written beside and moved into place.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import uuid
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec

from cocoon import __version__
from cocoon.errors import ConfigError
from simulations.engines import Columns, Outcome, missing
from simulations.scenario import Scenario, canonical, scenario_hash

MANIFEST: Final = "manifest.json"
RUNS: Final = "runs"
EVENT_LOG: Final = "events.log"
_SOURCES: Final = ("simulations", "cocoon", "overlay", "contracts")
_PACKAGES: Final = ("numpy", "numba", "pyarrow", "msgspec", "trio", "libp2p")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to do a run again, and what came out in short.

    Attributes:
        key: see `run_key`.
        scenario: as it was run, complete with defaults.
        seed: of this run.
        commit: see `commit`.
        versions: of Python and of the packages that matter.
        host: machine and system, without its name.
        wall_s, cpu_s: how long it took here.
        log_hash: of the event log; "" for engines without one.
    """

    key: str
    scenario: Scenario
    scenario_sha256: str
    seed: int
    engine: str
    commit: str
    versions: dict[str, str]
    host: str
    wall_s: float
    cpu_s: float
    finished_at_unix_s: int
    summary: dict[str, int | float | str]
    log_hash: str
    violations: list[str]
    tables: dict[str, int]


class BadResults(ConfigError):
    """A folder does not hold the results that were asked for."""


_commits: dict[Path, str] = {}


def commit() -> str:
    """Return what identifies this code: the git commit, else a hash over the sources.

    With "+changed" when files differ from the commit.
    """
    root = Path(__file__).parent.parent
    if root not in _commits:
        _commits[root] = _git_commit(root) or _source_hash(root)
    return _commits[root]


def _git_commit(root: Path) -> str:
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    try:
        head = _git(git, root, "rev-parse", "HEAD")
        changed = _git(git, root, "status", "--porcelain", "--", *_SOURCES)
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+changed" if changed else "")


def _git(git: str, root: Path, *arguments: str) -> str:
    done = subprocess.run(
        [git, "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


def _source_hash(root: Path) -> str:
    digest = hashlib.sha256()
    for package in _SOURCES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"source-{digest.hexdigest()}"


def run_key(scenario: Scenario, seed: int) -> str:
    """Return the name of the run: the same for the same scenario, seed and commit."""
    one = msgspec.structs.replace(scenario, seed=seed, replicas=1, name="")
    return hashlib.sha256(canonical(one) + b"\0" + commit().encode()).hexdigest()[:24]


def versions() -> dict[str, str]:
    """Return the versions that a result can depend on."""
    found = {"python": platform.python_version(), "cocoon-node": __version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def host() -> str:
    """Return what kind of machine this is, without saying whose."""
    system, machine = platform.system(), platform.machine()
    return f"{system} {machine}, {os.cpu_count()} cores, {sys.implementation.name}"


def make_manifest(
    scenario: Scenario,
    seed: int,
    outcome: Outcome,
    *,
    wall_s: float,
    cpu_s: float,
    now_unix_s: int,
) -> Manifest:
    """Return the manifest of a finished run."""
    return Manifest(
        key=run_key(scenario, seed),
        scenario=scenario,
        scenario_sha256=scenario_hash(scenario),
        seed=seed,
        engine=scenario.engine,
        commit=commit(),
        versions=versions(),
        host=host(),
        wall_s=round(wall_s, 3),
        cpu_s=round(cpu_s, 3),
        finished_at_unix_s=now_unix_s,
        summary=outcome.summary,
        log_hash=outcome.log_hash,
        violations=outcome.violations,
        tables={name: _length(columns) for name, columns in outcome.tables.items()},
    )


def write_run(results: Path, manifest: Manifest, outcome: Outcome) -> Path:
    """Write one run below *results*; it is there whole or not at all.

    Returns:
        Its folder. A run that is there already is left as it is.

    Raises:
        MissingAsset: pyarrow is not installed.
        OSError: the disk refuses.
    """
    final = results / RUNS / manifest.key
    if (final / MANIFEST).exists():
        return final
    work = final.with_name(f".{manifest.key}.{uuid.uuid4().hex}")
    work.mkdir(parents=True)
    try:
        for name, columns in outcome.tables.items():
            write_table(work / f"{name}.parquet", columns)
        if outcome.log:
            (work / EVENT_LOG).write_text("".join(f"{line}\n" for line in outcome.log), "utf-8")
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        (work / MANIFEST).write_bytes(text + b"\n")
        if final.exists():  # of a run that was killed while it was moved here
            shutil.rmtree(final)
        work.rename(final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final


def is_done(results: Path, scenario: Scenario, seed: int) -> bool:
    """Tell whether that run is in *results* already."""
    return (results / RUNS / run_key(scenario, seed) / MANIFEST).exists()


def read_manifest(path: Path) -> Manifest:
    """Read a run's manifest; *path* is its folder or the file.

    Raises:
        BadResults: there is none, or it is of another version.
    """
    file = path / MANIFEST if path.is_dir() else path
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadResults(f"{file}: no manifest of a run: {error}") from error


def read_runs(results: Path) -> list[tuple[Path, Manifest]]:
    """Return the finished runs in *results*, ordered by scenario name, then seed.

    Raises:
        BadResults: there is none.
    """
    folders = [path.parent for path in (results / RUNS).glob(f"*/{MANIFEST}")]
    found = [(folder, read_manifest(folder)) for folder in folders]
    if not found:
        raise BadResults(f"{results}: no finished run in it; `cocoon sim run` makes one")
    return sorted(found, key=lambda one: (one[1].scenario.name, one[1].seed, one[1].key))


def write_table(path: Path, columns: Columns) -> None:
    """Write one Parquet table (zstd).

    Raises:
        MissingAsset: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    table = arrow.table(dict(columns))
    parquet.write_table(table, path, compression="zstd")


def read_table(folder: Path, name: str) -> dict[str, list[Any]]:
    """Return a table of one run, by column; empty when it has none of that name.

    Raises:
        MissingAsset: pyarrow is not installed.
    """
    path = folder / f"{name}.parquet"
    if not path.exists():
        return {}
    _, parquet = _pyarrow()
    columns: dict[str, list[Any]] = parquet.read_table(path).to_pydict()
    return columns


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415  (of the extra `sim`)
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing(error, "keeping results") from error
    return pa, parquet


def require_results_folder(path: Path) -> None:
    """Make sure that results can be written to *path*, before anything is computed.

    Raises:
        ConfigError: it is a file, or holds something else.
        MissingAsset: pyarrow is not installed.
    """
    _pyarrow()
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file; --out wants a folder")
    if path.is_dir() and any(path.iterdir()) and not (path / RUNS).is_dir():
        raise ConfigError(f"{path} is not empty and holds no results; choose another --out")
    (path / RUNS).mkdir(parents=True, exist_ok=True)


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values()), ()))
