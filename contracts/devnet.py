"""Our local TON network over HTTP: toncenter's v2 API, and what only a devnet can do.

Under ``/api/v2/`` (and, for short, ``/``) the methods that clients of toncenter use,
with the same parameters, answers and error codes, by GET, POST and ``/jsonRPC``. Under
``/devnet/``: faucet, time warp, supply, snapshots. There is no authentication, so it
binds to loopback unless told otherwise.

Every request is bounded in size and time; garbage gets a typed answer.
"""

import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Protocol, cast

import msgspec
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.decoding import decode_json
from contracts.devnet_api import METHODS, Api
from contracts.devnet_control import CONTROLS, LOOKS
from contracts.devnet_file import Kept
from contracts.devnet_service import NOTHING_KEPT, Devnet, open_devnet
from contracts.embedded import EmbeddedChain
from contracts.errors import ContractError, InvalidData, MessageRejected

LOOPBACK: Final = "127.0.0.1"
REQUEST_BYTES_MAX: Final = 1 << 18
REQUEST_S: Final = 10.0
KEEP_ALIVE_S: Final = 30.0
GRACE_S: Final = 1.0

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]

_log = logging.getLogger(__name__)


class _Refused(Exception):
    """An answer other than success: the HTTP status and what to say."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Rpc(msgspec.Struct, frozen=True):
    method: Annotated[str, msgspec.Meta(max_length=64)]
    params: dict[str, Any] = {}
    id: str | int | None = None


_NO_REQUEST: Final = "not a request"


class TellsUrl(Protocol):
    """What ``nursery.start`` hands in: trio's own task status, told the base URL."""

    def started(self, value: str) -> None:
        """Report that the server is ready."""
        ...


async def serve_devnet(
    chain: EmbeddedChain,
    host: str = LOOPBACK,
    port: int = 0,
    *,
    clock: Callable[[], int],
    task_status: TellsUrl = trio.TASK_STATUS_IGNORED,
    persist_path: Path | None = None,
    kept: Mapping[int, Kept] = NOTHING_KEPT,
) -> None:
    """Serve *chain* until cancelled. Reports the base URL when it is ready.

    Args:
        chain: a new one, or one that `read_devnet` read from *persist_path*.
        host: what to bind to. Anyone who can reach it can print money.
        port: 0 takes a free one.
        clock: returns the time, in unix seconds.
        task_status: gets ``http://host:port``.
        persist_path: every change is on disk here before it is answered.
        kept: the snapshots that were read with *chain*.

    Raises:
        OSError: the port cannot be bound.
    """
    async with open_devnet(chain, clock=clock, persist_path=persist_path, kept=kept) as devnet:
        await serve_open_devnet(devnet, host, port, task_status=task_status)


async def serve_open_devnet(
    devnet: Devnet,
    host: str = LOOPBACK,
    port: int = 0,
    *,
    task_status: TellsUrl = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a devnet that runs already, until cancelled; else as `serve_devnet`.

    Raises:
        OSError: the port cannot be bound.
    """
    config = Config()
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.graceful_timeout = GRACE_S
    config.accesslog, config.errorlog = None, _log
    async with trio.open_nursery() as nursery:
        # Bound here and not by the server, which leaks the socket when the port is taken.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        config.bind = [f"fd://{socket.create_server((host, port), family=family).detach()}"]
        app = cast("ASGIFramework", devnet_app(devnet))
        binds: list[str] = await nursery.start(partial(serve, app, config))
        task_status.started(binds[0])


def devnet_app(devnet: Devnet) -> Starlette:
    """Return the HTTP application around *devnet*."""
    api = Api(devnet)
    methods: dict[str, Handler] = {name: partial(run, api) for name, run in METHODS.items()}
    controls: dict[str, Handler] = {name: partial(run, devnet) for name, run in CONTROLS.items()}
    looks: dict[str, Handler] = {name: partial(run, devnet) for name, run in LOOKS.items()}
    rpc = partial(_answer_rpc, methods)
    plain = partial(_answer, methods)
    return Starlette(
        routes=[
            Route("/devnet/{method}", partial(_answer, looks), methods=["GET"]),
            Route("/devnet/{method}", partial(_answer, controls | looks), methods=["POST"]),
            Route("/api/v2/jsonRPC", rpc, methods=["POST"]),
            Route("/jsonRPC", rpc, methods=["POST"]),
            Route("/api/v2/{method}", plain, methods=["GET", "POST"]),
            Route("/{method}", plain, methods=["GET", "POST"]),
        ]
    )


async def _answer(handlers: Mapping[str, Handler], request: Request) -> Response:
    try:
        with trio.fail_after(REQUEST_S):
            return _reply(200, {"ok": True, "result": await _run(handlers, request)})
    except (_Refused, ContractError, trio.TooSlowError, ClientDisconnect) as error:
        return _failure(error, {})


async def _run(handlers: Mapping[str, Handler], request: Request) -> object:
    handler = _handler(handlers, request.path_params["method"])
    parameters: dict[str, Any] = {**request.query_params}
    if request.method == "POST":
        body = await _body(request)
        if body.strip():
            sent: dict[str, Any] = decode_json(body, dict[str, Any], _NO_REQUEST)
            parameters |= sent
    return await handler(parameters)


async def _answer_rpc(handlers: Mapping[str, Handler], request: Request) -> Response:
    extra: dict[str, Any] = {"jsonrpc": "2.0", "id": None}
    try:
        with trio.fail_after(REQUEST_S):
            call = decode_json(await _body(request), _Rpc, _NO_REQUEST)
            extra["id"] = call.id
            result = await _handler(handlers, call.method)(call.params)
            return _reply(200, {"ok": True, "result": result, **extra})
    except (_Refused, ContractError, trio.TooSlowError, ClientDisconnect) as error:
        return _failure(error, extra)


def _handler(handlers: Mapping[str, Handler], name: str) -> Handler:
    handler = handlers.get(name)
    if handler is None:
        raise _Refused(404, f"no method {name[:64]!r}")
    return handler


async def _body(request: Request) -> bytes:
    body = bytearray()
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            body += part
            if len(body) > REQUEST_BYTES_MAX:
                raise _Refused(413, f"a request has at most {REQUEST_BYTES_MAX} bytes")
    return bytes(body)


def _failure(error: Exception, extra: Mapping[str, Any]) -> Response:
    match error:
        case _Refused(status=status):
            message = str(error)
        case MessageRejected():
            status, message = 500, _rejection(error)
        case InvalidData():
            status, message = 422, str(error)
        case trio.TooSlowError():
            status, message = 504, f"no answer within {REQUEST_S} s"
        case ClientDisconnect():
            status, message = 400, "the client went away"
        case _:
            status, message = 500, f"LITE_SERVER_UNKNOWN: {error}"
    if not isinstance(error, _Refused | MessageRejected | InvalidData):
        _log.warning("a request failed: %r", error)
    return _reply(status, {"ok": False, "error": message, "code": status, **extra})


def _rejection(error: MessageRejected) -> str:
    """Say it as a lite server does; clients read the exit code out of this text."""
    code = "" if error.exit_code is None else f"\nexitcode={error.exit_code}, "
    return (
        "LITE_SERVER_UNKNOWN: cannot apply external message to current state : "
        f"External message was not accepted\nCannot run message on account: {error}{code}"
    )


def _reply(status: int, content: Mapping[str, Any]) -> Response:
    data = msgspec.json.encode(content)
    return Response(data, status_code=status, media_type="application/json")
