"""Runs an emscripten-built WebAssembly module under wasmtime, without JavaScript.

The one adapter to wasmtime. It implements as much of emscripten's JavaScript
runtime as the TON emulator and the Tolk compiler use: C strings, C++ exceptions
(mostly in WebAssembly, see `contracts._invoke_shim`), a clock that stands still, no
files and no network. The names of imports and exports are minified; the glue script
that comes with each module tells what they mean.

Source: emscripten's `src/lib/libexceptions.js` (layout of ``__cxa_exception``).
"""

import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import wasmtime as wt

from contracts import _invoke_shim
from contracts.durable_file import write_atomically

_Extern = TypeVar("_Extern", wt.Func, wt.Table, wt.Memory)

CSTRING_BYTES_MAX: Final = 16 << 20
_MEMORY_BYTES_MAX: Final = 1 << 30
_PAGE_BYTES: Final = 1 << 16
_ENOENT: Final = 44

FAILURES: Final = (wt.Trap, wt.WasmtimeError)
"""What a call raises when the module trapped; the instance must not be used again."""


class Aborted(wt.WasmtimeError):
    """The module called an import that we do not implement."""


class Instance:
    """One running module.

    Args:
        wasm: the module.
        glue: the JavaScript that emscripten made for it.
        cache: directory of compiled modules; compiling takes seconds, loading does not.
    """

    def __init__(self, wasm: bytes, glue: str, cache: Path) -> None:
        config = wt.Config()
        config.max_wasm_stack = 1 << 20
        config.wasm_exceptions = True
        self._engine = wt.Engine(config)
        self._store = wt.Store(self._engine)
        module = _compiled(self._engine, wasm, cache)
        names = _Names(glue)
        self._host = _Host(self._store)
        self._functions: dict[str, wt.Func] = {}
        self._buffer = self._buffer_bytes = 0
        self._table_slots = _table_slots(module, names.exports["wasmTable"])
        self._shim = self._make_shim(module, names)
        self._exports = self._instantiate(module, names).exports(self._store)
        self._names = names
        memory = _extern(self._exports, names.exports["wasmMemory"], wt.Memory)
        self._host.bind(self._function, memory)
        self._wire(
            _invoke_shim.wiring(self._table_slots),
            stack_get="_emscripten_stack_get_current",
            stack_set="__emscripten_stack_restore",
            threw="_setThrew",
            memory="wasmMemory",
        )
        _extern(self._exports, names.constructor, wt.Func)(self._store)

    def call(self, name: str, *arguments: int) -> int:
        """Call an exported function by its C name with a leading underscore."""
        return int(self._function(name)(self._store, *arguments) or 0)

    def new_string(self, text: bytes) -> int:
        """Copy *text* into the module's memory; release it with `free`."""
        pointer = self.call("_malloc", len(text) + 1)
        self._host.write(pointer, text + b"\0")
        return pointer

    def place(self, texts: Sequence[bytes]) -> list[int]:
        """Copy *texts* into a buffer of ours; the pointers are good until the next call.

        One allocation for the life of the module: a call into WebAssembly costs more
        than the copying.
        """
        needed = sum(map(len, texts)) + len(texts)
        if needed > self._buffer_bytes:
            if self._buffer:
                self.free(self._buffer)
            self._buffer_bytes = 2 * needed
            self._buffer = self.call("_malloc", self._buffer_bytes)
        self._host.write(self._buffer, b"\0".join(texts) + b"\0")
        pointers = [self._buffer]
        for text in texts[:-1]:
            pointers.append(pointers[-1] + len(text) + 1)
        return pointers

    def take_string(self, pointer: int) -> bytes:
        """Read a C string and free it."""
        text = self.read_string(pointer)
        self.free(pointer)
        return text

    def read_string(self, pointer: int) -> bytes:
        """Read a C string."""
        return self._host.read_string(pointer)

    def write_pointer(self, where: int, pointer: int) -> None:
        """Store a 32-bit pointer."""
        self._host.write_u32(where, pointer)

    def free(self, pointer: int) -> None:
        """Release memory of the module."""
        self.call("_free", pointer)

    def add_callback(self, function: Callable[..., None], params: int) -> int:
        """Make a Python function callable through a C function pointer.

        Args:
            function: takes *params* 32-bit numbers, returns nothing.
            params: how many.

        Returns:
            The function pointer.
        """
        kind = wt.FuncType([wt.ValType.i32()] * params, [])
        table = _extern(self._exports, self._names.exports["wasmTable"], wt.Table)
        index = table.grow(self._store, 1, wt.Func(self._store, kind, function))
        ours = _extern(self._shim.exports(self._store), "t", wt.Table)
        if (short := index + 1 - ours.size(self._store)) > 0:
            ours.grow(self._store, short, None)
        self._wire(_invoke_shim.slot_copy(index))
        return index

    def _function(self, name: str) -> wt.Func:
        found = self._functions.get(name)
        if found is None:
            found = _extern(self._exports, self._names.exports[name], wt.Func)
            self._functions[name] = found
        return found

    def _make_shim(self, module: wt.Module, names: "_Names") -> wt.Instance:
        invokes = [
            _invoke_shim.Invoke(
                name,
                tuple(str(kind) for kind in item.type.params),
                tuple(str(kind) for kind in item.type.results),
            )
            for item in module.imports
            if isinstance(item.type, wt.FuncType)
            and (name := names.imports[str(item.name)]).startswith("invoke_")
        ]
        linker = wt.Linker(self._engine)
        i32 = wt.ValType.i32()
        for name, params in (("note_throw", 3), ("note_resume", 1), ("note_rethrow", 0)):
            kind = wt.FuncType([i32] * params, [])
            linker.define_func("host", name, kind, getattr(self._host, name))
        text = _invoke_shim.shim(invokes, self._table_slots)
        return linker.instantiate(self._store, wt.Module(self._engine, text))

    def _instantiate(self, module: wt.Module, names: "_Names") -> wt.Instance:
        linker = wt.Linker(self._engine)
        shim = self._shim.exports(self._store)
        for item in module.imports:
            name = names.imports[str(item.name)]
            if name in shim:
                linker.define(self._store, item.module, str(item.name), shim[name])
            elif isinstance(item.type, wt.FuncType):
                function = self._host.function(name)
                linker.define_func(item.module, str(item.name), item.type, function)
        return linker.instantiate(self._store, module)

    def _wire(self, text: str, **imports: str) -> None:
        linker = wt.Linker(self._engine)
        imports = {"from": "wasmTable", **imports}
        linker.define(self._store, "m", "to", self._shim.exports(self._store)["t"])
        for name, export in imports.items():
            linker.define(self._store, "m", name, self._exports[self._names.exports[export]])
        instance = linker.instantiate(self._store, wt.Module(self._engine, text))
        _extern(instance.exports(self._store), "go", wt.Func)(self._store)


class _Names:
    """What the minified names of a module mean, read from its glue script."""

    def __init__(self, glue: str) -> None:
        imports = re.search(r"wasmImports=\{([^}]*)\}", glue)
        constructor = re.search(
            r'(?:TTY\.init\(\);|runtimeInitialized=true;)wasmExports\["(\w+)"\]\(\)', glue
        )
        if imports is None or constructor is None:
            raise Aborted("the glue script is of another emscripten version")
        pairs = (pair.split(":") for pair in imports.group(1).split(","))
        self.imports = {minified.strip('"'): name for minified, name in pairs}
        self.exports: dict[str, str] = dict(
            re.findall(r'(\w+)=(?:Module\["\w+"\]=)?wasmExports\["(\w+)"\]', glue)
        )
        self.constructor = constructor.group(1)


class _Host:
    """The imports that stay in Python: caught exceptions, memory growth, refusals.

    An exception object has a header of 24 bytes in front: type at 4, destructor at 8,
    caught at 12, rethrown at 13, adjusted pointer at 16.
    """

    def __init__(self, store: wt.Store) -> None:
        self._store = store
        self._last = 0
        self._caught: list[int] = []
        self._uncaught = 0

    def bind(self, exported: Callable[[str], wt.Func], memory: wt.Memory) -> None:
        """Learn the module's exports, which exist only after its imports."""
        self._exported = exported
        self._memory = memory

    def write(self, pointer: int, data: bytes) -> None:
        self._memory.write(self._store, data, pointer)

    def write_u32(self, pointer: int, value: int) -> None:
        self.write(pointer, (value % 2**32).to_bytes(4, "little"))

    def read_u32(self, pointer: int) -> int:
        return int.from_bytes(self._memory.read(self._store, pointer, pointer + 4), "little")

    def read_string(self, pointer: int) -> bytes:
        text, chunk = bytearray(), 1024
        while len(text) < CSTRING_BYTES_MAX:
            block = self._memory.read(self._store, pointer, pointer + chunk)
            if (end := block.find(b"\0")) >= 0:
                return bytes(text + block[:end])
            if not block:
                break
            text += block
            pointer += len(block)
            chunk = min(chunk * 4, _PAGE_BYTES)
        raise Aborted("a string without an end")

    def function(self, name: str) -> Callable[..., Any]:
        """Return the implementation of import *name*."""
        if name.startswith("___cxa_find_matching_catch"):
            return self._find_catch
        if name.startswith("___syscall"):
            return lambda *_arguments: -_ENOENT
        own: dict[str, Callable[..., Any]] = {
            "___cxa_begin_catch": self._begin_catch,
            "___cxa_end_catch": self._end_catch,
            "___cxa_uncaught_exceptions": lambda: self._uncaught,
            "_llvm_eh_typeid_for": lambda kind: kind,
            "_emscripten_resize_heap": self._resize_heap,
            "_emscripten_get_heap_max": lambda: _MEMORY_BYTES_MAX,
            "_environ_sizes_get": self._environ_sizes,
            "_environ_get": lambda *_arguments: 0,
            "_fd_close": lambda _fd: 0,
            "_fd_write": self._fd_write,
            "_random_get": self._random,
            "_emscripten_date_now": lambda: 1.7e12,
            "__gmtime_js": self._gmtime,
            "__localtime_js": self._gmtime,
            "__tzset_js": lambda *_arguments: None,
            "__munmap_js": lambda *_arguments: -28,
            "_emscripten_asm_const_int": lambda *_arguments: 0,
            "__emscripten_log_formatted": lambda *_arguments: None,
        }
        return own.get(name) or _refusal(name)

    def note_throw(self, pointer: int, kind: int, destructor: int) -> None:
        header = pointer - 24
        self.write_u32(header + 16, 0)
        self.write_u32(header + 4, kind)
        self.write_u32(header + 8, destructor)
        self._last = pointer
        self._uncaught += 1

    def note_resume(self, pointer: int) -> None:
        self._last = self._last or pointer

    def note_rethrow(self) -> None:
        pointer = self._caught.pop()
        header = pointer - 24
        if not self._flag(header + 13):
            self._caught.append(pointer)
            self.write(header + 12, b"\0\1")
            self._uncaught += 1
        self._last = pointer

    def _flag(self, pointer: int) -> bool:
        return self._memory.read(self._store, pointer, pointer + 1) != b"\0"

    def _find_catch(self, *kinds: int) -> int:
        thrown = self._last
        caught_as = 0
        if thrown:
            header = thrown - 24
            self.write_u32(header + 16, thrown)
            caught_as = self._catching(kinds, self.read_u32(header + 4), header + 16)
        self._exported("__emscripten_tempret_set")(self._store, caught_as)
        return thrown

    def _catching(self, kinds: tuple[int, ...], thrown_kind: int, adjusted: int) -> int:
        can_catch = self._exported("___cxa_can_catch")
        for kind in kinds if thrown_kind else ():
            if kind in (0, thrown_kind):
                break
            if can_catch(self._store, kind, thrown_kind, adjusted):
                return kind
        return thrown_kind

    def _begin_catch(self, pointer: int) -> int:
        header = pointer - 24
        if not self._flag(header + 12):
            self.write(header + 12, b"\1")
            self._uncaught -= 1
        self.write(header + 13, b"\0")
        self._caught.append(pointer)
        self._exported("___cxa_increment_exception_refcount")(self._store, pointer)
        return int(self._exported("___cxa_get_exception_ptr")(self._store, pointer))

    def _end_catch(self) -> None:
        self._exported("_setThrew")(self._store, 0, 0)
        self._exported("___cxa_decrement_exception_refcount")(self._store, self._caught.pop())
        self._last = 0

    def _resize_heap(self, requested: int) -> int:
        size = self._memory.data_len(self._store)
        wanted = max(requested % 2**32, int(size * 1.2))
        if wanted > _MEMORY_BYTES_MAX:
            return 0
        self._memory.grow(self._store, -(-(wanted - size) // _PAGE_BYTES))
        return 1

    def _environ_sizes(self, count: int, size: int) -> int:
        self.write_u32(count, 0)
        self.write_u32(size, 0)
        return 0

    def _fd_write(self, _fd: int, vectors: int, count: int, written: int) -> int:
        lengths = (self.read_u32(vectors + 8 * number + 4) for number in range(count))
        self.write_u32(written, sum(lengths))  # the module's own log: read by nobody
        return 0

    def _random(self, buffer: int, size: int) -> int:
        self.write(buffer, bytes(size))  # randomness of the chain is ours to choose
        return 0

    def _gmtime(self, seconds: int, fields: int) -> None:
        moment = time.gmtime(seconds)
        values = (*moment[5:2:-1], moment[2], moment[1] - 1, moment[0] - 1900)
        days = ((moment[6] + 1) % 7, moment[7] - 1, 0, 0)
        for number, value in enumerate((*values, *days)):
            self.write_u32(fields + 4 * number, value)


def _extern(exports: Mapping[str, object], name: str, kind: type[_Extern]) -> _Extern:
    value = exports[name]
    if not isinstance(value, kind):
        raise Aborted(f"export {name} is not a {kind.__name__}")
    return value


def _refusal(name: str) -> Callable[..., Any]:
    def refuse(*_arguments: int) -> None:
        raise Aborted(f"the module called {name}")

    return refuse


def _table_slots(module: wt.Module, export: str) -> int:
    for item in module.exports:
        if item.name == export and isinstance(item.type, wt.TableType):
            return item.type.limits.min
    raise Aborted("the module exports no table")


def compiled_path(wasm: bytes, cache: Path) -> Path:
    """Return where the compiled module is kept."""
    identity = f"{sha256(wasm).hexdigest()[:16]}-{version('wasmtime')}-{platform.machine()}"
    return cache / f"{identity}.cwasm"


def _compiled(engine: wt.Engine, wasm: bytes, cache: Path) -> wt.Module:
    path = compiled_path(wasm, cache)
    if path.exists():
        try:
            return wt.Module.deserialize_file(engine, str(path))
        except wt.WasmtimeError:  # of another processor, or cut off: compile again
            path.unlink(missing_ok=True)
    module = wt.Module(engine, wasm)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, bytes(module.serialize()))
    return module


def default_cache(assets: Path) -> Path:
    """Return where compiled modules are kept when nobody says otherwise."""
    return Path(os.environ.get("COCOON_WASM_CACHE") or assets / "compiled")
