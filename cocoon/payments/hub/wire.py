"""The hub protocol over the overlay: one stream, one question, one answer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from cocoon.errors import PeerMisbehaved
from cocoon.messages import Refusal, RefusalCode, encode
from cocoon.payments.background import running
from cocoon.payments.hub.messages import HUB_PROTOCOL, HubMessage, HubTerms, decode_hub
from cocoon.payments.hub.requester import Ask
from cocoon.payments.hub.service import Handler, Hub, handle_as_provider, refusing
from cocoon.payments.payee import PayeeService
from cocoon.payments.payer import PayerService
from contracts.chain import Chain
from contracts.units import NO_MONEY, NanoTon
from overlay.ids import PeerId
from overlay.transport import Host, Stream

STREAMS_MAX: Final = 64
ANSWER_TIMEOUT_S: Final = 60.0
WATCH_INTERVAL_S: Final = 5.0


def asking(host: Host) -> Ask:
    """Return what asks a peer of the overlay."""

    async def ask(peer: str, question: HubMessage) -> HubMessage:
        return decode_hub(await host.request(PeerId(peer), HUB_PROTOCOL, encode(question)))

    return ask


def serve(host: Host, handler: Handler) -> None:
    """Answer the hub protocol for as long as the host runs."""

    async def answer(stream: Stream) -> None:
        with trio.move_on_after(ANSWER_TIMEOUT_S):
            try:
                question = decode_hub(await stream.receive())
            except PeerMisbehaved as error:
                refusal = Refusal(code=RefusalCode.PROTOCOL, detail=str(error)[:512])
                await stream.send(encode(refusal))
                return
            await stream.send(encode(await refusing(handler, str(stream.peer_id), question)))

    host.serve(HUB_PROTOCOL, answer, streams_max=STREAMS_MAX)


def serve_routes(host: Host, payee: PayeeService) -> None:
    """Let hubs pay us: hold their locks, and settle."""

    async def handler(_: str, message: HubMessage) -> HubMessage:
        return await handle_as_provider(payee, message)

    serve(host, handler)


@asynccontextmanager
async def open_hub(
    host: Host,
    payer: PayerService,
    payee: PayeeService,
    chain: Chain,
    *,
    terms: HubTerms,
    deposit: NanoTon = NO_MONEY,
    watch_interval_s: float = WATCH_INTERVAL_S,
) -> AsyncGenerator[Hub]:
    """Be a hub for the length of the block; see `Hub` for the arguments."""
    hub = Hub(payer, payee, chain, asking(host), terms=terms, deposit=deposit)
    serve(host, hub.handle)
    async with running(partial(hub.watch, watch_interval_s)):
        yield hub
