"""What strangers send to a provider: each thing ends in a typed refusal, and it serves on."""

import msgspec
import pytest
import trio
from shop import LIMITS, ask, replaced, until

from cocoon.confidential.sealing import Direction, Sealer, seal_content_key, seal_input
from cocoon.confidential.transcript import transcript_hash
from cocoon.config import PolicyConfig
from cocoon.messages import (
    JOB_PROTOCOL,
    STATEMENT_PROTOCOL,
    Accept,
    Accepted,
    Cancel,
    ChatInput,
    CounterOffer,
    Decline,
    Hold,
    InputSegment,
    JobEnd,
    LossReason,
    Offer,
    OutputSegment,
    PaymentRef,
    PriceSchedule,
    Refusal,
    RefusalCode,
    RequestForOffer,
    Resume,
    Signed,
    SignedOffer,
    SlotHeld,
    SpeechInput,
    Tier,
    Turn,
    VoucherMessage,
    decode,
    decode_from_provider,
    encode,
    message_hash,
)
from cocoon.provider.debtors import OWNERS_MAX, WASTED_MAX, Debtors
from contracts.units import NanoTon, parse_coins
from overlay.errors import PeerUnavailable
from overlay.identity import Identity

GENEROUS = PriceSchedule(**dict.fromkeys(PriceSchedule.__struct_fields__, 10**9))
STRANGER, OTHER = (Identity(name.ljust(32, b"!")) for name in (b"stranger", b"other"))


class Stranger:
    """Speaks the job protocol by hand, with a channel of its own."""

    def __init__(self, market, provider, host) -> None:
        self.market = market
        self.provider = provider
        self.host = host
        self.sale = provider.sales[0]

    def request(self, **changes) -> RequestForOffer:
        fields = {
            "nonce": bytes(16),
            "resource_class": self.sale.resource_class,
            "chain_network_id": self.market.world.chain.network_id,
            "input_bytes_max": 2000,
            "prompt_tokens_max": 64,
            "output_tokens_max": 16,
            "audio_seconds_max": 0,
            "tier_min": Tier.OPEN,
            "ceiling": GENEROUS,
            "deadline_unix_s": int(self.market.network.clock()) + 60,
        }
        return RequestForOffer(**(fields | changes))

    async def open(self):
        return await self.host.open_stream(self.provider.identity.peer_id, JOB_PROTOCOL)

    async def offered(self, **changes) -> tuple[object, Signed, Offer]:
        stream = await self.open()
        await stream.send(encode(self.request(**changes)))
        answer = await self.answer(stream)
        assert isinstance(answer, SignedOffer), answer
        return stream, answer.offer, decode(Offer, answer.offer.body)

    async def answer(self, stream):
        with trio.fail_after(5):
            return decode_from_provider(await stream.receive())

    async def refused(self, stream, code: RefusalCode) -> str:
        answer = await self.answer(stream)
        assert isinstance(answer, Refusal), answer
        assert answer.code is code, answer
        await stream.aclose()
        return answer.detail

    async def channel(self, payer, spendable: str = "0.1"):
        amount = parse_coins(spendable)
        terms = self.provider.payee_identity
        return await payer.ensure_channel(
            terms.address, terms.key, spendable_min=NanoTon(1000), deposit=amount
        )

    def accept(self, signed: Signed, offer: Offer, channel, job_input, **changes):
        """Return an honest acceptance, but for *changes*, and its sealed segments."""
        nonce, payment = b"n" * 16, channel.ref
        th = transcript_hash(offer.statement_id, signed.body, signed.signature, nonce, payment)
        key, sealed_key = seal_content_key(offer.seal_key, th)
        sealer = Sealer(key, th, Direction.INPUT)
        plain = job_input if isinstance(job_input, bytes) else encode(job_input)
        segments = seal_input(plain, sealer)
        accept = Accept(
            offer_hash=message_hash(signed.body),
            job_nonce=nonce,
            payment=payment,
            sealed_key=sealed_key,
            payer_signature=channel.sign_transcript(th),
            input_segments=len(segments),
            input_prefix=sealer.prefix,
            input_hash=sealer.digest(),
        )
        return replaced(accept, **changes), segments


@pytest.fixture
async def stranger(market):
    provider = await market.provider(1)
    host, _ = await market.host(STRANGER)
    await until(provider.shop().shelves[provider.sales[0].resource_class].quote)
    return Stranger(market, provider, host)


@pytest.fixture
async def payer(market, stranger):
    return (await market.requester("payer")).payer


CHAT = ChatInput(turns=(Turn(role="user", content="hi"),), output_tokens_max=8)


async def nothing_is_left(stranger) -> None:
    await stranger.market.settle()
    desk, pool = stranger.sale.desk, stranger.sale.pool
    assert (desk.outstanding, len(stranger.provider.prekeys)) == (0, 0)
    await until(lambda: desk.free_slots == pool.free_slots == 1)


def with_unknown_field(message) -> bytes:
    fields = msgspec.msgpack.decode(encode(message))
    return msgspec.msgpack.encode(fields | {"surprise": 1})


async def test_a_first_frame_that_is_no_request_is_refused_as_such(stranger):
    request = stranger.request()
    frames = {
        "garbage": b"\xc1\xff\x00",
        "empty": b"",
        "deep nesting": b"\x91" * 200_000 + b"\xc0",
        "a megabyte": b"x" * (1 << 20),
        "another message": encode(Cancel()),
        "an unknown field": with_unknown_field(request),
        "cut off": encode(request)[:-5],
        "a negative size": encode(request).replace(b"\xcd\x07\xd0", b"\xd1\xf0\x00"),
    }
    for name, frame in frames.items():
        stream = await stranger.open()
        await stream.send(frame)
        assert await stranger.refused(stream, RefusalCode.PROTOCOL), name
    await nothing_is_left(stranger)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"resource_class": "chat/" + "00" * 32}, RefusalCode.MODEL),
        ({"prompt_tokens_max": 10**6}, RefusalCode.SIZE),
        ({"input_bytes_max": 1 << 39}, RefusalCode.SIZE),
        ({"tier_min": Tier.GPU_TEE}, RefusalCode.TIER),
        ({"ceiling": PriceSchedule()}, RefusalCode.PRICE_TOO_LOW),
        ({"deadline_unix_s": 5}, RefusalCode.DEADLINE),
        ({"chain_network_id": 77}, RefusalCode.PAYMENT),
    ],
)
async def test_requests_that_do_not_fit_have_their_own_code(stranger, changes, code):
    stream = await stranger.open()
    await stream.send(encode(stranger.request(**changes)))
    await stranger.refused(stream, code)


async def test_an_offer_goes_with_its_stream_however_that_ends(stranger):
    for end in ("decline", "reset", "close", "nonsense"):
        stream, _, _ = await stranger.offered()
        assert stranger.sale.desk.outstanding == 1
        if end == "decline":
            await stream.send(encode(Decline(reason=LossReason.SLOWER)))
        elif end == "reset":
            await stream.reset()
        elif end == "close":
            await stream.aclose()
        else:
            await stream.send(encode(VoucherMessage(total_nanoton=1, signature=bytes(64))))
            await stranger.refused(stream, RefusalCode.PROTOCOL)
        await nothing_is_left(stranger)
    assert stranger.market.events(1, "lost") == [{"reason": "slower", "detail": ""}]


async def test_a_counter_offer_replaces_the_offer_and_its_key(stranger):
    stream, signed, offer = await stranger.offered()
    lower = replaced(offer.schedule, output_token=offer.schedule.output_token * 95 // 100)
    await stream.send(encode(CounterOffer(offer_hash=message_hash(signed.body), schedule=lower)))
    answer = await stranger.answer(stream)
    assert isinstance(answer, SignedOffer)
    assert decode(Offer, answer.offer.body).schedule == lower
    assert stranger.sale.desk.outstanding == len(stranger.provider.prekeys) == 1
    await stream.reset()
    await nothing_is_left(stranger)


async def test_a_counter_offer_that_is_too_low_leaves_the_first_offer_standing(stranger):
    stream, signed, _ = await stranger.offered()
    counter = CounterOffer(offer_hash=message_hash(signed.body), schedule=PriceSchedule())
    await stream.send(encode(counter))
    answer = await stranger.answer(stream)
    assert answer.code is RefusalCode.PRICE_TOO_LOW
    assert stranger.sale.desk.outstanding == 1
    await stream.send(encode(counter))  # and it is the only one: nobody haggles a stream open
    assert (await stranger.answer(stream)).code is RefusalCode.PROTOCOL
    with pytest.raises(PeerUnavailable):
        await stranger.answer(stream)
    await nothing_is_left(stranger)


async def test_a_hold_keeps_the_slot_until_its_stream_ends(stranger):
    stream, signed, offer = await stranger.offered()
    await stream.send(encode(Hold(offer_hash=message_hash(signed.body))))
    answer = await stranger.answer(stream)
    assert isinstance(answer, SlotHeld)
    assert answer.until_unix_s == offer.expires_at_unix_s
    second = await stranger.open()
    await second.send(encode(stranger.request()))
    await stranger.refused(second, RefusalCode.BUSY)
    await stream.reset()
    await nothing_is_left(stranger)
    third, signed, _ = await stranger.offered()
    await third.send(encode(Hold(offer_hash=message_hash(signed.body))))
    refusal = await stranger.answer(third)
    assert refusal.code is RefusalCode.POLICY
    assert stranger.sale.desk.outstanding == 1  # it still stands
    await third.reset()
    await nothing_is_left(stranger)


async def test_a_hold_of_what_was_not_offered_here_is_refused(stranger):
    stream, _, _ = await stranger.offered()
    await stream.send(encode(Hold(offer_hash=bytes(32))))
    await stranger.refused(stream, RefusalCode.EXPIRED)
    await nothing_is_left(stranger)


async def test_an_offer_of_another_stream_cannot_be_accepted_or_countered_here(stranger, payer):
    channel = await stranger.channel(payer)
    first, signed, offer = await stranger.offered()
    accept, _ = stranger.accept(signed, offer, channel, CHAT)
    counter = CounterOffer(offer_hash=message_hash(signed.body), schedule=offer.schedule)
    for message in (accept, counter):
        second, _, _ = await stranger.offered(output_tokens_max=1)
        await second.send(encode(message))
        await stranger.refused(second, RefusalCode.EXPIRED)
    await first.reset()
    await nothing_is_left(stranger)


async def run_job(stranger, payer, job_input=CHAT, **changes):
    channel = await stranger.channel(payer)
    stream, signed, offer = await stranger.offered()
    accept, segments = stranger.accept(signed, offer, channel, job_input, **changes)
    await stream.send(encode(accept))
    for segment in segments:
        await stream.send(encode(InputSegment(data=segment)))
    return stream, accept


async def test_an_accepted_offer_runs_once(stranger, payer):
    stream, accept = await run_job(stranger, payer)
    assert isinstance(await stranger.answer(stream), Accepted)
    await stream.reset()
    await stranger.market.settle()
    again = await stranger.open()
    await again.send(encode(stranger.request()))
    await stranger.answer(again)
    await again.send(encode(accept))
    await stranger.refused(again, RefusalCode.EXPIRED)
    await nothing_is_left(stranger)


async def test_nobody_comes_back_to_a_job_that_is_not_there_or_in_the_middle_of_one(
    stranger, payer
):
    resume = encode(Resume(input_hash=bytes(32), received=0))
    first = await stranger.open()
    await first.send(resume)
    assert "ask for another offer" in await stranger.refused(first, RefusalCode.EXPIRED)
    stream, _ = await run_job(stranger, payer)
    assert isinstance(await stranger.answer(stream), Accepted)
    await stream.send(resume)
    answer = await stranger.answer(stream)
    while isinstance(answer, OutputSegment):
        answer = await stranger.answer(stream)
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.PROTOCOL
    await nothing_is_left(stranger)


@pytest.mark.parametrize(
    ("job_input", "changes", "code"),
    [
        (CHAT, {"payer_signature": bytes(64)}, RefusalCode.PROTOCOL),
        (CHAT, {"sealed_key": b"k" * 1168}, RefusalCode.PROTOCOL),
        (CHAT, {"sealed_key": b""}, RefusalCode.PROTOCOL),
        (CHAT, {"job_nonce": b"m" * 16}, RefusalCode.PROTOCOL),
        (CHAT, {"input_prefix": b"another"}, RefusalCode.PROTOCOL),
        (CHAT, {"input_hash": bytes(32)}, RefusalCode.PROTOCOL),
        (CHAT, {"input_segments": 4096}, RefusalCode.SIZE),
        (b"\xc1 not an input", {}, RefusalCode.PROTOCOL),
        (b"x" * 5000, {}, RefusalCode.SIZE),
        (SpeechInput(audio=b"OggS"), {}, RefusalCode.INPUT),
        (replaced(CHAT, output_tokens_max=17), {}, RefusalCode.SIZE),
        (replaced(CHAT, prefix_token_ids=(10**9,)), {}, RefusalCode.INPUT),
        (replaced(CHAT, turns=(Turn(role="user", content="q" * 900),)), {}, RefusalCode.INPUT),
    ],
)
async def test_a_bad_acceptance_or_input_is_refused_and_frees_all(
    stranger, payer, job_input, changes, code
):
    stream, _ = await run_job(stranger, payer, job_input, **changes)
    answer = await stranger.answer(stream)
    if isinstance(answer, Accepted):  # the worker found it
        answer = await stranger.answer(stream)
    assert isinstance(answer, Refusal)
    assert answer.code is code, answer
    await stream.aclose()
    await nothing_is_left(stranger)
    now_unix_s = stranger.market.network.clock()
    assert stranger.provider.debtors.owed_by(STRANGER.peer_id, now_unix_s) == 0


async def test_an_accepted_offer_has_no_slot_before_its_payment_is_found_good(
    stranger, payer, monkeypatch
):
    """Else words alone would keep every slot, for as long as the chain takes to answer."""
    channel, chain = await stranger.channel(payer), stranger.market.world.payee_chain
    asked, may_answer, desk = chain._ask, trio.Event(), stranger.sale.desk

    async def slow() -> None:
        await may_answer.wait()
        await asked()

    monkeypatch.setattr(chain, "_ask", slow)
    stream, signed, offer = await stranger.offered()
    accept, segments = stranger.accept(signed, offer, channel, CHAT)
    await stream.send(encode(accept))
    await until(lambda: desk.outstanding == 0)
    assert (desk.free_slots, desk.running) == (1, 0)
    may_answer.set()
    for segment in segments:
        await stream.send(encode(InputSegment(data=segment)))
    assert isinstance(await stranger.answer(stream), Accepted)
    assert (desk.free_slots, desk.running) == (0, 1)
    await stream.reset()
    await nothing_is_left(stranger)


async def test_a_hold_is_not_had_again_by_accepting_with_a_channel_of_somebody_else(
    stranger, payer
):
    channel = await stranger.channel(payer)
    stream, signed, offer = await stranger.offered()
    await stream.send(encode(Hold(offer_hash=message_hash(signed.body))))
    assert isinstance(await stranger.answer(stream), SlotHeld)
    accept, _ = stranger.accept(signed, offer, channel, CHAT, payer_signature=bytes(64))
    await stream.send(encode(accept))
    await stranger.refused(stream, RefusalCode.PROTOCOL)
    await nothing_is_left(stranger)
    again, signed, _ = await stranger.offered()
    await again.send(encode(Hold(offer_hash=message_hash(signed.body))))
    assert (await stranger.answer(again)).code is RefusalCode.POLICY
    await again.reset()
    await nothing_is_left(stranger)


async def test_who_takes_slots_and_brings_no_input_is_soon_refused(stranger, payer):
    channel = await stranger.channel(payer)
    for _ in range(WASTED_MAX + 1):
        stream, signed, offer = await stranger.offered()
        accept, _ = stranger.accept(signed, offer, channel, CHAT)
        await stream.send(encode(accept))
        await until(lambda: stranger.sale.desk.running == 1)
        await stream.reset()
        await nothing_is_left(stranger)
    stream = await stranger.open()
    await stream.send(encode(stranger.request()))
    assert "nothing came of them" in await stranger.refused(stream, RefusalCode.PAYMENT)
    other = Stranger(stranger.market, stranger.provider, (await stranger.market.host(OTHER))[0])
    stream, signed, offer = await other.offered()  # a new peer id costs nothing
    accept, _ = other.accept(signed, offer, channel, CHAT)
    await stream.send(encode(accept))
    assert "nothing came of them" in await other.refused(stream, RefusalCode.PAYMENT)
    await nothing_is_left(stranger)


async def test_who_leaves_before_the_first_token_again_and_again_is_soon_refused(stranger, payer):
    """The prompt is computed by then, and nothing is due for it."""
    for _ in range(WASTED_MAX + 1):
        stream, _ = await run_job(stranger, payer)
        await stream.send(encode(Cancel()))  # it is there before the worker can have said a word
        while not isinstance(await stranger.answer(stream), JobEnd):
            pass
        await stream.reset()
        await nothing_is_left(stranger)
    assert {end["cost_nanoton"] for end in stranger.market.events(1, "job_ended")} == {0}
    stream = await stranger.open()
    await stream.send(encode(stranger.request()))
    assert "nothing came of them" in await stranger.refused(stream, RefusalCode.PAYMENT)


async def test_an_input_has_as_long_as_it_keeps_coming_and_no_longer(stranger, payer, monkeypatch):
    monkeypatch.setattr("cocoon.provider.session.INPUT_PATIENCE_S", 0.2)
    channel = await stranger.channel(payer)
    stream, signed, offer = await stranger.offered(input_bytes_max=LIMITS.input_bytes_max)
    accept, _ = stranger.accept(signed, offer, channel, CHAT)  # the whole would have 128 s more
    await stream.send(encode(accept))
    with pytest.raises(PeerUnavailable):
        await stranger.answer(stream)
    await nothing_is_left(stranger)


async def test_a_channel_that_does_not_exist_pays_for_nothing(stranger, payer):
    channel = await stranger.channel(payer)
    stream, signed, offer = await stranger.offered()
    accept, _ = stranger.accept(signed, offer, channel, CHAT)
    nowhere = PaymentRef(
        chain_network_id=channel.ref.chain_network_id + 1,
        channel_address=channel.ref.channel_address,
        opened_lt=channel.ref.opened_lt,
        payer_key=channel.ref.payer_key,
        signed_total_nanoton=0,
    )
    await stream.send(encode(replaced(accept, payment=nowhere)))
    await stranger.refused(stream, RefusalCode.PAYMENT)
    await nothing_is_left(stranger)


async def test_garbage_instead_of_a_voucher_ends_the_job_and_is_remembered(stranger, payer):
    stream, _ = await run_job(stranger, payer)
    assert isinstance(await stranger.answer(stream), Accepted)
    await stranger.answer(stream)  # the first output, unpaid
    await stream.send(encode(VoucherMessage(total_nanoton=10**9, signature=bytes(64))))
    with trio.fail_after(5):
        while not isinstance(answer := await stranger.answer(stream), Refusal):
            pass
    assert answer.code is RefusalCode.PROTOCOL
    await stream.aclose()
    await nothing_is_left(stranger)
    (end,) = stranger.market.events(1, "job_ended")
    assert end["lost_nanoton"] > 0
    owed = stranger.provider.debtors.owed_by(STRANGER.peer_id, stranger.market.network.clock())
    assert owed == end["lost_nanoton"]
    refused = await stranger.open()
    await refused.send(encode(stranger.request()))
    assert "was not paid" in await stranger.refused(refused, RefusalCode.PAYMENT)
    other = Stranger(stranger.market, stranger.provider, (await stranger.market.host(OTHER))[0])
    again, _ = await run_job(other, payer)  # a new peer id costs nothing; the channel is the same
    assert "was not paid" in await other.refused(again, RefusalCode.PAYMENT)


async def test_an_operators_policy_is_a_refusal_with_its_own_code(market):
    provider = await market.provider(1, policy=PolicyConfig(deny_peers=(STRANGER.peer_id,)))
    host, _ = await market.host(STRANGER)
    stranger = Stranger(market, provider, host)
    await until(provider.shop().shelves[provider.sales[0].resource_class].quote)
    stream = await stranger.open()
    await stream.send(encode(stranger.request()))
    await stranger.refused(stream, RefusalCode.POLICY)


async def test_after_everything_the_provider_still_serves_the_honest(stranger):
    for _ in range(10):
        stream = await stranger.open()
        await stream.send(b"\xc1")
        await stream.reset()
    requester = await stranger.market.requester("honest")

    async def silent(event) -> None:
        await trio.lowlevel.checkpoint()

    assert (await requester.run(ask(stranger.provider), silent)).text


async def test_statements_are_served_by_their_id(stranger):
    provider = stranger.provider
    old_id = next(iter(provider.statements))
    provider.clock = lambda: stranger.market.network.clock() + 60
    provider.renew_statement()
    peer = provider.identity.peer_id
    newest = await stranger.host.request(peer, STATEMENT_PROTOCOL, b"")
    assert newest == provider.statement_bytes
    old = await stranger.host.request(peer, STATEMENT_PROTOCOL, old_id)
    assert old == encode(provider.statements[old_id]) != newest
    for n in range(60):
        provider.clock = lambda n=n: stranger.market.network.clock() + 60 * n
        provider.renew_statement()
    assert len(provider.statements) <= 32


async def test_a_silent_stream_is_dropped(stranger, monkeypatch):
    monkeypatch.setattr("cocoon.provider.session.DECISION_TIMEOUT_S", 0.2)
    stream, _, _ = await stranger.offered()
    with pytest.raises(PeerUnavailable):
        await stranger.answer(stream)
    await nothing_is_left(stranger)


# --- debtors -------------------------------------------------------------------------------


def test_debts_add_up_and_are_forgiven_after_a_while():
    debtors = Debtors(forgiven_after_s=100)
    debtors.add("eve", NanoTon(5), 0)
    debtors.add("eve", NanoTon(7), 50)
    debtors.add("ann", NanoTon(0), 50)
    assert debtors.owed_by("eve", 149) == 12
    assert "0.000000012" in debtors.objection("eve", 149)
    assert debtors.objection("ann", 50) == ""
    assert debtors.owed_by("eve", 150) == 0
    assert debtors.objection("eve", 150) == ""
    assert len(debtors) == 0


def test_a_slot_that_was_wasted_once_or_twice_is_nobodys_habit():
    debtors = Debtors(forgiven_after_s=100)
    for n in range(WASTED_MAX):
        debtors.wasted("eve", n)
    assert debtors.objection("eve", WASTED_MAX) == ""
    debtors.wasted("eve", WASTED_MAX)
    assert f"{WASTED_MAX + 1} slots" in debtors.objection("eve", 50)
    assert debtors.objection("eve", WASTED_MAX + 100) == ""


def test_a_job_that_is_paid_makes_wasted_slots_good_and_no_debt():
    debtors = Debtors()
    for n in range(WASTED_MAX + 1):
        debtors.wasted("many users behind one node", n)
    debtors.paid("many users behind one node", WASTED_MAX + 1)
    assert debtors.objection("many users behind one node", WASTED_MAX + 2) == ""
    debtors.add("eve", NanoTon(5), 0)
    debtors.paid("eve", 1)
    assert debtors.owed_by("eve", 2) == 5


def test_a_flood_of_debtors_is_bounded_and_the_oldest_go_first():
    debtors = Debtors()
    for n in range(OWNERS_MAX + 10):
        debtors.add(f"peer{n}", NanoTon(1), n / 1000)
    assert len(debtors) == OWNERS_MAX
    assert debtors.owed_by("peer0", 5) == 0
    assert debtors.owed_by(f"peer{OWNERS_MAX}", 5) == 1
