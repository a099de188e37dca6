"""The HTTP server's own faults and its clients': each is answered in OpenAI's terms, or ended."""

import httpx
import pytest
import trio

from cocoon.errors import NoProvider, Refused
from cocoon.gateway import service
from cocoon.gateway.allowance import Allowance
from cocoon.gateway.problems import problem_of
from cocoon.gateway.service import EventStream, Gateway, JobResponse
from contracts.errors import ChainUnavailable
from contracts.units import NanoTon


@pytest.fixture
def gateway() -> Gateway:
    """A gateway whose requester was never opened: what does not reach a job needs none."""
    return Gateway(None, "cocoon-key", Allowance(NanoTon(1)), jobs_max=1, tell=lambda *_: None)


async def call(gateway: Gateway, method: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(gateway.application(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.request(method, path, headers={"Authorization": "Bearer cocoon-key"})


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/chat/completions", 405, "method_not_allowed"),
        ("GET", "/v1/models", 500, "internal"),
    ],
)
async def test_every_answer_has_the_shape_that_clients_know(gateway, method, path, status, code):
    answer = await call(gateway, method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "access-control-allow-origin" not in answer.headers, "pages of a browser are not asked"


@pytest.mark.parametrize("error", [ChainUnavailable("silent"), NoProvider("none"), Refused("busy")])
def test_a_client_shall_not_repeat_by_itself_what_has_cost_something(error):
    assert problem_of(error, NanoTon(0)).headers() == {"x-should-retry": "true"}
    assert problem_of(error, NanoTon(1)).headers() == {"x-should-retry": "false"}


async def test_a_client_that_reads_nothing_more_ends_its_job(autojump_clock):
    ended = []

    async def work(send) -> None:
        try:
            events = EventStream(send)
            while True:
                await events.send(b"more")
        finally:
            ended.append(trio.current_time())

    async def full(message) -> None:
        if message["type"] == "http.response.body":
            await trio.sleep_forever()

    async def receive():
        await trio.sleep_forever()

    await JobResponse(work)({"type": "http"}, receive, full)
    assert ended == [pytest.approx(service.CLIENT_STALL_S)]
