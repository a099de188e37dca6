"""WebAssembly text that lets emscripten's C++ exceptions run without leaving WebAssembly.

Emscripten's JavaScript ABI calls every function that may throw through an import
``invoke_*`` and catches in JavaScript. Done in Python that costs thousands of host
calls a transaction; here the same imports are generated as WebAssembly that catches
with native exceptions (the exception-handling proposal), and cost none.

The emulator's function table is copied into ours once (`wiring`), because table
imports must exist before the emulator does. Behind it come four slots for the
emulator's own stack functions and a clock that stands still.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

_GUARD_SLOTS: Final = 64
_OWN_SLOTS: Final = 8


class Invoke(NamedTuple):
    """An import ``invoke_*``: its name, and value types of parameters and results."""

    name: str
    params: tuple[str, ...]
    results: tuple[str, ...]


def shim(invokes: Sequence[Invoke], table_slots: int) -> str:
    """Return the module that provides *invokes*, the throwing functions and the clock.

    Args:
        invokes: every ``invoke_*`` import; the first parameter is the table index.
        table_slots: size of the emulator's function table.
    """
    own = table_slots + _GUARD_SLOTS
    signatures = sorted({(invoke.params[1:], invoke.results) for invoke in invokes})
    type_of = {signature: f"$call{number}" for number, signature in enumerate(signatures)}
    parts = [
        _HEAD,
        f'(table $t (export "t") {own + _OWN_SLOTS} funcref)',
        *(f"(type {name} {_signature(*signature)})" for signature, name in type_of.items()),
        *(_invoke(invoke, type_of[invoke.params[1:], invoke.results], own) for invoke in invokes),
        _THROWS,
        _clock(own),
        ")",
    ]
    return "\n".join(parts)


def wiring(table_slots: int) -> str:
    """Return the module that connects the emulator, once it exists, to the shim's table."""
    own = table_slots + _GUARD_SLOTS
    sets = "\n".join(
        f"(table.set $to (i32.const {own + slot}) (ref.func {function}))"
        for slot, function in enumerate(("$stack_get", "$stack_set", "$threw", "$clock"))
    )
    return f"""(module
(import "m" "from" (table $from 1 funcref)) (import "m" "to" (table $to 1 funcref))
(import "m" "stack_get" (func $stack_get (result i32)))
(import "m" "stack_set" (func $stack_set (param i32)))
(import "m" "threw" (func $threw (param i32 i32)))
(import "m" "memory" (memory 1))
(func $clock (param i32 i64 i32) (result i32)
  (i64.store align=1 (local.get 2) (i64.const 1700000000000000000)) (i32.const 0))
(elem declare func $stack_get $stack_set $threw $clock)
(func (export "go")
  (table.copy $to $from (i32.const 0) (i32.const 0) (i32.const {table_slots}))
{sets}))"""


def slot_copy(index: int) -> str:
    """Return the module that copies one later addition to the emulator's table."""
    return f"""(module
(import "m" "from" (table $from 1 funcref)) (import "m" "to" (table $to 1 funcref))
(func (export "go")
  (table.copy $to $from (i32.const {index}) (i32.const {index}) (i32.const 1))))"""


def _signature(params: tuple[str, ...], results: tuple[str, ...]) -> str:
    return f"(func {_clause('param', params)} {_clause('result', results)})"


def _clause(word: str, types: tuple[str, ...]) -> str:
    return f"({word} {' '.join(types)})" if types else ""


def _invoke(invoke: Invoke, call_type: str, own: int) -> str:
    arguments = " ".join(f"(local.get {number})" for number in range(1, len(invoke.params)))
    nothing = f"({invoke.results[0]}.const 0)" if invoke.results else ""
    return f"""(func (export "{invoke.name}") (param {" ".join(invoke.params)})
  {_clause("result", invoke.results)} (local $stack i32)
  (local.set $stack (call_indirect $t (type $get) (i32.const {own})))
  (block $caught
    (try_table (catch $cxx $caught)
      {arguments} (local.get 0) (call_indirect $t (type {call_type})) return)
    unreachable)
  (call_indirect $t (type $set) (local.get $stack) (i32.const {own + 1}))
  (call_indirect $t (type $two) (i32.const 1) (i32.const 0) (i32.const {own + 2}))
  {nothing})"""


def _clock(own: int) -> str:
    return f"""(func (export "_clock_time_get") (param i32 i64 i32) (result i32)
  (call_indirect $t (type $clock)
    (local.get 0) (local.get 1) (local.get 2) (i32.const {own + 3})))"""


_HEAD: Final = """(module
(import "host" "note_throw" (func $note_throw (param i32 i32 i32)))
(import "host" "note_resume" (func $note_resume (param i32)))
(import "host" "note_rethrow" (func $note_rethrow))
(type $get (func (result i32)))
(type $set (func (param i32)))
(type $two (func (param i32 i32)))
(type $clock (func (param i32 i64 i32) (result i32)))
(tag $cxx (export "cxx"))"""

_THROWS: Final = """(func (export "___cxa_throw") (param i32 i32 i32)
  (call $note_throw (local.get 0) (local.get 1) (local.get 2)) (throw $cxx))
(func (export "___resumeException") (param i32)
  (call $note_resume (local.get 0)) (throw $cxx))
(func (export "___cxa_rethrow") (call $note_rethrow) (throw $cxx))"""
