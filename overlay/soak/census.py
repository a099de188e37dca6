"""How many entries every container has that can be reached from an object: finds what only grows.

Containers are named by the attribute that holds them, `Swarm.connections`, or by the closure,
`dial_every_address.dialing`; those of the same name are summed.
"""

import functools
import types
from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

OBJECTS_MAX: Final = 500_000
_LEAVES: Final = (str, bytes, int, float, type, type(None), types.ModuleType, memoryview)
_CONTAINERS: Final = (dict, list, set, frozenset, deque, bytearray)
_FOREIGN: Final = ("trio", "logging", "threading", "_thread", "google")
"""Where we do not look inside: the scheduler's own books reach everything that runs."""


def count_entries(root: object) -> Counter[str]:
    """Return the number of entries of each container below *root*, by name."""
    sizes: Counter[str] = Counter()
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("", root)]
    while waiting and len(seen) < OBJECTS_MAX:
        name, each = waiting.pop()
        if id(each) in seen or isinstance(each, _LEAVES):
            continue
        seen.add(id(each))
        if isinstance(each, _CONTAINERS):
            sizes[name] += len(each)
        waiting.extend(_below(name, each))
    return sizes


def grown(before: Counter[str], after: Counter[str], *, entries_min: int) -> dict[str, str]:
    """Return the containers that at least doubled, and by *entries_min*: "before -> after"."""
    return {
        name: f"{before[name]} -> {size}"
        for name, size in after.most_common()
        if size >= before[name] + entries_min and size >= 2 * before[name]
    }


def _below(name: str, each: object) -> Iterator[tuple[str, object]]:
    """Yield what *each* holds, with the name that a container there would have."""
    if isinstance(each, dict):
        for key, value in list(each.items()):
            yield f"{name}[]", value
            yield f"{name}{{}}", key
    elif isinstance(each, list | tuple | set | frozenset | deque):
        for value in list(each):
            yield f"{name}[]", value
        if not isinstance(each, tuple):
            yield from _attributes(each)
    elif isinstance(each, functools.partial):
        yield from ((name, part) for part in (each.func, each.args, each.keywords))
    elif isinstance(each, types.MethodType):
        yield name, each.__self__
        yield name, each.__func__
    elif isinstance(each, types.FunctionType):
        yield from _closure(each)
    elif type(each).__module__.partition(".")[0] not in _FOREIGN:
        yield from _attributes(each)


def _closure(function: types.FunctionType) -> Iterator[tuple[str, object]]:
    owner = function.__qualname__.partition(".")[0]
    for variable, cell in zip(
        function.__code__.co_freevars, function.__closure__ or (), strict=True
    ):
        try:
            yield f"{owner}.{variable}", cell.cell_contents
        except ValueError:  # a variable that was not set yet
            continue


def _attributes(each: object) -> Iterator[tuple[str, object]]:
    owner = type(each).__name__
    for attribute, value in list(getattr(each, "__dict__", {}).items()):
        yield f"{owner}.{attribute}", value
    for base in type(each).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for attribute in (slots,) if isinstance(slots, str) else slots:
            if attribute not in ("__dict__", "__weakref__") and hasattr(each, attribute):
                yield f"{owner}.{attribute}", getattr(each, attribute)
