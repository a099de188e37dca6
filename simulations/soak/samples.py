"""A valid example of any message, made from its type: a seed that fuzzing then damages."""

import enum
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

S = TypeVar("S", bound=msgspec.Struct)

TEXTS: Final = {
    "^(system|user|assistant)$": "user",
    "^(system|developer|user|assistant)$": "user",
}
"""What a pattern allows, where letters would not do."""


def sample(kind: Any) -> Any:  # noqa: ANN401  (a type, or a union of types)
    """Return a value that decodes as *kind*.

    Raises:
        TypeError: it has a part that is not known here.
    """
    return _value(inspect.type_info(kind))


def variants(kind: Any) -> list[Any]:  # noqa: ANN401  (a type, or a union of types)
    """Return an example of each member of a union, or the one of a plain type."""
    info = inspect.type_info(kind)
    parts = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [_value(each) for each in parts]


def _value(info: inspect.Type) -> Any:  # noqa: ANN401, PLR0911, PLR0912  (one case a kind)
    match info:
        case inspect.StructType(cls=cls, fields=fields):
            return cls(**dict(_fields(fields)))
        case inspect.IntType(ge=ge, le=le):
            return max(ge or 0, min(7, 7 if le is None else le))
        case inspect.FloatType(ge=ge):
            return float(ge or 0)
        case inspect.StrType(pattern=pattern, min_length=least):
            return TEXTS.get(pattern or "", "a" * max(least or 0, 5))
        case inspect.BytesType(min_length=least):
            return bytes(32 if least is None else least)
        case inspect.BoolType():
            return True
        case inspect.NoneType() | inspect.AnyType() | inspect.RawType():
            return None
        case inspect.EnumType(cls=cls) if issubclass(cls, enum.Enum):
            return next(iter(cls))
        case inspect.VarTupleType(item_type=item, min_length=least):
            return tuple(_value(item) for _ in range(max(least or 0, 2)))
        case inspect.ListType(item_type=item, min_length=least):
            return [_value(item) for _ in range(max(least or 0, 2))]
        case inspect.TupleType(item_types=items):
            return tuple(map(_value, items))
        case inspect.DictType(key_type=key, value_type=value):
            return {_value(key): _value(value)}
        case inspect.UnionType(types=types):
            return _value(next(t for t in types if not isinstance(t, inspect.NoneType)))
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.Metadata(type=inner):
            return _value(inner)
        case _:
            raise TypeError(f"no example of {info!r:.80}")


def _fields(fields: tuple[inspect.Field, ...]) -> Iterator[tuple[str, Any]]:
    for field in fields:
        if field.required or not isinstance(field.type, inspect.AnyType):
            yield field.name, _value(field.type)


def structs_below(base: type[S]) -> list[type[S]]:
    """Return every type that derives from *base*, sorted by name."""
    found: set[type[S]] = set()
    waiting = [base]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            found.add(kind)
            waiting.append(kind)
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
