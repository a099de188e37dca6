"""Every message of the market, as it is on the wire.

Frozen msgspec Structs in MessagePack. A field that carries a quantity says its unit;
a moment says its clock. Money is integer nanotons. There is no float on the wire.

A signature is made and checked over the bytes that were sent, never over a
re-encoding, behind a domain prefix that names the protocol version, the network
and the type of the message (`cocoon.signing.signing_bytes`).

Unknown fields are refused: a new field is a new protocol version (ADR 3).
"""

import hashlib
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from cocoon.errors import UNDECODABLE
from cocoon.kinds import Kind as Kind  # noqa: PLC0414  (it is one of ours)
from cocoon.kinds import Tier as Tier  # noqa: PLC0414  (it is one of ours)
from cocoon.kinds import resource_class as resource_class  # noqa: PLC0414  (it is one of ours)
from cocoon.outcomes import Finish as Finish  # noqa: PLC0414  (it is one of ours)
from cocoon.outcomes import LossReason as LossReason  # noqa: PLC0414  (it is one of ours)
from cocoon.outcomes import RefusalCode as RefusalCode  # noqa: PLC0414  (it is one of ours)
from contracts.units import SUPPLY_NANOTON_MAX
from overlay.errors import RemoteProtocolError

VERSION: Final = 1
JOB_PROTOCOL: Final = f"/cocoon/job/{VERSION}"
QUOTES_PROTOCOL: Final = f"/cocoon/quotes/{VERSION}"
STATEMENT_PROTOCOL: Final = f"/cocoon/statement/{VERSION}"
CHANNEL_PROTOCOL: Final = f"/cocoon/channel/{VERSION}"
STATEMENT_RECORD: Final = "statement"

STATEMENT_BYTES_MAX: Final = 16 * 1024
CONTROL_BYTES_MAX: Final = 64 * 1024
SEGMENT_BYTES_MAX: Final = 256 * 1024
"""Plaintext of one sealed segment, in bytes."""
FRAME_BYTES_MAX: Final = SEGMENT_BYTES_MAX + 4096

PER_UNITS: Final = 1000
"""Prices are integer nanotons for this many units (tokens, seconds, milliseconds)."""

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Key = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
SealPublic = Annotated[bytes, msgspec.Meta(min_length=1216, max_length=1216)]
Nonce = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Amount = Annotated[int, msgspec.Meta(ge=0, le=SUPPLY_NANOTON_MAX // 2)]
UnixTime = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Ppm = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
PeerText = Annotated[str, msgspec.Meta(max_length=64)]
Name = Annotated[str, msgspec.Meta(max_length=128)]
Detail = Annotated[str, msgspec.Meta(max_length=512)]
AddressText = Annotated[str, msgspec.Meta(max_length=80)]
ClassText = Annotated[str, msgspec.Meta(max_length=160)]


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base that fixes the options, so that no message can forget one."""


class Signed(Message, frozen=True):
    """A message and a signature over exactly these bytes."""

    body: Annotated[bytes, msgspec.Meta(max_length=CONTROL_BYTES_MAX)]
    signature: Signature


# --- what is for sale ---------------------------------------------------------------


class PriceSchedule(Message, frozen=True):
    """Integer nanotons for each `PER_UNITS` units."""

    prompt_token: Amount = 0
    cached_token: Amount = 0
    output_token: Amount = 0
    audio_second: Amount = 0
    gpu_ms: Amount = 0


class Meter(Message, frozen=True):
    """What a job has used so far; every field only grows."""

    prompt_tokens: Count = 0
    cached_tokens: Count = 0
    output_tokens: Count = 0
    audio_ms: Count = 0
    gpu_ms: Count = 0


class Limits(Message, frozen=True):
    """The largest job that a provider takes, and how much it sends unpaid.

    `chunk_tokens`, `chunk_audio_s` and `chunk_gpu_ms` are the size of one chunk: the
    provider pauses when more than one chunk has been sent and not paid. What begins with
    `kernel_` is for customers' kernels: metered time, all arrays, arrays that come back.
    """

    context_tokens: Count = 0
    output_tokens_max: Count = 0
    audio_seconds_max: Count = 0
    input_bytes_max: Count = 0
    kernel_ms_max: Count = 0
    kernel_memory_bytes_max: Count = 0
    kernel_output_bytes_max: Count = 0
    chunk_tokens: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 16
    chunk_audio_s: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30
    chunk_gpu_ms: Annotated[int, msgspec.Meta(ge=1, le=600_000)] = 1000


class ModelOnOffer(Message, frozen=True):
    """One model that a provider serves. `model_id` is the sha256 of the weights file.

    Of kernels it is the id of a profile: what runs them, and what a metered ms is.
    """

    kind: Kind
    name: Name
    model_id: Hash
    engine_id: Hash
    limits: Limits


class Statement(Message, frozen=True, tag="statement", tag_field="type"):
    """Who a provider is and what it can do; lives in the DHT, at most 16 KiB."""

    version: int
    peer_id: PeerText
    boot_key: SealPublic
    models: Annotated[tuple[ModelOnOffer, ...], msgspec.Meta(max_length=32)]
    device: Name
    tier: Tier
    evidence: Annotated[bytes, msgspec.Meta(max_length=8192)]
    payment_address: AddressText
    payee_key: Key
    chain_network_id: int
    challenge_s_min: Count
    software: Name
    issued_at_unix_s: UnixTime
    expires_at_unix_s: UnixTime


class PriceInputs(Message, frozen=True):
    """Everything that the price rule reads; anyone can recompute the price from it.

    Levels are parts per million of `base`: 1_000_000 means exactly the base price.
    """

    base: PriceSchedule
    previous_level_ppm: Ppm
    floor_ppm: Ppm
    cap_ppm: Ppm
    elasticity_ppm: Ppm
    step_max_ppm: Ppm
    slots: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    window_ms: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)]
    busy_slot_ms: Count


class Quote(Message, frozen=True, tag="quote", tag_field="type"):
    """A provider's standing price for one resource class; gossiped, expires."""

    version: int
    peer_id: PeerText
    statement_id: Hash
    resource_class: ClassText
    model_name: Name
    seq: Count
    inputs: PriceInputs
    level_ppm: Ppm
    schedule: PriceSchedule
    free_slots: Annotated[int, msgspec.Meta(ge=0, le=4096)]
    speed_milli_per_s: Count
    """Measured by the provider itself: thousandths of output tokens (or audio seconds) a second."""
    limits: Limits
    tier: Tier
    evidence_id: Hash
    issued_at_unix_s: UnixTime
    expires_at_unix_s: UnixTime


class QuotesRequest(Message, frozen=True, tag="quotes_request", tag_field="type"):
    """Ask a peer for the quotes it knows (a newcomer need not wait for gossip)."""

    resource_class: ClassText
    quotes_max: Annotated[int, msgspec.Meta(ge=1, le=64)] = 64


class QuotesAnswer(Message, frozen=True, tag="quotes_answer", tag_field="type"):
    """Signed quotes, as they were gossiped: the answering peer cannot change them."""

    quotes: Annotated[tuple[Signed, ...], msgspec.Meta(max_length=64)]


# --- negotiation ---------------------------------------------------------------------


class RequestForOffer(Message, frozen=True, tag="request_for_offer", tag_field="type"):
    """What the requester needs; sizes are upper bounds, rounded up to buckets."""

    nonce: Nonce
    resource_class: ClassText
    chain_network_id: int
    input_bytes_max: Count
    prompt_tokens_max: Count
    output_tokens_max: Count
    audio_seconds_max: Count
    tier_min: Tier
    ceiling: PriceSchedule
    """The most that the requester pays per unit; every field must hold."""
    deadline_unix_s: UnixTime
    kernel_ms_max: Count = 0
    kernel_memory_bytes_max: Count = 0
    kernel_output_bytes_max: Count = 0


class Refusal(Message, frozen=True, tag="refusal", tag_field="type"):
    """The typed no."""

    code: RefusalCode
    detail: Detail = ""


class Offer(Message, frozen=True, tag="offer", tag_field="type"):
    """A binding price for this one request, until it expires (at most 60 s).

    Attributes:
        request_hash: sha256 of the request's bytes.
        seal_key: one-time HPKE key (ML-KEM-768 with X25519); erased on use or expiry.
        quote_seq: the quote that the price came from.
        final: no further counter-offer will be considered.
    """

    request_hash: Hash
    statement_id: Hash
    provider: PeerText
    seal_key: SealPublic
    schedule: PriceSchedule
    limits: Limits
    quote_seq: Count
    tier: Tier
    evidence_id: Hash
    payee_address: AddressText
    payee_key: Key
    challenge_s_min: Count
    spendable_min_nanoton: Amount
    """What the channel must still be able to pay when the job starts."""
    expires_at_unix_s: UnixTime
    final: bool


class SignedOffer(Message, frozen=True, tag="signed_offer", tag_field="type"):
    """An `Offer` under the provider's node key: what the transcript hash is made over."""

    offer: Signed


class CounterOffer(Message, frozen=True, tag="counter_offer", tag_field="type"):
    """The requester's one counter-offer: the schedule it would accept now."""

    offer_hash: Hash
    schedule: PriceSchedule


class Hold(Message, frozen=True, tag="hold", tag_field="type"):
    """The requester chose this offer, and asks to keep a slot while its channel opens.

    The answer is `SlotHeld`, or a refusal: BUSY ends the negotiation; after POLICY the offer
    still stands, without a hold.
    """

    offer_hash: Hash


class SlotHeld(Message, frozen=True, tag="slot_held", tag_field="type"):
    """A slot is kept for this offer until then, never longer than the offer is valid."""

    offer_hash: Hash
    until_unix_s: UnixTime


class Decline(Message, frozen=True, tag="decline", tag_field="type"):
    """Tells a losing provider why it lost."""

    reason: LossReason
    detail: Detail = ""


class PaymentRef(Message, frozen=True):
    """The channel that pays for a job, or that a route to its payee ends with."""

    chain_network_id: int
    channel_address: AddressText
    opened_lt: Count
    payer_key: Key
    signed_total_nanoton: Amount
    """The channel's cumulative total before this job: what the first voucher adds to."""
    routed: bool = False
    """A route through a hub pays: key and total are the route's own."""


class Accept(Message, frozen=True, tag="accept", tag_field="type"):
    """Takes the offer: from here on both sides are bound by it.

    Attributes:
        sealed_key: HPKE(offer.seal_key, content key, info=transcript hash).
        payer_signature: by `payment.payer_key` over the transcript hash: whoever
            names a channel must own it.
        input_hash: sha256 over the sealed input segments, in order: what the input is
            called, until the receipt repeats it as `request_hash`.
    """

    offer_hash: Hash
    job_nonce: Nonce
    payment: PaymentRef
    sealed_key: Annotated[bytes, msgspec.Meta(max_length=4096)]
    payer_signature: Signature
    input_segments: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    input_prefix: Annotated[bytes, msgspec.Meta(min_length=7, max_length=7)]
    input_hash: Hash


# --- the job -------------------------------------------------------------------------


class InputSegment(Message, frozen=True, tag="input", tag_field="type"):
    """One sealed segment of the input."""

    data: Annotated[bytes, msgspec.Meta(max_length=SEGMENT_BYTES_MAX + 64)]


class Accepted(Message, frozen=True, tag="accepted", tag_field="type"):
    """The provider has the input and starts; its output stream begins with this prefix."""

    output_prefix: Annotated[bytes, msgspec.Meta(min_length=7, max_length=7)]


class Resume(Message, frozen=True, tag="resume", tag_field="type"):
    """The first frame of a new stream: the connection of an accepted job was lost, we are back.

    Attributes:
        input_hash: names the job, see `Accept`; only whoever accepted it may come back to it.
        received: how many of the provider's frames came since the acceptance.
    """

    input_hash: Hash
    received: Count


class Resumed(Message, frozen=True, tag="resumed", tag_field="type"):
    """The job is still there; `received` counts the requester's frames since its acceptance."""

    received: Count


class OutputSegment(Message, frozen=True, tag="output", tag_field="type"):
    """One sealed segment of output; its plaintext is an `OutputPiece`."""

    data: Annotated[bytes, msgspec.Meta(max_length=SEGMENT_BYTES_MAX + 64)]
    last: bool = False


class VoucherMessage(Message, frozen=True, tag="voucher", tag_field="type"):
    """The channel's new cumulative total and the payer's signature for the contract."""

    total_nanoton: Amount
    signature: Signature


class Cancel(Message, frozen=True, tag="cancel", tag_field="type"):
    """Stop the device now; what was sent until here is paid."""


class JobEnd(Message, frozen=True, tag="final", tag_field="type"):
    """The end of the job: the provider's signed `Receipt`."""

    receipt: Signed


class Countersigned(Message, frozen=True, tag="countersigned", tag_field="type"):
    """The requester's signature over the provider's signed receipt."""

    signature: Signature


class Receipt(Message, frozen=True, tag="receipt", tag_field="type"):
    """Binds everything about one finished job; signed by the provider."""

    version: int
    transcript_hash: Hash
    provider: PeerText
    requester: PeerText
    kind: Kind
    model_id: Hash
    engine_id: Hash
    request_hash: Hash
    """sha256 over the sealed input segments, in order."""
    response_hash: Hash
    """sha256 over the sealed output segments, in order."""
    tier: Tier
    evidence_id: Hash
    schedule: PriceSchedule
    meter: Meter
    cost_nanoton: Amount
    payment: PaymentRef
    voucher_total_nanoton: Amount
    """The cumulative total that pays for this job in full."""
    finish: Finish
    started_at_unix_s: UnixTime
    finished_at_unix_s: UnixTime
    kernel_hash: Annotated[bytes, msgspec.Meta(max_length=32)] = b""
    """Of a customer's kernel: sha256 that names its code, see `kernels.custom.kernel_hash`."""


class CloseRequest(Message, frozen=True, tag="close_request", tag_field="type"):
    """The payer wants to close a channel together, at this total."""

    chain_network_id: int
    channel_address: AddressText
    opened_lt: Count
    total_nanoton: Amount
    payer_signature: Signature
    """By the payer key over network, channel, opening and total, in a domain of its own:
    a voucher that a claim made public cannot be replayed as a wish to close."""


class CloseRelease(Message, frozen=True, tag="close_release", tag_field="type"):
    """The payee agrees to close at this total."""

    total_nanoton: Amount
    release_signature: Signature


# --- what is sealed ------------------------------------------------------------------


class Turn(Message, frozen=True):
    """One turn of a chat."""

    role: Annotated[str, msgspec.Meta(pattern="^(system|user|assistant)$")]
    content: Annotated[str, msgspec.Meta(max_length=1 << 20)]


class SamplingSettings(Message, frozen=True):
    """Integers only: thousandths and parts per million."""

    temperature_milli: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 0
    top_k: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    top_p_ppm: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1_000_000
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


class ChatInput(Message, frozen=True, tag="chat", tag_field="type"):
    """A chat to continue. `prefix_token_ids` is an answer already begun elsewhere."""

    turns: Annotated[tuple[Turn, ...], msgspec.Meta(min_length=1, max_length=512)]
    output_tokens_max: Count
    sampling: SamplingSettings = SamplingSettings()
    prefix_token_ids: Annotated[tuple[Count, ...], msgspec.Meta(max_length=65_536)] = ()


class SpeechInput(Message, frozen=True, tag="speech", tag_field="type"):
    """An audio file (OGG/Opus, WAV, FLAC or MP3) to write down.

    `skip_ms` leaves out what another provider has already transcribed.
    """

    audio: Annotated[bytes, msgspec.Meta(max_length=64 << 20)]
    skip_ms: Count = 0


class KernelInput(Message, frozen=True, tag="kernel", tag_field="type"):
    """A customer's kernel with its arrays and limits: what `kernels.custom.encode_job` writes."""

    job: Annotated[bytes, msgspec.Meta(max_length=64 << 20)]


JobInput: TypeAlias = ChatInput | SpeechInput | KernelInput


class SpeechPiece(Message, frozen=True):
    """One transcribed stretch of audio."""

    start_ms: Count
    end_ms: Count
    text: Annotated[str, msgspec.Meta(max_length=65_536)]


class OutputPiece(Message, frozen=True):
    """The plaintext of an `OutputSegment`: new output, and the running meter.

    Attributes:
        data: of a kernel: the next bytes of the arrays that it wrote, one after the other.
        note: of a kernel: the step that it is at; with the last piece why it failed.
    """

    meter: Meter
    token_ids: Annotated[tuple[Count, ...], msgspec.Meta(max_length=65_536)] = ()
    text: Annotated[str, msgspec.Meta(max_length=1 << 20)] = ""
    speech: Annotated[tuple[SpeechPiece, ...], msgspec.Meta(max_length=4096)] = ()
    data: Annotated[bytes, msgspec.Meta(max_length=SEGMENT_BYTES_MAX)] = b""
    note: Detail = ""
    finish: Finish | None = None


# --- codecs --------------------------------------------------------------------------

FromRequester: TypeAlias = (
    RequestForOffer
    | CounterOffer
    | Hold
    | Decline
    | Accept
    | InputSegment
    | VoucherMessage
    | Cancel
    | Countersigned
    | Resume
)
FromProvider: TypeAlias = (
    Refusal | SignedOffer | SlotHeld | Accepted | Resumed | OutputSegment | JobEnd
)

ChannelAnswer: TypeAlias = CloseRelease | Refusal

T = TypeVar("T")
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type, "msgspec.msgpack.Decoder[object]"] = {}


def encode(message: Message) -> bytes:
    """Serialise *message*."""
    return _encoder.encode(message)


def decode(kind: type[T], data: bytes, *, size_bytes_max: int = CONTROL_BYTES_MAX) -> T:
    """Parse and validate one message of the given type from a stranger.

    Raises:
        RemoteProtocolError: anything at all is wrong with *data*.
    """
    if len(data) > size_bytes_max:
        raise RemoteProtocolError(f"message of {len(data)} bytes, at most {size_bytes_max}")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        return decoder.decode(data)  # type: ignore[return-value]  # keyed by kind
    except UNDECODABLE as error:
        raise RemoteProtocolError(f"bad message: {error}") from error


def decode_from_requester(data: bytes) -> FromRequester:
    """Parse a frame of the job protocol sent by a requester.

    Raises:
        RemoteProtocolError: anything at all is wrong with *data*.
    """
    return decode(FromRequester, data, size_bytes_max=FRAME_BYTES_MAX)  # type: ignore[arg-type]


def decode_from_provider(data: bytes) -> FromProvider:
    """Parse a frame of the job protocol sent by a provider.

    Raises:
        RemoteProtocolError: anything at all is wrong with *data*.
    """
    return decode(FromProvider, data, size_bytes_max=FRAME_BYTES_MAX)  # type: ignore[arg-type]


def decode_channel_answer(data: bytes) -> ChannelAnswer:
    """Parse a payee's answer to a `CloseRequest`.

    Raises:
        RemoteProtocolError: anything at all is wrong with *data*.
    """
    return decode(ChannelAnswer, data)  # type: ignore[arg-type]  # a union is no type


def decode_input(data: bytes) -> JobInput:
    """Parse the opened (unsealed) input of a job.

    Raises:
        RemoteProtocolError: anything at all is wrong with *data*.
    """
    return decode(JobInput, data, size_bytes_max=(64 << 20) + 4096)  # type: ignore[arg-type]


def message_hash(data: bytes) -> bytes:
    """Return sha256 of a message's bytes: how messages refer to each other."""
    return hashlib.sha256(data).digest()
