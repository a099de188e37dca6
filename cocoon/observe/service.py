"""Lets an operator look into a running node: a private socket in the home, and metrics.

The socket (`node.sock`, mode 0600) answers every connection with one JSON document, the
`NodeStatus`, and closes; it takes no commands. Metrics are served over HTTP only where
``observe.metrics_listen`` names an address; there is no authentication, so keep it on
loopback or behind a firewall of your own.
"""

import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cocoon.errors import ConfigError
from cocoon.observe.metrics import CONTENT_TYPE, Metrics
from cocoon.observe.status import NodeStatus
from overlay.errors import PeerUnavailable

logger = logging.getLogger(__name__)

SOCKET_NAME: Final = "node.sock"
SOCKET_MODE: Final = 0o600
STATUS_BYTES_MAX: Final = 4 << 20
ANSWER_S: Final = 5.0
LOOKERS_MAX: Final = 16
BACKLOG: Final = 16
KEEP_ALIVE_S: Final = 5.0
GRACE_S: Final = 0.2
PORT_MAX: Final = 65_535


# --- the socket in the home ---


@asynccontextmanager
async def open_status_socket(home: Path, status: Callable[[], NodeStatus]) -> AsyncIterator[None]:
    """Answer `read_status` for the length of the block.

    A home whose path is too long for a socket is served without one, with a warning. A
    second node on the same home is refused by its journals, not here.
    """
    path = home / SOCKET_NAME
    try:
        listener = _bind(path)
    except OSError as error:
        logger.warning("`cocoon peers` will not see this node: %s: %s", path, error)
        yield
        return
    limit = trio.CapacityLimiter(LOOKERS_MAX)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(trio.serve_listeners, partial(_answer, status, limit), [listener])
        )
        try:
            yield
        finally:
            nursery.cancel_scope.cancel()
            path.unlink(missing_ok=True)


def _bind(path: Path) -> trio.SocketListener:
    """Bind the socket so that nobody but its owner can ever connect to it."""
    path.unlink(missing_ok=True)  # left by a node that was killed
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(SOCKET_MODE)  # before listen: until then nobody can connect
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return trio.SocketListener(trio.socket.from_stdlib_socket(bound))


async def _answer(
    status: Callable[[], NodeStatus], limit: trio.CapacityLimiter, stream: trio.SocketStream
) -> None:
    with trio.move_on_after(ANSWER_S), suppress(trio.BrokenResourceError):
        async with limit, stream:
            await stream.send_all(msgspec.json.encode(status()))


async def read_status(home: Path) -> NodeStatus:
    """Ask the node that runs on *home* for its status.

    Raises:
        PeerUnavailable: none runs there, or it does not answer.
    """
    path = home / SOCKET_NAME
    hint = f"no node runs on {home}; start one with `cocoon node` or `cocoon provide`"
    data = bytearray()
    try:
        with trio.fail_after(ANSWER_S):
            async with await trio.open_unix_socket(str(path)) as stream:
                async for part in stream:
                    data += part
                    if len(data) > STATUS_BYTES_MAX:
                        raise PeerUnavailable(f"what answers at {path} is not a node")
        return msgspec.json.decode(bytes(data), type=NodeStatus)
    except (OSError, trio.BrokenResourceError) as error:
        raise PeerUnavailable(hint) from error
    except (trio.TooSlowError, msgspec.MsgspecError) as error:
        raise PeerUnavailable(f"the node on {home} does not answer: {error}") from error


# --- metrics over HTTP ---


class TellsUrl(Protocol):
    """What ``nursery.start`` hands in: trio's own task status, told the URL."""

    def started(self, value: str) -> None:
        """Report that the server is ready."""
        ...


async def serve_metrics(
    address: str, metrics: Metrics, *, task_status: TellsUrl = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve ``GET /metrics`` on *address* (``host:port``) until cancelled; report the URL.

    Raises:
        ConfigError: the address is not like ``127.0.0.1:9464``, or cannot be bound.
    """
    config = Config()
    config.keep_alive_timeout, config.graceful_timeout = KEEP_ALIVE_S, GRACE_S
    config.accesslog, config.errorlog = None, logger
    # Bound here and not by the server, which leaks the socket when the port is taken.
    config.bind = [f"fd://{_listen(address).detach()}"]

    async def answer(_: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    app = cast("ASGIFramework", Starlette(routes=[Route("/metrics", answer)]))
    async with trio.open_nursery() as nursery:
        binds: list[str] = await nursery.start(partial(serve, app, config))
        task_status.started(f"{binds[0]}/metrics")


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    name = "observe.metrics_listen"
    if not host or not port.isascii() or not port.isdigit() or int(port[:6]) > PORT_MAX:
        raise ConfigError(f"{name}: {address!r} is not like 127.0.0.1:9464")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"{name}: cannot listen on {address}: {why}") from error
