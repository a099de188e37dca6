"""The HTTP server that lets programs written for OpenAI's API buy from the swarm.

One requester serves all of them: the swarm is joined once and channels stay open, so a
request costs no more than a negotiation. A client that hangs up cancels its job, which
pays for what had arrived.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from cocoon.errors import ConfigError
from cocoon.gateway.allowance import Allowance
from cocoon.gateway.form import read_form
from cocoon.gateway.key import is_authorised
from cocoon.gateway.problems import SERVED, ApiProblem, problem_of
from cocoon.gateway.speech import AUDIO_BYTES_MAX, read_speech, speech_answer
from cocoon.gateway.wire import CHAT_BODY_BYTES_MAX, ChatAnswers, ChatCall, decode_chat, model_list
from cocoon.nursery import open_private_nursery
from cocoon.requester.bill import Bill
from cocoon.requester.events import JobProgress, JobResult, Negotiated, OutputCame
from cocoon.requester.inputs import model_classes
from cocoon.requester.plan import JobRequest
from cocoon.requester.service import Requester
from contracts.units import NanoTon

BODY_TIMEOUT_S: Final = 60.0
LOOK_S: Final = 5.0
"""How long a list of models may wait for the DHT."""
CLIENT_STALL_S: Final = 30.0
"""Who reads nothing for so long has left: the job would hold its provider's device for it."""
JSON: Final = "application/json"

Listener = Callable[[JobProgress], Awaitable[None]]
Tell = Callable[[str, dict[str, object]], None]


@dataclass(slots=True)
class Gateway:
    """Answers HTTP requests with jobs. Make its application with `application`.

    Attributes:
        key: what clients must show.
        jobs_max: more at the same time are told to come again.
        tell: hears of every job that ended.
    """

    requester: Requester
    key: str
    allowance: Allowance
    jobs_max: int
    tell: Tell
    _running: set[int] = field(default_factory=set)
    _decoding: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(1))
    """An hour of audio is 230 MB while it is decoded."""
    _jobs_begun: int = 0

    def application(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/v1/models", self._guarded(self._models)),
            Route("/v1/chat/completions", self._guarded(self._chat), methods=["POST"]),
            Route("/v1/audio/transcriptions", self._guarded(self._speech), methods=["POST"]),
        ]
        handlers = {404: _no_such_page, 405: _no_such_method, Exception: _our_fault}
        return Starlette(routes=routes, exception_handlers=handlers)

    def _guarded(
        self, serve: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not is_authorised(request.headers.get("authorization", ""), self.key):
                return _answer_of(
                    ApiProblem(401, "invalid_api_key", "show the key of this server's api.key file")
                )
            try:
                return await serve(request)
            except ApiProblem as problem:
                return _answer_of(problem)

        return guarded

    # --- what is served ---

    async def _models(self, _: Request) -> Response:
        classes, finder = model_classes(), self.requester.finder
        with trio.move_on_after(LOOK_S):
            await finder.discover(*classes)
        on_sale = [name for each, name in classes.items() if finder.listings(each)]
        return Response(model_list(on_sale), media_type=JSON)

    async def _chat(self, request: Request) -> Response:
        call = decode_chat(await read_body(request, CHAT_BODY_BYTES_MAX))
        job = call.request(secrets.randbits(63))
        answers = ChatAnswers(call.model, int(self.requester.clock()))
        if call.stream:
            return JobResponse(lambda send: self._stream(call, job, answers, send))

        async def whole(_: Send) -> Response:
            return Response(answers.whole(await self._run(job, _no_listener)), media_type=JSON)

        return JobResponse(whole)

    async def _speech(self, request: Request) -> Response:
        body = await read_body(request, AUDIO_BYTES_MAX)
        form = read_form(body, request.headers.get("content-type", ""))
        try:
            job, as_text = await trio.to_thread.run_sync(read_speech, form, limiter=self._decoding)
        except ConfigError as error:
            raise ApiProblem(400, "invalid_audio", str(error), parameter="file") from error

        async def work(_: Send) -> Response:
            result = await self._run(job, _no_listener)
            if as_text:
                return PlainTextResponse(result.text + "\n")
            return Response(speech_answer(result), media_type=JSON)

        return JobResponse(work)

    async def _stream(
        self, call: ChatCall, job: JobRequest, answers: ChatAnswers, send: Send
    ) -> None:
        """Send an answer as server-sent events, from its first token on."""
        events = EventStream(send)

        async def listen(event: JobProgress) -> None:
            if isinstance(event, OutputCame):
                await events.send(answers.piece(event.text))

        try:
            result = await self._run(job, listen)
        except ApiProblem as problem:
            if not events.begun:
                raise
            await events.send(problem.body())
            await events.end()
            return
        usage = call.stream_options is not None and call.stream_options.include_usage
        for chunk in answers.last(result, with_usage=usage):
            await events.send(chunk)
        await events.send(b"[DONE]")
        await events.end()

    # --- jobs ---

    async def _run(self, job: JobRequest, listener: Listener) -> JobResult:
        """Run a job within what may be spent.

        Raises:
            ApiProblem: it was not done; what it cost is counted.
        """
        if len(self._running) >= self.jobs_max:
            raise ApiProblem(
                429, "busy", f"{self.jobs_max} jobs are running: come again", retry=True
            )
        self._jobs_begun += 1
        number, bill = self._jobs_begun, Bill()

        async def listen(event: JobProgress) -> None:
            if isinstance(event, Negotiated):
                worst = NanoTon(bill.paid_nanoton + event.worst_case_nanoton)
                self.allowance.reserve(number, worst)
            await listener(event)

        self._running.add(number)
        try:
            result = await self.requester.run(job, listen, bill)
        except SERVED as error:
            self.tell("job_failed", {"reason": str(error)})
            raise problem_of(error, bill.paid_nanoton) from error
        finally:
            self._running.discard(number)
            self.allowance.settle(number, bill.paid_nanoton)
        self.tell(
            "job_ended",
            {
                "job": result.job_id,
                "provider": result.provider,
                "tokens": result.tokens,
                "paid_nanoton": bill.paid_nanoton,
                "left_nanoton": self.allowance.left,
            },
        )
        return result


class JobResponse(Response):
    """An answer that a job makes; the job is cancelled when the client hangs up.

    Args:
        work: runs the job; returns what is to be sent, or None if it has sent that itself.
    """

    def __init__(self, work: Callable[[Send], Awaitable[Response | None]]) -> None:
        super().__init__()
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the job and send what comes of it."""
        async with open_private_nursery() as nursery:
            nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)

            async def send_in_time(message: Message) -> None:
                with trio.move_on_after(CLIENT_STALL_S) as waited:
                    await send(message)
                if waited.cancelled_caught:
                    nursery.cancel_scope.cancel()
                    await trio.lowlevel.checkpoint()

            try:
                response = await self._work(send_in_time)
            except ApiProblem as problem:
                response = _answer_of(problem)
            if response is not None:
                await response(scope, receive, send_in_time)
            nursery.cancel_scope.cancel()


class EventStream:
    """Server-sent events; the status goes out with the first of them."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def send(self, data: bytes) -> None:
        """Send one event; *data* is one line."""
        if not self.begun:
            self.begun = True
            headers = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-store"),
            ]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b"data: " + data + b"\n\n"
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """Close the answer."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


async def read_body(request: Request, size_bytes_max: int) -> bytes:
    """Return the body of a request.

    Raises:
        ApiProblem: it is larger than allowed, or does not come.
    """
    too_large = ApiProblem(413, "too_large", f"at most {size_bytes_max} bytes")
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length[:20]) > size_bytes_max:
        raise too_large
    body = bytearray()
    with trio.move_on_after(BODY_TIMEOUT_S):
        async for piece in request.stream():
            if len(body) + len(piece) > size_bytes_max:
                raise too_large
            body += piece
        return bytes(body)
    raise ApiProblem(408, "too_slow", f"the body did not come within {BODY_TIMEOUT_S:.0f} s")


async def _cancel_when_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            scope.cancel()
            return


def _answer_of(problem: ApiProblem) -> Response:
    return Response(
        problem.body(), status_code=problem.status, headers=problem.headers(), media_type=JSON
    )


async def _no_such_page(request: Request, _: Exception) -> Response:
    detail = (
        f"{request.url.path[:200]} is not served; there are /v1/models, /v1/chat/completions "
        "and /v1/audio/transcriptions"
    )
    return _answer_of(ApiProblem(404, "not_found", detail))


async def _no_such_method(request: Request, _: Exception) -> Response:
    detail = f"{request.method[:16]} is not what {request.url.path[:200]} is asked with"
    return _answer_of(ApiProblem(405, "method_not_allowed", detail))


async def _our_fault(_request: Request, _error: Exception) -> Response:
    """Say so in the client's own terms; the server's log has the rest."""
    return _answer_of(ApiProblem(500, "internal", "a fault of this server: see its log"))


async def _no_listener(_: JobProgress) -> None:
    await trio.lowlevel.checkpoint()
