"""A receipt verifies offline, and no bit of anything that it binds can be changed."""

import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from cocoon.confidential.sealing import Direction, Sealer, SealKey
from cocoon.confidential.transcript import evidence_id, statement_id, transcript_hash
from cocoon.errors import BadReceipt
from cocoon.kernel_profiles import PROFILES
from cocoon.market.price import cost
from cocoon.messages import (
    Countersigned,
    Finish,
    Kind,
    Limits,
    Message,
    Meter,
    ModelOnOffer,
    Offer,
    PaymentRef,
    PriceSchedule,
    Receipt,
    Signed,
    Tier,
    encode,
)
from cocoon.receipts import (
    FILE_BYTES_MAX,
    JobView,
    ReceiptFile,
    build_receipt,
    check_receipt,
    countersign,
    is_countersigned,
    save_receipt,
    sign_receipt,
    verify_bytes,
    verify_file,
)
from cocoon.signing import sign, signing_bytes
from cocoon.statements import Payee, build_statement, sign_statement
from contracts.locks import sign_key_payment
from contracts.units import NanoTon
from contracts.voucher import ChannelRef, sign_voucher
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity

NETWORK = "test"
NOW = 1_800_000_000
PROVIDER, REQUESTER, STRANGER = (Identity(bytes([n]) * 32) for n in (1, 2, 3))
PAYER_SEED = b"p" * 32
NONCE = bytes(range(16))
PROMPT, ANSWER = b"a secret question", b"a secret answer"

LIMITS = Limits(context_tokens=2048, output_tokens_max=512, audio_seconds_max=60, kernel_ms_max=250)
MODEL = ModelOnOffer(
    kind=Kind.CHAT, name="a-model", model_id=b"m" * 32, engine_id=b"e" * 32, limits=LIMITS
)
KERNELS = ModelOnOffer(
    kind=Kind.KERNEL,
    name="kernels-cpu",
    model_id=PROFILES["cpu"].profile_id,
    engine_id=b"e" * 32,
    limits=LIMITS,
)
SCHEDULE = PriceSchedule(gpu_ms=300_000, prompt_token=10_001, cached_token=3, output_token=20_003)
METER = Meter(prompt_tokens=17, cached_tokens=5, output_tokens=123)
PAYEE = Payee(address="0:" + "ab" * 32, key=b"k" * 32, chain_network_id=-3, challenge_s_min=600)
STATEMENT = build_statement(
    peer_id=PROVIDER.peer_id,
    boot_key=SealKey.generate().public_bytes,
    models=(MODEL, KERNELS),
    device="cpu",
    payee=PAYEE,
    software="cocoon 0.1.0",
    now_unix_s=NOW - 1000,
)
SIGNED_STATEMENT = sign_statement(PROVIDER, NETWORK, STATEMENT)
OFFER = Offer(
    request_hash=b"r" * 32,
    statement_id=statement_id(SIGNED_STATEMENT),
    provider=PROVIDER.peer_id,
    seal_key=SealKey.generate().public_bytes,
    schedule=SCHEDULE,
    limits=LIMITS,
    quote_seq=9,
    tier=Tier.OPEN,
    evidence_id=evidence_id(b""),
    payee_address=PAYEE.address,
    payee_key=PAYEE.key,
    challenge_s_min=600,
    spendable_min_nanoton=1000,
    expires_at_unix_s=NOW + 30,
    final=False,
)
SIGNED_OFFER = sign(PROVIDER, NETWORK, OFFER)
PAYMENT = PaymentRef(
    chain_network_id=-3,
    channel_address="0:" + "cd" * 32,
    opened_lt=77,
    payer_key=bytes(SigningKey(PAYER_SEED).verify_key),
    signed_total_nanoton=5_000,
)


def agreed(offer: Signed = SIGNED_OFFER, payment: PaymentRef = PAYMENT) -> bytes:
    return transcript_hash(
        statement_id(SIGNED_STATEMENT), offer.body, offer.signature, NONCE, payment
    )


def sealed_digest(direction: Direction, data: bytes) -> bytes:
    sealer = Sealer(bytearray(32), agreed(), direction, b"prefix7")
    sealer.seal(data, last=True)
    return sealer.digest()


VIEW = JobView(
    transcript_hash=agreed(),
    provider=PROVIDER.peer_id,
    requester=REQUESTER.peer_id,
    kind=Kind.CHAT,
    model_id=MODEL.model_id,
    engine_id=MODEL.engine_id,
    request_hash=sealed_digest(Direction.INPUT, PROMPT),
    response_hash=sealed_digest(Direction.OUTPUT, ANSWER),
    tier=Tier.OPEN,
    evidence_id=evidence_id(b""),
    schedule=SCHEDULE,
    meter=METER,
    payment=PAYMENT,
)
RECEIPT = build_receipt(VIEW, finish=Finish.STOP, started_at_unix_s=NOW, finished_at_unix_s=NOW + 4)


def voucher_for(receipt: Receipt) -> bytes:
    payment = receipt.payment
    channel = ChannelRef(payment.chain_network_id, payment.channel_address, payment.opened_lt)
    return sign_voucher(PAYER_SEED, channel, NanoTon(receipt.voucher_total_nanoton))


def file_of(receipt: Receipt = RECEIPT, offer: Signed = SIGNED_OFFER) -> ReceiptFile:
    """Everything signed as it should be, over whatever *receipt* says."""
    signed = sign_receipt(PROVIDER, NETWORK, receipt)
    return ReceiptFile(
        version=1,
        network=NETWORK,
        statement=SIGNED_STATEMENT,
        offer=offer,
        job_nonce=NONCE,
        receipt=signed,
        countersignature=countersign(REQUESTER, NETWORK, signed).signature,
        voucher_signature=voucher_for(receipt),
    )


def broken(file: ReceiptFile) -> set[str]:
    return {binding.name for binding in verify_bytes(encode(file)).bindings if not binding.ok}


def check(signed: Signed, view: JobView = VIEW, finish: Finish | None = None) -> Receipt:
    return check_receipt(
        signed, view, network=NETWORK, now_unix_s=NOW + 5, begun_unix_s=NOW, finish=finish
    )


KERNEL_VIEW: dict[str, object] = {
    "kind": Kind.KERNEL,
    "model_id": KERNELS.model_id,
    "meter": Meter(gpu_ms=250),
    "kernel_hash": b"k" * 32,
}


# --- while the stream is open ---


def test_two_honest_sides_agree() -> None:
    assert check(sign_receipt(PROVIDER, NETWORK, RECEIPT), finish=Finish.STOP) == RECEIPT
    assert RECEIPT.cost_nanoton == cost(SCHEDULE, METER)
    assert RECEIPT.voucher_total_nanoton == 5_000 + RECEIPT.cost_nanoton


LIES: dict[str, object] = {
    "version": 2,
    "transcript_hash": bytes(32),
    "provider": STRANGER.peer_id,
    "requester": STRANGER.peer_id,
    "kind": Kind.TRANSCRIBE,
    "model_id": bytes(32),
    "engine_id": bytes(32),
    "request_hash": bytes(32),
    "response_hash": bytes(32),
    "tier": Tier.GPU_TEE,
    "evidence_id": bytes(32),
    "schedule": PriceSchedule(output_token=20_004),
    "meter": Meter(output_tokens=124),
    "cost_nanoton": RECEIPT.cost_nanoton + 1,
    "payment": msgspec.structs.replace(PAYMENT, signed_total_nanoton=4_999),
    "voucher_total_nanoton": RECEIPT.voucher_total_nanoton + 1,
    "finish": Finish.LENGTH,
    "started_at_unix_s": NOW + 5,
    "finished_at_unix_s": NOW + 1000,
    "kernel_hash": b"k" * 32,
}


def test_the_lies_cover_every_field() -> None:
    assert set(LIES) == set(Receipt.__struct_fields__)


@pytest.mark.parametrize("name", LIES)
def test_the_requester_names_the_binding_that_a_provider_lies_about(name: str) -> None:
    lie = msgspec.structs.replace(RECEIPT, **{name: LIES[name]})
    with pytest.raises(BadReceipt, match=f"^{name}: "):
        check(sign_receipt(PROVIDER, NETWORK, lie), finish=Finish.STOP)


def test_a_job_that_is_said_to_have_started_long_before_it_was_agreed_is_a_lie() -> None:
    """Its statement was not signed then: nobody could ever verify such a receipt."""
    early = msgspec.structs.replace(RECEIPT, started_at_unix_s=NOW - 2000)
    assert broken(file_of(early)) == {"statement"}
    with pytest.raises(BadReceipt, match=r"^started_at_unix_s: it started before"):
        check(sign_receipt(PROVIDER, NETWORK, early), finish=Finish.STOP)


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("paid_by_route", [False, True])
def test_a_route_is_paid_by_its_key_and_a_channel_by_vouchers(
    routed: bool, paid_by_route: bool
) -> None:
    """A payment of the one kind is worth nothing over the other."""
    payment = msgspec.structs.replace(PAYMENT, routed=routed)
    view = msgspec.structs.replace(VIEW, payment=payment, transcript_hash=agreed(payment=payment))
    receipt = build_receipt(view, finish=Finish.STOP, started_at_unix_s=NOW, finished_at_unix_s=NOW)
    total = NanoTon(receipt.voucher_total_nanoton)
    by_route = sign_key_payment(PAYER_SEED, PAYMENT.chain_network_id, total).signature
    signature = by_route if paid_by_route else voucher_for(receipt)
    file = msgspec.structs.replace(file_of(receipt), voucher_signature=signature)
    assert broken(file) == (set() if routed == paid_by_route else {"voucher"})


def test_a_receipt_signed_by_another_or_for_another_network_is_bad() -> None:
    with pytest.raises(BadReceipt, match="signature"):
        check(sign_receipt(STRANGER, NETWORK, RECEIPT))
    with pytest.raises(BadReceipt, match="signature"):
        check(sign_receipt(PROVIDER, "other", RECEIPT))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_garbage_from_a_provider_is_a_bad_receipt_and_nothing_else(garbage: bytes) -> None:

    signature = PROVIDER.sign(signing_bytes(NETWORK, "receipt", garbage))
    with pytest.raises(BadReceipt):
        check(Signed(body=garbage, signature=signature))


def test_a_countersignature_is_the_requesters_over_this_receipt() -> None:
    signed = sign_receipt(PROVIDER, NETWORK, RECEIPT)
    other = sign_receipt(PROVIDER, NETWORK, msgspec.structs.replace(RECEIPT, finish=Finish.LENGTH))
    message = countersign(REQUESTER, NETWORK, signed)
    assert isinstance(message, Countersigned)

    def holds(one: Signed, network: str = NETWORK, requester: Identity = REQUESTER) -> bool:
        return is_countersigned(
            one, message.signature, network=network, requester=requester.peer_id
        )

    assert holds(signed)
    assert not holds(other)
    assert not holds(signed, network="other")
    assert not holds(signed, requester=PROVIDER)
    with pytest.raises(RemoteProtocolError):
        is_countersigned(signed, message.signature, network=NETWORK, requester="nobody")


# --- the file ---


def test_an_honest_file_verifies_with_every_binding_listed(tmp_path: Path) -> None:
    report = verify_file(save_receipt(tmp_path / "receipts", file_of()))
    assert report.ok
    assert report.require() == RECEIPT
    assert [binding.name for binding in report.bindings] == [
        "file",
        "statement",
        "offer",
        "transcript hash",
        "provider's signature",
        "requester's signature",
        "model",
        "kernel",
        "tier and evidence",
        "price",
        "meter",
        "cost",
        "payment",
        "voucher",
        "times",
    ]


def test_a_file_is_for_its_owner_only_and_nothing_else_stays(tmp_path: Path) -> None:
    path = save_receipt(tmp_path / "receipts", file_of())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert path.suffix == ".receipt"


def test_saving_again_replaces_whole(tmp_path: Path) -> None:
    unsigned = msgspec.structs.replace(file_of(), countersignature=b"")
    first = save_receipt(tmp_path, unsigned)
    assert save_receipt(tmp_path, file_of()) == first
    assert verify_file(first).ok


def test_a_receipt_holds_neither_question_nor_answer() -> None:
    data = encode(file_of())
    assert PROMPT not in data
    assert ANSWER not in data


def test_no_changed_bit_of_the_file_verifies() -> None:
    data = bytearray(encode(file_of()))
    assert verify_bytes(bytes(data)).ok
    for index in range(len(data)):
        bit = 1 << (index % 8)
        data[index] ^= bit
        assert not verify_bytes(bytes(data)).ok, f"byte {index}, bit {bit}"
        data[index] ^= bit


BOUND: dict[str, Callable[[ReceiptFile], bytes]] = {
    "statement": lambda file: file.statement.body,
    "statement signature": lambda file: file.statement.signature,
    "offer": lambda file: file.offer.body,
    "offer signature": lambda file: file.offer.signature,
    "nonce": lambda file: file.job_nonce,
    "receipt": lambda file: file.receipt.body,
    "receipt signature": lambda file: file.receipt.signature,
    "countersignature": lambda file: file.countersignature,
    "voucher": lambda file: file.voucher_signature,
    "network": lambda file: file.network.encode(),
}


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(sorted(BOUND)), st.data())
def test_any_single_bit_of_any_bound_item_counts(name: str, data: st.DataObject) -> None:
    file = file_of()
    item, whole = BOUND[name](file), encode(file)
    position = 8 * whole.index(item) + data.draw(st.integers(0, 8 * len(item) - 1))
    changed = bytearray(whole)
    changed[position // 8] ^= 1 << (position % 8)
    assert not verify_bytes(bytes(changed)).ok


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_garbage_is_reported_not_raised(garbage: bytes) -> None:
    report = verify_bytes(garbage)
    assert not report.ok
    assert report.receipt is None
    with pytest.raises(BadReceipt, match=r"^file: "):
        report.require()


def test_a_file_of_another_version_says_so() -> None:
    newer = msgspec.structs.replace(file_of(), version=2)
    assert "version 2" in verify_bytes(encode(newer)).bindings[0].detail


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.receipt"
    path.write_bytes(bytes(FILE_BYTES_MAX + 10))
    assert "at most" in verify_file(path).bindings[0].detail


def test_a_longer_encoding_of_the_same_file_is_refused() -> None:
    data = encode(file_of())
    fields = msgspec.msgpack.decode(data)
    reordered = msgspec.msgpack.encode(dict(reversed(fields.items())))
    assert "one way" in verify_bytes(reordered).bindings[0].detail


# --- what only a provider and a requester together could write: each lie has its binding ---


@pytest.mark.parametrize(
    ("change", "binding"),
    [
        ({"transcript_hash": bytes(32)}, "transcript hash"),
        ({"model_id": bytes(32)}, "model"),
        ({"engine_id": bytes(32)}, "model"),
        ({"tier": Tier.CPU_TEE}, "tier and evidence"),
        ({"evidence_id": bytes(32)}, "tier and evidence"),
        ({"cost_nanoton": 1, "voucher_total_nanoton": 5_001}, "cost"),
        ({"voucher_total_nanoton": 4_999}, "payment"),
        ({"started_at_unix_s": NOW + 5}, "times"),
        ({"version": 3}, "provider's signature"),
        ({"requester": PROVIDER.peer_id}, "requester's signature"),
        ({"requester": "nobody"}, "requester's signature"),
    ],
    ids=str,
)
def test_a_wrong_receipt_signed_by_both_still_fails_its_binding(
    change: dict[str, object], binding: str
) -> None:
    assert broken(file_of(msgspec.structs.replace(RECEIPT, **change))) == {binding}


def test_prices_other_than_the_offers_fail() -> None:
    dearer = msgspec.structs.replace(VIEW, schedule=PriceSchedule(output_token=99_999))
    receipt = build_receipt(
        dearer, finish=Finish.STOP, started_at_unix_s=NOW, finished_at_unix_s=NOW
    )
    assert broken(file_of(receipt)) == {"price"}


@pytest.mark.parametrize(
    ("view", "bindings"),
    [
        ({"meter": Meter(output_tokens=512)}, set()),
        ({"meter": Meter(output_tokens=513)}, {"meter"}),
        ({"kind": Kind.TRANSCRIBE, "meter": Meter(audio_ms=60_000)}, {"model"}),
        ({"kind": Kind.TRANSCRIBE, "meter": Meter(audio_ms=60_001)}, {"meter", "model"}),
        (KERNEL_VIEW, set()),
        (KERNEL_VIEW | {"meter": Meter(gpu_ms=251)}, {"meter"}),
        (KERNEL_VIEW | {"kernel_hash": b""}, {"kernel"}),
        (KERNEL_VIEW | {"kernel_hash": b"short"}, {"kernel"}),
        (KERNEL_VIEW | {"model_id": MODEL.model_id}, {"kernel", "model"}),
        ({"kernel_hash": b"k" * 32}, {"kernel"}),
    ],
    ids=[
        "all tokens",
        "too many tokens",
        "all audio",
        "too much audio",
        "all of a kernel's time",
        "too much of it",
        "a kernel without a name",
        "a kernel with half a name",
        "a kernel under no profile",
        "a chat with a kernel",
    ],
)
def test_a_meter_may_reach_the_offers_limits_and_not_pass_them(
    view: dict[str, object], bindings: set[str]
) -> None:
    more = msgspec.structs.replace(VIEW, **view)
    receipt = build_receipt(more, finish=Finish.STOP, started_at_unix_s=NOW, finished_at_unix_s=NOW)
    assert broken(file_of(receipt)) == bindings


@pytest.mark.parametrize(
    ("change", "bindings"),
    [
        ({"statement_id": bytes(32)}, {"offer"}),
        ({"provider": STRANGER.peer_id}, {"offer"}),
        ({"payee_address": "0:" + "ee" * 32}, {"payment"}),
        ({"payee_key": b"x" * 32}, {"payment"}),
        ({"tier": Tier.SIM}, {"tier and evidence"}),
    ],
    ids=str,
)
def test_an_offer_that_does_not_fit_its_statement_fails(
    change: dict[str, object], bindings: set[str]
) -> None:
    offer = sign(PROVIDER, NETWORK, msgspec.structs.replace(OFFER, **change))
    receipt = msgspec.structs.replace(RECEIPT, transcript_hash=agreed(offer))
    assert broken(file_of(receipt, offer)) == bindings


def test_a_channel_on_another_chain_fails() -> None:
    payment = msgspec.structs.replace(PAYMENT, chain_network_id=-239)
    receipt = msgspec.structs.replace(
        RECEIPT, payment=payment, transcript_hash=agreed(payment=payment)
    )
    assert broken(file_of(receipt)) == {"payment"}


def test_a_statement_that_had_expired_fails() -> None:
    late = STATEMENT.expires_at_unix_s
    receipt = msgspec.structs.replace(RECEIPT, started_at_unix_s=late, finished_at_unix_s=late)
    assert broken(file_of(receipt)) == {"statement"}


@pytest.mark.parametrize("name", ["offer", "receipt", "statement"])
def test_what_a_stranger_signed_fails(name: str) -> None:
    messages: dict[str, Message] = {"offer": OFFER, "receipt": RECEIPT, "statement": STATEMENT}
    forged = msgspec.structs.replace(file_of(), **{name: sign(STRANGER, NETWORK, messages[name])})
    expected = {
        "offer": {"offer", "transcript hash"},
        "receipt": {"provider's signature", "requester's signature"},
        "statement": {"statement"},
    }
    assert broken(forged) == expected[name]


def test_a_job_without_countersignature_or_payment_fails() -> None:
    assert broken(msgspec.structs.replace(file_of(), countersignature=b"")) == {
        "requester's signature"
    }
    assert broken(msgspec.structs.replace(file_of(), voucher_signature=b"")) == {"voucher"}


def test_a_job_that_cost_nothing_needs_no_voucher() -> None:
    free = build_receipt(
        msgspec.structs.replace(VIEW, meter=Meter()),
        finish=Finish.CANCELLED,
        started_at_unix_s=NOW,
        finished_at_unix_s=NOW,
    )
    assert broken(msgspec.structs.replace(file_of(free), voucher_signature=b"")) == set()


def test_a_voucher_for_less_fails() -> None:
    less = msgspec.structs.replace(RECEIPT, voucher_total_nanoton=RECEIPT.voucher_total_nanoton - 1)
    assert broken(msgspec.structs.replace(file_of(), voucher_signature=voucher_for(less))) == {
        "voucher"
    }
