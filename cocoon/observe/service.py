"""Lets an operator look into a running node: a private socket in the home, and metrics.

The socket (`node.sock`, mode 0600) answers every connection with one JSON document, the
`NodeStatus`, and closes; it takes no commands. Metrics are served over HTTP only where
``observe.metrics_listen`` names an address; there is no authentication, so keep it on
loopback or behind a firewall of your own. On loopback it answers under loopback names only:
else a page in a browser, whose own name is made to point here, could read along.
"""

import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cocoon.errors import UNDECODABLE
from cocoon.nursery import open_private_nursery
from cocoon.observe.metrics import CONTENT_TYPE, Metrics
from cocoon.observe.status import NodeStatus
from cocoon.web import TellsUrl, host_of, is_loopback, serve_app
from overlay.errors import PeerUnavailable

logger = logging.getLogger(__name__)

SOCKET_NAME: Final = "node.sock"
SOCKET_MODE: Final = 0o600
STATUS_BYTES_MAX: Final = 4 << 20
ANSWER_S: Final = 5.0
LOOKERS_MAX: Final = 16
BACKLOG: Final = 16
LISTEN_SETTING: Final = "observe.metrics_listen"
MISDIRECTED: Final = 421


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
    except (trio.TooSlowError, *UNDECODABLE) as error:
        raise PeerUnavailable(f"the node on {home} does not answer: {error}") from error


# --- metrics over HTTP ---


async def serve_metrics(
    address: str, metrics: Metrics, *, task_status: TellsUrl = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve ``GET /metrics`` on *address* (``host:port``) until cancelled; report the URL.

    Raises:
        ConfigError: the address is not like ``127.0.0.1:9464``, or cannot be bound.
    """
    private = is_loopback(host_of(address, LISTEN_SETTING)[0])

    async def answer(request: Request) -> Response:
        if private and not is_loopback(request.url.hostname or ""):
            return Response("ask for this under a loopback name\n", MISDIRECTED)
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    app = Starlette(routes=[Route("/metrics", answer)])
    async with open_private_nursery() as nursery:
        serving = partial(serve_app, app, address, LISTEN_SETTING)
        url: str = await nursery.start(serving)
        task_status.started(f"{url}/metrics")
