"""Damage that knows the structure of what it damages: MessagePack, JSON, trees of cells.

A flipped bit mostly ends in the parser's first check. What comes behind is reached by inputs
that are well-formed and wrong: another type, a number out of range, a key that is missing, a
nesting without end, a length that is announced and does not come.
"""

import random
from collections.abc import Callable
from typing import Any, Final

import msgspec

from contracts.cells import CELL_BITS_MAX, CELL_REFS_MAX, EMPTY, Cell
from overlay.soak.fuzz import mutate

Damage = Callable[[random.Random, bytes], bytes]

NESTED_MAX: Final = 3000
"""Deeper than the interpreter's own stack allows."""
NUMBERS: Final = (
    0, -1, 1, 255, 256, 2**31 - 1, 2**31, 2**32, 2**40 + 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1,
    -(2**31) - 1, -(2**63), 10**18, 5 * 10**18,
)  # fmt: skip
LEAVES: Final[tuple[Any, ...]] = (
    None, True, False, 0.0, -1.5, float("inf"), float("nan"), "", "a", "\x00", "é" * 40, "9" * 90,
    "A" * 3000, "/" * 200, [], {}, [[]], {"type": "offer"}, "chat/", "0:" + "11" * 32,
)  # fmt: skip
LIES: Final = (
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff", b"\xdc\xff\xff", b"\xde\xff\xff", b"\xc9\xff\xff\xff\xff\x01",
    b"\xd4\xff\x00", b"\xc7\x0c\xff" + bytes(12), b"\xc1", b"\xd9\xff", b"\xc4\xff",
)  # fmt: skip
"""MessagePack headers that announce what does not come: arrays, maps, bytes, text, extensions."""

SETTINGS: Final = (
    b"-1", b"0", b"1e400", b"nan", b"9223372036854775808", b"[]", b"[[]]", b"{}", b'""', b"true",
    b'"' + b"x" * 300 + b'"', b"1979-05-27", b"[1, 'a']", b"'/ip4/1.2.3.4'", b"'0:1'", b"'1.5'",
)  # fmt: skip
"""Values in TOML."""


def bytewise(rng: random.Random, valid: bytes) -> bytes:
    """Return *valid* with a few bytes changed, or plain garbage."""
    if rng.random() < 0.15:
        return rng.randbytes(rng.randrange(600))
    return mutate(rng, valid)


def packed(rng: random.Random, valid: bytes) -> bytes:
    """Return a damaged MessagePack message."""
    chance = rng.random()
    if chance < 0.25:
        return bytewise(rng, valid)
    if chance < 0.35:
        where = rng.randrange(len(valid) + 1)
        return valid[:where] + rng.choice(LIES) + valid[where:]
    if chance < 0.4:
        return _deep(rng, b"\x91", b"\x81\xa1a") + valid
    return _encoded(msgspec.msgpack.encode, _reshaped(rng, msgspec.msgpack.decode(valid)), valid)


def json(rng: random.Random, valid: bytes) -> bytes:
    """Return a damaged JSON document."""
    chance = rng.random()
    if chance < 0.25:
        return bytewise(rng, valid)
    if chance < 0.3:
        return _deep(rng, b"[", b'{"a":') + valid
    if chance < 0.35:
        return valid.replace(b"1", b"1" * rng.randrange(2, 5000), 1)
    return _encoded(msgspec.json.encode, _reshaped(rng, msgspec.json.decode(valid)), valid)


def lines(rng: random.Random, valid: bytes) -> bytes:
    """Return ``name = value`` lines (TOML) of which some have another value."""
    if rng.random() < 0.2:
        return bytewise(rng, valid)
    changed = valid.split(b"\n")
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(changed))
        changed[at] = changed[at].partition(b"=")[0] + b"= " + rng.choice(SETTINGS)
    return b"\n".join(changed)


def cells(rng: random.Random, valid: bytes) -> bytes:
    """Return a bag of cells of which some were changed, or (seldom) a damaged bag.

    The checksum of a changed tree is right, so the damage reaches whoever reads the cells.
    """
    if rng.random() < 0.2:
        return bytewise(rng, valid)
    from contracts.cells import decode_boc, encode_boc  # noqa: PLC0415  (names of this module)

    root = decode_boc(valid)
    return encode_boc(_changed(rng, root, _count(root)))


def _encoded(encode: Callable[[Any], bytes], value: object, valid: bytes) -> bytes:
    try:
        return encode(value)
    except (OverflowError, TypeError, ValueError, RecursionError):  # not of this format
        return valid + b"\x00"


def _deep(rng: random.Random, *openings: bytes) -> bytes:
    return rng.choice(openings) * rng.randrange(2, NESTED_MAX)


# --- trees of maps and lists ---


def _reshaped(rng: random.Random, value: Any) -> Any:  # noqa: ANN401  (a tree of anything)
    """Return *value* with one to three of its nodes changed."""
    for _ in range(rng.randrange(1, 4)):
        value = _change_one(rng, value)
    return value


def _change_one(rng: random.Random, value: Any) -> Any:  # noqa: ANN401
    """Go down a random way, and change what is there."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        if rng.random() < 0.35:
            return _change_keys(rng, value, key)
        return value | {key: _change_one(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        if rng.random() < 0.25:
            return _change_length(rng, value, at)
        return [*value[:at], _change_one(rng, value[at]), *value[at + 1 :]]
    return _change_leaf(rng, value)


def _change_keys(rng: random.Random, value: dict[Any, Any], key: object) -> dict[Any, Any]:
    rest = {name: each for name, each in value.items() if name != key}
    change = rng.randrange(5)
    if change == 0:
        return rest
    if change == 1:
        return value | {f"{key}_": value[key]}
    if change == 2:
        return rest | {str(key).upper(): value[key]}
    if change == 3:
        return rest | {rng.choice((7, True, "", "type")): value[key]}
    return value | {f"more{number}": number for number in range(rng.choice((1, 40, 600)))}


def _change_length(rng: random.Random, value: list[Any], at: int) -> list[Any]:
    if rng.random() < 0.5:
        return [*value[:at], *value[at + 1 :]]
    return value[:at] + [value[at]] * rng.choice((2, 65, 700)) + value[at + 1 :]


def _change_leaf(rng: random.Random, value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, int) and rng.random() < 0.6:
        return rng.choice(NUMBERS)
    if isinstance(value, bytes) and rng.random() < 0.6:
        return rng.choice((value[:-1], value + b"\x00", b"", rng.randbytes(len(value))))
    if isinstance(value, str) and rng.random() < 0.4:
        return rng.choice((value[:-1], value + "é", value.upper(), value * 40))
    if rng.random() < 0.3:
        return {"a": value} if rng.random() < 0.5 else [value]
    return rng.choice((*NUMBERS, *LEAVES))


# --- trees of cells ---


def _count(root: Cell) -> int:
    """Return how many cells a walk over *root* meets, at most 64."""
    count, waiting = 0, [root]
    while waiting and count < 64:
        count += 1
        waiting += waiting.pop().refs
    return count


def _changed(rng: random.Random, root: Cell, count: int) -> Cell:
    """Return *root* with about one cell in *count* changed."""
    refs = [_changed(rng, each, count) for each in root.refs] if count > 1 else list(root.refs)
    bits, size = root.bits, root.size_bits
    if rng.random() * count < 1.5:
        bits, size, refs = _change_cell(rng, bits, size, refs)
    if root.exotic:
        return root
    return Cell(bits, size, tuple(refs))


def _change_cell(
    rng: random.Random, bits: int, size: int, refs: list[Cell]
) -> tuple[int, int, list[Cell]]:
    change = rng.randrange(6)
    if change < 2 and size:
        return bits ^ (1 << rng.randrange(size)), size, refs
    if change == 2:
        cut = rng.randrange(size + 1)
        return bits >> (size - cut), cut, refs
    if change == 3:
        more = rng.randrange(CELL_BITS_MAX - size + 1)
        return (bits << more) | rng.getrandbits(more), size + more, refs
    if change == 4 and refs:
        refs.pop(rng.randrange(len(refs)))
    elif len(refs) < CELL_REFS_MAX:
        refs.insert(rng.randrange(len(refs) + 1), rng.choice((EMPTY, *refs)))
    return bits, size, refs
