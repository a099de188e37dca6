"""Settings in words: the list of options, the template of the file, and refusals.

All of it is read off the types, so it cannot disagree with what is accepted.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import inspect

from cocoon.errors import ConfigError

_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED: Final = re.compile(r"`([a-z_]+)`")
_TABLE: Final = re.compile(r"^\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_-]+)\s*=")


class Option(msgspec.Struct, frozen=True):
    """One thing that can be set.

    Attributes:
        name: table and key, "provider.slots".
        kind: type and bounds in words.
        default: as it would stand in the file, or "(unset)".
        description: one line.
    """

    name: str
    kind: str
    default: str
    description: str


def options(root: type[msgspec.Struct]) -> list[Option]:
    """Return every option below *root*, in the order of the file."""
    return list(_options(root(), ""))


def _options(section: msgspec.Struct, prefix: str) -> Iterator[Option]:
    """Keys of a table come before its sub-tables, as TOML wants it."""
    info = inspect.type_info(type(section))
    assert isinstance(info, inspect.StructType)  # noqa: S101  (sections are Structs)
    tables = []
    for field in info.fields:
        kind, description = _unwrap(field.type)
        value = getattr(section, field.name)
        if isinstance(value, msgspec.Struct):
            tables.append((value, f"{prefix}{field.name}."))
        else:
            yield Option(f"{prefix}{field.name}", _words(kind), toml_value(value), description)
    for value, name in tables:
        yield from _options(value, name)


def _unwrap(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """Take a type out of its `msgspec.Meta`, with the description that it carried."""
    description = ""
    while isinstance(kind, inspect.Metadata):
        description = (kind.extra_json_schema or {}).get("description", description)
        kind = kind.type
    return kind, description


def _words(kind: inspect.Type) -> str:
    kind, _ = _unwrap(kind)
    match kind:
        case inspect.IntType() | inspect.FloatType():
            return _number(kind)
        case inspect.StrType(pattern=pattern, max_length=longest):
            bound = f"text of at most {longest} characters" if longest else "text"
            return f"{bound} that matches {pattern}" if pattern else bound
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(json.dumps(value) for value in values)
        case inspect.VarTupleType(item_type=item, max_length=most):
            return f"list of at most {most}: {_words(item)}"
        case inspect.UnionType(types=types):
            return " or ".join(_words(one) for one in types if not _is_none(one))
        case _:
            return type(kind).__name__.removesuffix("Type").lower()


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    whole = isinstance(kind, inspect.IntType)
    what, shape = ("whole number", "d") if whole else ("number", "g")
    if kind.ge is None:
        return what
    if kind.le is None:
        return f"{what} from {kind.ge}"
    low, high = (int(bound) if whole else bound for bound in (kind.ge, kind.le))
    return f"{what} from {low:{shape}} to {high:{shape}}"


def _is_none(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.NoneType)


def toml_value(value: object) -> str:
    """Write a value as TOML does; JSON's strings and lists, unescaped, are nearly TOML's.

    Raises:
        ConfigError: it is of a kind that no option has.
    """
    if value is None:
        return "(unset)"
    try:
        text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    except TypeError as error:
        raise ConfigError(f"not a value for a setting: {value!r}") from error
    return text.replace("\x7f", "\\u007f")


def template(root: type[msgspec.Struct], overrides: Mapping[str, object]) -> str:
    """Return the text of a file with all options; see `cocoon.config.config_template`.

    Raises:
        ConfigError: an override is not an option.
    """
    known = options(root)
    unknown = overrides.keys() - {option.name for option in known}
    if unknown:
        raise ConfigError(f"no such option: {', '.join(sorted(unknown))}")
    lines = ["# Settings of a Cocoon node. What is commented out shows the default."]
    table = ""
    for option in known:
        here, _, key = option.name.rpartition(".")
        if here != table:
            table = here
            lines += ["", f"[{table}]"]
        lines.append(f"# {option.description} ({option.kind})")
        chosen = option.name in overrides
        value = toml_value(overrides[option.name]) if chosen else option.default
        lines.append(f"{'' if chosen else '# '}{key} = {value}")
    return "\n".join(lines) + "\n"


def refusal(root: type[msgspec.Struct], error: str, text: str, source: str) -> str:
    """Turn msgspec's words into: file, line, table, what is wrong, what is allowed."""
    found = _PLACE.match(error)
    what, path = (found["what"], found["path"] or "") if found else (error, "")
    table_and_key = [part for part in path.split("[")[0].split(".") if part]
    named = _NAMED.findall(what)
    known = options(root)
    if table_and_key and ".".join(table_and_key) not in {option.name for option in known}:
        table_and_key += named[-1:] if "unknown" in what else _keys_among(named, known)
    elif not table_and_key:
        table_and_key = named[-1:]
    name = ".".join(table_and_key)
    line = _line_of(text, name)
    place = f"{source}, line {line}" if line else source
    table, _, key = name.rpartition(".")
    subject = f"[{table}] {key}" if table else key
    return f"{place}: {subject}: {_hint(what, name, known)}"


def _keys_among(words: list[str], known: list[Option]) -> list[str]:
    keys = {option.name.rpartition(".")[2] for option in known}
    return [word for word in words if word in keys][:1]


def _hint(what: str, name: str, known: list[Option]) -> str:
    kinds = {option.name: option.kind for option in known}
    if name in kinds:
        return f"{what}; allowed: {kinds[name]}"
    table, _, key = name.rpartition(".")
    below = f"{table}." if table else ""
    names = [
        option.removeprefix(below).split(".")[0] for option in kinds if option.startswith(below)
    ]
    siblings = list(dict.fromkeys(names))
    if key in siblings:
        return f"{what}; it is a table: [{name}]"
    close = difflib.get_close_matches(key, siblings, n=1)
    meant = f"did you mean `{close[0]}`? " if close else ""
    return f"{what}; {meant}there are: {', '.join(siblings)}"


def _line_of(text: str, name: str) -> int:
    """Return the line that sets *name*, or that opens its table, or 0."""
    table, table_line = "", 0
    wanted_table, _, wanted_key = name.rpartition(".")
    for number, line in enumerate(text.splitlines(), start=1):
        if opened := _TABLE.match(line):
            table = opened[1]
            table_line = number if table in {wanted_table, name} else table_line
        elif (key := _KEY.match(line)) and key[1] == wanted_key and table == wanted_table:
            return number
    return table_line
