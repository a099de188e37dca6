"""Receipts: what was agreed, done and paid in one job, signed by both sides.

The provider builds and signs a `Receipt`; the requester compares every field with what
it saw itself, and countersigns. A `ReceiptFile` holds both signatures and what the
transcript hash was made of, so that anyone can check it later without a network
(`verify_file`). A receipt names its input and output by hash; neither is in it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from cocoon.confidential.transcript import (
    evidence_id,
    length_prefixed,
    statement_id,
    transcript_hash,
)
from cocoon.errors import BadReceipt, PeerMisbehaved
from cocoon.kernel_profiles import profile_of
from cocoon.market.price import cost
from cocoon.messages import (
    CONTROL_BYTES_MAX,
    VERSION,
    Countersigned,
    Finish,
    Kind,
    Message,
    Meter,
    Nonce,
    Offer,
    PaymentRef,
    PriceSchedule,
    Receipt,
    Signed,
    Statement,
    Tier,
    decode,
    encode,
)
from cocoon.signing import kind_of, open_signed, sign, signing_bytes
from cocoon.statements import verify_statement
from contracts.locks import KeyLock, KeyPayment, fits
from contracts.units import NanoTon
from contracts.voucher import ChannelRef, verify_voucher
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity, verify
from overlay.private_file import replace_private_file

FILE_SUFFIX: Final = ".receipt"
FILE_BYTES_MAX: Final = 4 * CONTROL_BYTES_MAX
CLOCK_SKEW_S: Final = 120
HASH_BYTES: Final = 32

M = TypeVar("M", bound=Message)

OptionalSignature = Annotated[bytes, msgspec.Meta(max_length=64)]
NetworkName = Annotated[str, msgspec.Meta(max_length=32)]


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """What one side knows of a finished job by itself, without trusting the other.

    Attributes:
        request_hash: digest of the sealed input segments (`Sealer` or `Opener`).
        response_hash: digest of the sealed output segments.
        schedule: of the accepted offer.
        meter: the last one that came with the output.
        kernel_hash: of a customer's kernel, see `kernels.custom.kernel_hash`.
    """

    transcript_hash: bytes
    provider: str
    requester: str
    kind: Kind
    model_id: bytes
    engine_id: bytes
    request_hash: bytes
    response_hash: bytes
    tier: Tier
    evidence_id: bytes
    schedule: PriceSchedule
    meter: Meter
    payment: PaymentRef
    kernel_hash: bytes = b""


# --- making and checking one, while the job's stream is open ----------------------------


def build_receipt(
    view: JobView, *, finish: Finish, started_at_unix_s: int, finished_at_unix_s: int
) -> Receipt:
    """Return the provider's receipt for the job that it sees as *view*."""
    cost_nanoton = cost(view.schedule, view.meter)
    return Receipt(
        version=VERSION,
        **msgspec.structs.asdict(view),
        cost_nanoton=cost_nanoton,
        voucher_total_nanoton=view.payment.signed_total_nanoton + cost_nanoton,
        finish=finish,
        started_at_unix_s=started_at_unix_s,
        finished_at_unix_s=finished_at_unix_s,
    )


def sign_receipt(identity: Identity, network: str, receipt: Receipt) -> Signed:
    """Sign *receipt* as its provider."""
    return sign(identity, network, receipt)


def check_receipt(
    signed: Signed,
    view: JobView,
    *,
    network: str,
    now_unix_s: int,
    begun_unix_s: int,
    finish: Finish | None = None,
) -> Receipt:
    """Compare a provider's receipt with the requester's own view of the job.

    Args:
        signed: as it came.
        view: what the requester saw.
        network: name of the network.
        now_unix_s: the receipt must have been made just now.
        begun_unix_s: when the requester accepted; the job cannot have started long before.
        finish: how the job ended, if the requester saw it.

    Raises:
        BadReceipt: the message names the first binding that does not hold.
    """
    try:
        receipt = open_signed(
            signed,
            Receipt,
            network=network,
            signer=view.provider,
            size_bytes_max=CONTROL_BYTES_MAX,
        )
    except (PeerMisbehaved, RemoteProtocolError) as error:
        raise BadReceipt(f"receipt: {error}") from error
    expected = build_receipt(
        view,
        finish=receipt.finish if finish is None else finish,
        started_at_unix_s=receipt.started_at_unix_s,
        finished_at_unix_s=receipt.finished_at_unix_s,
    )
    for name in Receipt.__struct_fields__:
        theirs, ours = getattr(receipt, name), getattr(expected, name)
        if theirs != ours:
            raise BadReceipt(f"{name}: the receipt says {_text(theirs)}, we saw {_text(ours)}")
    if abs(now_unix_s - receipt.finished_at_unix_s) > CLOCK_SKEW_S:
        raise BadReceipt("finished_at_unix_s: the receipt is not of now")
    if receipt.started_at_unix_s < begun_unix_s - CLOCK_SKEW_S:
        raise BadReceipt("started_at_unix_s: it started before it was agreed")
    if receipt.started_at_unix_s > receipt.finished_at_unix_s:
        raise BadReceipt("started_at_unix_s: it ended before it began")
    return receipt


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def countersign(identity: Identity, network: str, signed: Signed) -> Countersigned:
    """Sign a checked receipt as its requester: over the provider's words and signature."""
    return Countersigned(signature=identity.sign(_countersigning_bytes(network, signed)))


def is_countersigned(signed: Signed, signature: bytes, *, network: str, requester: str) -> bool:
    """Return whether *signature* is *requester*'s over this signed receipt.

    Raises:
        RemoteProtocolError: *requester* is not a peer id.
    """
    return verify(requester, _countersigning_bytes(network, signed), signature)


def _countersigning_bytes(network: str, signed: Signed) -> bytes:
    both = length_prefixed(signed.body, signed.signature)
    return signing_bytes(network, kind_of(Countersigned), both)


# --- keeping one -------------------------------------------------------------------------


class ReceiptFile(Message, frozen=True, tag="receipt_file", tag_field="type"):
    """A receipt and all that is needed to check it offline.

    Attributes:
        version: of this format and of the messages in it.
        network: the name under which everything was signed.
        statement: the provider's, as received.
        offer: the accepted one, as received.
        job_nonce: from the accept.
        receipt: signed by the provider.
        countersignature: by the requester; empty if it never came.
        voucher_signature: the payer's last voucher; empty if nothing was to pay.
    """

    version: int
    network: NetworkName
    statement: Signed
    offer: Signed
    job_nonce: Nonce
    receipt: Signed
    countersignature: OptionalSignature
    voucher_signature: OptionalSignature


def receipt_file_name(receipt: Receipt) -> str:
    """Return a name that sorts by time and is the job's own."""
    return f"{receipt.finished_at_unix_s}-{receipt.transcript_hash.hex()[:16]}{FILE_SUFFIX}"


def save_receipt(directory: Path, file: ReceiptFile) -> Path:
    """Write *file* so that it is there whole or not at all, for its owner only (mode 0600).

    Blocks for the disk: call it in a thread.

    Raises:
        BadReceipt: the signed receipt in it cannot be read.
        OSError: the disk refuses.
    """
    receipt = _decoded(Receipt, file.receipt)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / receipt_file_name(receipt)
    replace_private_file(path, encode(file))
    return path


# --- checking one later, offline -----------------------------------------------------------


class Binding(msgspec.Struct, frozen=True):
    """One thing that a receipt must bind; *detail* says what is wrong when it does not."""

    name: str
    ok: bool
    detail: str = ""


class ReceiptReport(msgspec.Struct, frozen=True):
    """What a check found.

    Attributes:
        bindings: every check that was made, in order.
        receipt: None when the file could not be read. Believe it only when `ok`.
    """

    bindings: tuple[Binding, ...]
    receipt: Receipt | None

    @property
    def ok(self) -> bool:
        """Whether every binding holds."""
        return all(binding.ok for binding in self.bindings)

    def require(self) -> Receipt:
        """Return the receipt.

        Raises:
            BadReceipt: a binding does not hold; the message names the first.
        """
        for binding in self.bindings:
            if not binding.ok:
                raise BadReceipt(f"{binding.name}: {binding.detail}")
        if self.receipt is None:
            raise BadReceipt("no receipt")
        return self.receipt


class _Contents(msgspec.Struct, frozen=True):
    file: ReceiptFile
    statement: Statement
    offer: Offer
    receipt: Receipt


def verify_file(path: Path) -> ReceiptReport:
    """Check a receipt file without any network. Blocks for the disk.

    Raises:
        OSError: it cannot be read at all.
    """
    with path.open("rb") as file:
        return verify_bytes(file.read(FILE_BYTES_MAX + 1))


def verify_bytes(data: bytes) -> ReceiptReport:
    """Check the bytes of a receipt file; never raises for what is in them."""
    try:
        contents = _read(data)
    except BadReceipt as error:
        return ReceiptReport(bindings=(Binding("file", ok=False, detail=str(error)),), receipt=None)
    found = [Binding("file", ok=True)]
    found += [Binding(name, ok=not wrong, detail=wrong) for name, wrong in _checks(contents)]
    return ReceiptReport(bindings=tuple(found), receipt=contents.receipt)


def _read(data: bytes) -> _Contents:
    try:
        file = decode(ReceiptFile, data, size_bytes_max=FILE_BYTES_MAX)
    except RemoteProtocolError as error:
        raise BadReceipt(f"not a receipt file: {error}") from error
    if file.version != VERSION:
        raise BadReceipt(f"version {file.version}; this program reads version {VERSION}")
    if encode(file) != data:
        raise BadReceipt("not written the one way that a receipt file is written")
    return _Contents(
        file=file,
        statement=_decoded(Statement, file.statement),
        offer=_decoded(Offer, file.offer),
        receipt=_decoded(Receipt, file.receipt),
    )


def _decoded(kind: type[M], signed: Signed) -> M:
    try:
        return decode(kind, signed.body)
    except RemoteProtocolError as error:
        raise BadReceipt(f"{kind_of(kind)}: {error}") from error


def _checks(contents: _Contents) -> Iterator[tuple[str, str]]:
    """Yield each binding's name and what is wrong with it, or nothing."""
    yield "statement", _statement_problem(contents)
    yield "offer", _offer_problem(contents)
    yield "transcript hash", _transcript_problem(contents)
    yield "provider's signature", _provider_problem(contents)
    yield "requester's signature", _requester_problem(contents)
    yield "model", _model_problem(contents)
    yield "kernel", _kernel_problem(contents.receipt)
    yield "tier and evidence", _tier_problem(contents)
    yield "price", _price_problem(contents)
    yield "meter", _meter_problem(contents)
    yield "cost", _cost_problem(contents)
    yield "payment", _payment_problem(contents)
    yield "voucher", _voucher_problem(contents)
    yield "times", _times_problem(contents.receipt)


def _statement_problem(contents: _Contents) -> str:
    try:
        verify_statement(
            contents.file.statement,
            network=contents.file.network,
            peer_id=contents.receipt.provider,
            now_unix_s=contents.receipt.started_at_unix_s,
        )
    except (PeerMisbehaved, RemoteProtocolError) as error:
        return str(error)
    return ""


def _offer_problem(contents: _Contents) -> str:
    if contents.offer.statement_id != statement_id(contents.file.statement):
        return "it names another statement"
    if contents.offer.provider != contents.receipt.provider:
        return "it is of another provider"
    return _signature_problem(contents, contents.file.offer, Offer)


def _signature_problem(contents: _Contents, signed: Signed, kind: type[Message]) -> str:
    try:
        open_signed(
            signed,
            kind,
            network=contents.file.network,
            signer=contents.receipt.provider,
            size_bytes_max=CONTROL_BYTES_MAX,
        )
    except (PeerMisbehaved, RemoteProtocolError) as error:
        return str(error)
    return ""


def _transcript_problem(contents: _Contents) -> str:
    file = contents.file
    recomputed = transcript_hash(
        statement_id(file.statement),
        file.offer.body,
        file.offer.signature,
        file.job_nonce,
        contents.receipt.payment,
    )
    if recomputed != contents.receipt.transcript_hash:
        return f"recomputed {recomputed.hex()}"
    return ""


def _provider_problem(contents: _Contents) -> str:
    if contents.receipt.version != VERSION:
        return f"a receipt of version {contents.receipt.version}"
    return _signature_problem(contents, contents.file.receipt, Receipt)


def _requester_problem(contents: _Contents) -> str:
    file = contents.file
    if not file.countersignature:
        return "the requester has not signed"
    try:
        holds = is_countersigned(
            file.receipt,
            file.countersignature,
            network=file.network,
            requester=contents.receipt.requester,
        )
    except RemoteProtocolError as error:
        return str(error)
    return "" if holds else "not the requester's signature"


def _model_problem(contents: _Contents) -> str:
    receipt = contents.receipt
    job = (receipt.kind, receipt.model_id, receipt.engine_id)
    offered = {(one.kind, one.model_id, one.engine_id) for one in contents.statement.models}
    return "" if job in offered else "the statement does not offer this model and engine"


def _kernel_problem(receipt: Receipt) -> str:
    if receipt.kind is not Kind.KERNEL:
        return "it names a kernel, and was no job for one" if receipt.kernel_hash else ""
    if len(receipt.kernel_hash) != HASH_BYTES:
        return "it does not name the kernel"
    return "" if profile_of(receipt.model_id) else "what a millisecond is there, is not known here"


def _tier_problem(contents: _Contents) -> str:
    receipt, offer, statement = contents.receipt, contents.offer, contents.statement
    if not receipt.tier == offer.tier == statement.tier:
        return "receipt, offer and statement disagree about the tier"
    if not receipt.evidence_id == offer.evidence_id == evidence_id(statement.evidence):
        return "the evidence is not the statement's"
    return ""


def _price_problem(contents: _Contents) -> str:
    same = contents.receipt.schedule == contents.offer.schedule
    return "" if same else "the prices are not the offer's"


def _meter_problem(contents: _Contents) -> str:
    meter, limits = contents.receipt.meter, contents.offer.limits
    match contents.receipt.kind:
        case Kind.CHAT if meter.output_tokens > limits.output_tokens_max:
            return f"{meter.output_tokens} tokens, the offer allows {limits.output_tokens_max}"
        case Kind.TRANSCRIBE if meter.audio_ms > 1000 * limits.audio_seconds_max:
            return f"{meter.audio_ms} ms of audio, the offer allows {limits.audio_seconds_max} s"
        case Kind.KERNEL if meter.gpu_ms > limits.kernel_ms_max:
            return f"{meter.gpu_ms} ms of a kernel, the offer allows {limits.kernel_ms_max}"
        case _:
            return ""


def _cost_problem(contents: _Contents) -> str:
    receipt = contents.receipt
    due = cost(receipt.schedule, receipt.meter)
    return "" if receipt.cost_nanoton == due else f"the meter comes to {due} nanoton"


def _payment_problem(contents: _Contents) -> str:
    receipt, statement, offer = contents.receipt, contents.statement, contents.offer
    payee = (statement.payment_address, statement.payee_key)
    if (offer.payee_address, offer.payee_key) != payee:
        return "offer and statement disagree about who is paid"
    if receipt.payment.chain_network_id != statement.chain_network_id:
        return "the channel is on another chain than the statement says"
    total = receipt.payment.signed_total_nanoton + receipt.cost_nanoton
    return "" if receipt.voucher_total_nanoton == total else f"the new total must be {total}"


def _voucher_problem(contents: _Contents) -> str:
    """Nothing is due for a job that cost nothing; then there may be no voucher, either."""
    receipt, signature = contents.receipt, contents.file.voucher_signature
    if not signature:
        return "not paid" if receipt.cost_nanoton else ""
    total = NanoTon(receipt.voucher_total_nanoton)
    signed = _is_paid(receipt.payment, total, signature)
    return "" if signed else f"not the payer's voucher for {total} nanoton"


def _is_paid(payment: PaymentRef, total: NanoTon, signature: bytes) -> bool:
    """Return whether *signature* pays *total* over the channel, or over the route."""
    if payment.routed:
        lock = KeyLock(key=payment.payer_key, amount_nanoton=total, deadline_unix_s=0)
        return fits(lock, KeyPayment(total, signature), payment.chain_network_id)
    channel = ChannelRef(payment.chain_network_id, payment.channel_address, payment.opened_lt)
    return verify_voucher(payment.payer_key, channel, total, signature)


def _times_problem(receipt: Receipt) -> str:
    in_order = receipt.started_at_unix_s <= receipt.finished_at_unix_s
    return "" if in_order else "it ended before it began"
