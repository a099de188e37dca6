"""CUDA graphs: launches that repeat are recorded once, and then started by one call of the driver.

A decoded token takes hundreds of launches, the same ones for every token; what changes is in the
card's memory. PyCUDA has no graphs, so six functions of the driver are called here, in the library
that PyCUDA has loaded and on PyCUDA's stream.

Source: CUDA driver API, "Stream Management" (capture) and "Graph Management".
Built against the headers of CUDA 13 and run on an emulated driver; never run on a card by us.
"""

import ctypes
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final

from kernels.errors import LaunchError

logger = logging.getLogger(__name__)

GRAPHS_MAX: Final = 64
"""Series that are remembered; the one that was not used for longest goes first."""

CAPTURE_THREAD_LOCAL: Final = 1
"""Of CUstreamCaptureMode: what other threads do cannot break a recording."""

_HANDLE: Final = ctypes.c_void_p
_HANDLE_OUT: Final = ctypes.POINTER(ctypes.c_void_p)
_FUNCTIONS: Final[dict[str, tuple[Any, ...]]] = {
    "cuStreamBeginCapture_v2": (_HANDLE, ctypes.c_int),
    "cuStreamEndCapture": (_HANDLE, _HANDLE_OUT),
    "cuGraphInstantiateWithFlags": (_HANDLE_OUT, _HANDLE, ctypes.c_ulonglong),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuGraphDestroy": (_HANDLE,),
    "cuGetErrorString": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
}


class RecordingRefused(LaunchError):
    """The driver makes no graph of launches that it takes one by one."""


class GraphCalls:
    """The driver's functions for graphs, on one stream.

    Args:
        stream: handle of the stream whose launches are recorded and repeated.

    Raises:
        AttributeError: the driver is older than CUDA 11.4 and lacks one of them.
        OSError: the library cannot be loaded.
    """

    def __init__(self, stream: int) -> None:
        library = ctypes.CDLL("libcuda.so.1")
        self._stream = stream
        self._functions = {name: getattr(library, name) for name in _FUNCTIONS}
        for name, types in _FUNCTIONS.items():
            self._functions[name].argtypes = types

    def record(self, launches: Callable[[], None]) -> int:
        """Return the graph of *launches*, which are recorded and not run.

        Raises:
            RecordingRefused: the driver does not make one.
            LaunchError: they did something that is not a launch.
        """
        graph, runnable = ctypes.c_void_p(), ctypes.c_void_p()
        self._ask("cuStreamBeginCapture_v2", self._stream, CAPTURE_THREAD_LOCAL)
        try:
            launches()
        except BaseException:
            self._functions["cuStreamEndCapture"](self._stream, ctypes.byref(graph))
            self._functions["cuGraphDestroy"](graph)
            raise
        self._ask("cuStreamEndCapture", self._stream, ctypes.byref(graph))
        try:
            self._ask("cuGraphInstantiateWithFlags", ctypes.byref(runnable), graph, 0)
        finally:
            self._functions["cuGraphDestroy"](graph)
        return runnable.value or 0

    def start(self, graph: int) -> None:
        """Start all launches of *graph*, in order; they may still run on return.

        Raises:
            LaunchError: the driver fails.
        """
        if trouble := self._call("cuGraphLaunch", graph, self._stream):
            raise LaunchError(trouble)

    def destroy(self, graph: int) -> None:
        """Forget *graph*; one that still runs comes to its end. With a dead context it is gone."""
        self._functions["cuGraphExecDestroy"](graph)

    def _ask(self, name: str, *arguments: object) -> None:
        if trouble := self._call(name, *arguments):
            raise RecordingRefused(trouble)

    def _call(self, name: str, *arguments: object) -> str:
        """Call the driver; return what went wrong, or ""."""
        result = self._functions[name](*arguments)
        if not result:
            return ""
        text = ctypes.c_char_p()
        self._functions["cuGetErrorString"](result, ctypes.byref(text))
        return f"CUDA: {name}: {(text.value or b'unknown error').decode(errors='replace')}"


def open_graph_calls(stream: int) -> GraphCalls | None:
    """Return the functions for graphs, or None where the driver has none."""
    try:
        return GraphCalls(stream)
    except (AttributeError, OSError):
        return None


class Graphs:
    """Series of launches by key: run the first time, recorded the second, then repeated.

    The first run loads what is loaded late, which a recording may not do; and what runs only once
    is not worth a recording. A driver that refuses to record gets every launch from then on.

    Args:
        calls: None runs every series launch by launch.
    """

    def __init__(self, calls: GraphCalls | None) -> None:
        self._calls = calls
        self._known: OrderedDict[Hashable, _Graph | None] = OrderedDict()
        self._used: set[object] | None = None

    def run(self, key: Hashable, launches: Callable[[], None]) -> None:
        """Do *launches*, or what they did before under this *key*.

        Raises:
            LaunchError: as `GraphCalls.record`, or this is inside another series.
        """
        if self._used is not None:
            raise LaunchError("a series of launches inside another")
        self._used = set()
        try:
            self._run(key, launches)
        finally:
            self._used = None

    def _run(self, key: Hashable, launches: Callable[[], None]) -> None:
        if self._calls is None or key not in self._known:
            launches()
            self._remember(key, None)
            return
        try:
            graph = self._known[key] or self._record(self._calls, launches)
        except RecordingRefused as error:
            logger.warning("no graphs, each launch goes to the card alone: %s", error)
            self.clear()
            self._calls = None
            launches()
            return
        self._remember(key, graph)
        self._calls.start(graph.handle)

    def note(self, buffer: object) -> None:
        """A launch uses *buffer*: a series that is recorded now is forgotten with it."""
        if self._used is not None:
            self._used.add(buffer)

    def forget(self, buffer: object) -> None:
        """*buffer* is about to be freed: nothing that uses it may run again."""
        for key, graph in tuple(self._known.items()):
            if graph is not None and buffer in graph.buffers:
                self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        for key in tuple(self._known):
            self._drop(key)

    def _record(self, calls: GraphCalls, launches: Callable[[], None]) -> "_Graph":
        handle = calls.record(launches)
        return _Graph(handle, frozenset(self._used or ()))

    def _remember(self, key: Hashable, graph: "_Graph | None") -> None:
        self._known[key] = graph
        self._known.move_to_end(key)
        if len(self._known) > GRAPHS_MAX:
            self._drop(next(iter(self._known)))

    def _drop(self, key: Hashable) -> None:
        graph = self._known.pop(key)
        if graph is not None and self._calls is not None:
            self._calls.destroy(graph.handle)


class _Graph:
    """A recorded series, and the buffers whose addresses are in it."""

    def __init__(self, handle: int, buffers: frozenset[object]) -> None:
        self.handle: Final = handle
        self.buffers: Final = buffers
