"""Cheats of our own making, on the real network, against honest processes."""

import json
import subprocess

import msgspec
import pytest
import trio

from cocoon.clock import wall_clock
from cocoon.confidential.sealing import SealKey
from cocoon.confidential.transcript import evidence_id, statement_id
from cocoon.config import ProviderConfig, load_config
from cocoon.directory import class_key
from cocoon.errors import JobFailed, NoProvider
from cocoon.market.quotes import Offering, make_quote
from cocoon.messages import (
    STATEMENT_PROTOCOL,
    Kind,
    ModelOnOffer,
    PriceSchedule,
    Quote,
    Signed,
    Tier,
    Turn,
    encode,
    resource_class,
)
from cocoon.node import Node, open_buyer, open_node
from cocoon.provider.service import model_limits, price_terms
from cocoon.requester.events import OutputCame
from cocoon.requester.inputs import model_id
from cocoon.requester.plan import ChatRequest
from cocoon.requester.run import RunningJob
from cocoon.signing import sign
from cocoon.statements import Payee, build_statement, sign_statement


async def cocoon_json(tools, *arguments: object):
    done = await trio.run_process(
        tools.command(*arguments, "--json"),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env=tools.environment(),
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


# --- a provider that lies about its price ---


def bait(node: Node, chat: str) -> tuple[Signed, Quote, Signed]:
    """Return a statement, and a quote whose price is a tenth of what its inputs give."""
    model = ModelOnOffer(
        kind=Kind.CHAT,
        name=chat,
        model_id=bytes.fromhex(model_id(chat, "chat")),
        engine_id=bytes(32),
        limits=model_limits(node.config, Kind.CHAT, 2048),
    )
    now_unix_s = int(wall_clock())
    statement = sign_statement(
        node.identity,
        node.config.network.name,
        build_statement(
            peer_id=node.identity.peer_id,
            boot_key=SealKey.generate().public_bytes,
            models=(model,),
            device="cpu",
            payee=Payee("0:" + "11" * 32, b"\1" * 32, 1, 600),
            software="liar",
            now_unix_s=now_unix_s,
        ),
    )
    offering = Offering(
        peer_id=node.identity.peer_id,
        statement_id=statement_id(statement),
        model=model,
        terms=price_terms(ProviderConfig()),
        tier=Tier.OPEN,
        evidence_id=evidence_id(b""),
    )
    honest = make_quote(
        offering,
        previous=None,
        load=None,
        slots=1,
        free_slots=1,
        speed_milli_per_s=10**6,
        now_unix_s=now_unix_s,
    )
    prices = msgspec.structs.asdict(honest.schedule)
    cheap = PriceSchedule(**{name: price // 10 for name, price in prices.items()})
    lie = msgspec.structs.replace(honest, schedule=cheap)
    return statement, lie, sign(node.identity, node.config.network.name, lie)


async def test_a_price_that_does_not_follow_from_its_inputs_is_flagged_and_not_bought(
    swarm, steady, tools
) -> None:
    liar_home = await tools.in_thread(swarm.home, "liar")
    home = await tools.in_thread(swarm.requester_home, "careful")
    config = load_config(liar_home / "config.toml")
    async with open_node(config, must_join=True) as node:
        statement, quote, signed = bait(node, tools.chat)

        async def serve_statement(stream) -> None:
            await stream.receive()
            await stream.send(encode(statement))

        node.host.serve(STATEMENT_PROTOCOL, serve_statement, streams_max=8)
        # An honest book does not pass on a faulty quote; this one does.
        node.directory.book.snapshot = lambda *_args, **_kw: (signed,)
        await node.host.provide(class_key(quote.resource_class))
        await node.directory.announce(Kind.CHAT, signed)

        quotes = await cocoon_json(tools, "quotes", "--once", "--home", home)
        faults = {swarm.names[q["quote"]["peer_id"]]: q["faults"] for q in quotes}
        assert faults["steady"] == []
        assert faults["liar"], "the lie is flagged"

        answer = await cocoon_json(tools, "ask", "Say hello.", "--tokens", "8", "--home", home)
        assert swarm.names[answer["provider"]] == "steady"
        lines = answer["explanations"][0]["providers"]
        outcome = {swarm.names[line["peer"]]: line["outcome"] for line in lines}
        # Others, which earlier tests killed, may still be known.
        assert outcome.items() >= {"steady": "won", "liar": "price_not_by_rule"}.items()
        asked = {swarm.names[line["peer"]]: line["asked"] for line in lines}
        assert not asked["liar"]
        await cocoon_json(tools, "channels", "close", "--home", home)


# --- a requester that stops paying ---


@pytest.mark.parametrize("vouchers", [0, 1])
async def test_who_stops_paying_gets_one_chunk_and_no_more(
    swarm, steady, tools, monkeypatch, vouchers: int
) -> None:
    home = await tools.in_thread(swarm.requester_home, f"miser-{vouchers}")
    config = load_config(home / "config.toml")
    paid = 0
    honest = RunningJob._ask_payment

    def stingy(self: RunningJob, due) -> None:
        nonlocal paid
        if due is not None and paid < vouchers:
            paid += 1
            honest(self, due)

    monkeypatch.setattr(RunningJob, "_ask_payment", stingy)
    came = [0]

    async def listen(event) -> None:
        if isinstance(event, OutputCame):
            came.append(event.tokens)

    request = ChatRequest(
        model_id=model_id(tools.chat, "chat"),
        turns=(Turn(role="user", content=tools.question),),
        output_tokens_max=200,
    )
    seen = steady.seen()
    async with open_buyer(config) as (_, requester):
        with pytest.raises((JobFailed, NoProvider)), trio.fail_after(40):
            await requester.run(request, listen)
    ended = await tools.in_thread(steady.wait_for, "job_ended", since=seen)
    chunk = config.provider.limits.chunk_tokens
    assert 0 < max(came) <= chunk * (vouchers + 1)
    assert ended["finish"] == "unpaid"
    assert (ended["paid_nanoton"] > 0) == bool(vouchers)
    assert 0 < ended["lost_nanoton"] == ended["cost_nanoton"] - ended["paid_nanoton"]
    assert resource_class(Kind.CHAT, request.model_id) in steady.ready["classes"]
    assert steady.process.poll() is None, "the node lives on"


def test_the_quotes_of_honest_providers_need_no_terminal(swarm, steady, tools) -> None:
    home = swarm.home("looker")
    done = subprocess.run(
        tools.command("quotes", "--once", "--home", home),
        capture_output=True,
        text=True,
        timeout=60,
        env=tools.environment(),
        check=True,
    )
    assert tools.chat in done.stdout
