"""Serves an ASGI application over HTTP on one address, under trio."""

import ipaddress
import logging
import os
import socket
from functools import partial
from typing import Final, Protocol, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework
from starlette.applications import Starlette

from cocoon.errors import ConfigError

logger = logging.getLogger(__name__)

KEEP_ALIVE_S: Final = 5.0
GRACE_S: Final = 0.2
PORT_MAX: Final = 65_535


class TellsUrl(Protocol):
    """What ``nursery.start`` hands in: trio's own task status, told the URL."""

    def started(self, value: str) -> None:
        """Report that the server is ready."""
        ...


async def serve_app(
    app: Starlette,
    address: str,
    setting: str,
    *,
    task_status: TellsUrl = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *app* on *address* (``host:port``) until cancelled; report the base URL.

    Args:
        app: what answers.
        address: like ``127.0.0.1:9464``; port 0 takes a free one.
        setting: what the address was given with, for errors.
        task_status: see `trio.Nursery.start`.

    Raises:
        ConfigError: the address is wrong, or cannot be bound.
    """
    config = Config()
    config.keep_alive_timeout, config.graceful_timeout = KEEP_ALIVE_S, GRACE_S
    config.accesslog, config.errorlog = None, logger
    # Bound here and not by the server, which leaks the socket when the port is taken.
    config.bind = [f"fd://{_listen(address, setting).detach()}"]
    async with trio.open_nursery() as nursery:
        binds: list[str] = await nursery.start(partial(serve, cast("ASGIFramework", app), config))
        task_status.started(binds[0])


def host_of(address: str, setting: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, without the brackets of IPv6.

    Raises:
        ConfigError: it is not like that.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port[:6]) > PORT_MAX:
        raise ConfigError(f"{setting}: {address!r} is not like 127.0.0.1:9464")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Tell whether *host* names this machine alone.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "a.example")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(address: str, setting: str) -> socket.socket:
    host, port = host_of(address, setting)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"{setting}: cannot listen on {address}: {why}") from error
