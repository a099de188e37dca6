"""Nothing grows past what a reader can hold, and what we decided never to do is not done."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cocoon", "overlay", "kernels", "contracts", "simulations")
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN = 10
MODULE_LINES_MAX = 600
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "misc", "common", "stuff"}
NEVER_IMPORTED = {"asyncio", "pickle", "marshal", "shelve", "dill", "cloudpickle"}

LONGER_FOR_NOW: dict[str, int] = {}
"""Modules that are over the limit, with the length that they may not exceed. May only shrink."""


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def _is_broad(kind: ast.expr | None) -> bool:
    return kind is None or ast.unparse(kind) in {"Exception", "BaseException"}


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(one, ast.Pass | ast.Continue)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in body
    )


def swallowed_errors(tree: ast.Module) -> Iterator[int]:
    """Yield the lines where every error is dropped without a trace."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type):
            if _does_nothing(node.body):
                yield node.lineno
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in {"suppress", "contextlib.suppress"}
            and any(_is_broad(argument) for argument in node.args)
        ):
            yield node.lineno


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_fit_on_a_screen(package) -> None:
    too_long = [
        f"{name_of(path)}: {name} has {lines} lines"
        for path in sources(package)
        for name, lines in functions(parsed(path))
        if lines > FUNCTION_LINES_MAX
    ]
    assert not too_long


def test_most_functions_are_read_at_a_glance() -> None:
    lengths = [
        lines
        for path in sources(*PACKAGES)
        for name, lines in functions(parsed(path))
        if not name.startswith("__")
    ]
    assert statistics.median(lengths) < FUNCTION_LINES_MEDIAN


def test_modules_stay_short() -> None:
    lengths = {name_of(p): p.read_text(encoding="utf-8").count("\n") for p in sources(*PACKAGES)}
    over = {name: lines for name, lines in lengths.items() if lines > MODULE_LINES_MAX}
    new = {n: lines for n, lines in over.items() if lines > LONGER_FOR_NOW.get(n, MODULE_LINES_MAX)}
    assert not new
    assert LONGER_FOR_NOW.keys() <= over.keys(), "mended: take it off the list"


def test_file_names_say_what_is_inside() -> None:
    names = [name_of(p) for p in sources(*PACKAGES, "tests") if p.stem in NAMES_THAT_SAY_NOTHING]
    assert not names


def test_no_error_is_dropped_without_a_trace() -> None:
    found = [
        f"{name_of(path)}:{line}"
        for path in sources(*PACKAGES)
        for line in swallowed_errors(parsed(path))
    ]
    assert not found


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_what_we_never_use_is_not_imported(package) -> None:
    found = [
        f"{name_of(path)}: {name}"
        for path in sources(package)
        for name in imported(parsed(path))
        if name.split(".")[0] in NEVER_IMPORTED or name.startswith(".")
    ]
    assert not found


def test_every_module_says_what_it_is_for() -> None:
    silent = [name_of(p) for p in sources(*PACKAGES) if not ast.get_docstring(parsed(p))]
    assert not silent


@pytest.mark.parametrize(
    ("code", "is_bad"),
    [
        ("try: f()\nexcept Exception: pass", True),
        ("try: f()\nexcept: pass", True),
        ("for x in y:\n try: f()\n except BaseException: continue", True),
        ("with contextlib.suppress(Exception): f()", True),
        ("try: f()\nexcept Exception as e: log(e)", False),
        ("try: f()\nexcept ValueError: pass", False),
    ],
)
def test_the_check_for_dropped_errors_sees_the_difference(code, is_bad) -> None:
    assert bool(list(swallowed_errors(ast.parse(code)))) is is_bad
