"""Bounded HTTP: one question, one answer of limited size, in limited time.

The only importer of httpx here. Every failure below HTTP becomes `ChainUnavailable`.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import msgspec
import trio

from contracts.errors import ChainUnavailable, LocalContractError

ANSWER_BYTES_MAX: Final = 8 << 20
CONNECTIONS_MAX: Final = 8


class NotConnected(ChainUnavailable):
    """Nothing was sent: asking again can not do anything twice."""


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    status: int
    body: bytes


class Http:
    """A few kept connections to one server; made by `open_http`."""

    def __init__(self, client: httpx.AsyncClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def post(self, path: str, content: bytes) -> Answer:
        """Ask by POST, with JSON.

        Raises:
            NotConnected: no connection; the server has not seen the request.
            ChainUnavailable: no answer, too late, or too long.
        """
        headers = {"content-type": "application/json", "content-length": str(len(content))}
        request = self._client.build_request("POST", path, headers=headers)
        request.stream = _Body(content)
        return await self._ask(request)

    async def _ask(self, request: httpx.Request) -> Answer:
        try:
            with trio.fail_after(self._timeout_s):
                return await self._receive(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotConnected(f"no connection to {request.url.host}: {error}") from error
        except httpx.HTTPError as error:
            raise ChainUnavailable(f"{request.url.host}: {error!r}") from error
        except trio.TooSlowError as error:
            message = f"{request.url.host}: no answer within {self._timeout_s} s"
            raise ChainUnavailable(message) from error

    async def _receive(self, request: httpx.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            # Cancelled and not left by an exception: that would abandon httpx's generators.
            with trio.CancelScope() as reading:
                async for part in response.aiter_bytes():
                    body += part[: ANSWER_BYTES_MAX + 1 - len(body)]
                    if len(body) > ANSWER_BYTES_MAX:
                        reading.cancel()
            if reading.cancel_called:
                raise ChainUnavailable(f"{request.url.host} answers with too much")
            return Answer(response.status_code, bytes(body))
        finally:
            with trio.move_on_after(self._timeout_s) as scope:
                scope.shield = True
                await response.aclose()


class _Body(httpx.AsyncByteStream):
    """A request's body, once.

    httpx's own is an async generator, which a failing connection leaves unfinished for
    the garbage collector to complain about.
    """

    def __init__(self, content: bytes) -> None:
        self._content = [content]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._content:
            raise StopAsyncIteration
        return self._content.pop()


@asynccontextmanager
async def open_http(url: str, *, headers: dict[str, str], timeout_s: float) -> AsyncGenerator[Http]:
    """Keep connections to the server at *url* for the length of the block.

    Raises:
        LocalContractError: *url* is not an HTTP address.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in ("http", "https") or not rest:
        raise LocalContractError(f"not an HTTP address: {url!r}")
    # Compression would let a small answer unfold into a large one.
    common = {"accept-encoding": "identity", "accept": "application/json"} | headers
    try:
        client = httpx.AsyncClient(
            base_url=url,
            headers=common,
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            verify=scheme == "https",
            trust_env=scheme == "https",
            follow_redirects=False,
        )
    except (httpx.InvalidURL, ValueError) as error:
        raise LocalContractError(f"not an HTTP address: {url!r}") from error
    async with client:
        yield Http(client, timeout_s)
