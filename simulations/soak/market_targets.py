"""Every reader of strangers' bytes in `cocoon`: wires, files, forms, settings."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from cocoon import messages
from cocoon.cli.amounts import read_amount
from cocoon.confidential.sealing import (
    Direction,
    Opener,
    Sealer,
    SealKey,
    load_seal_public,
    open_content_key,
    seal_content_key,
)
from cocoon.config import explain, parse_config
from cocoon.directory import Directory
from cocoon.errors import ConfigError, PaymentError, PeerMisbehaved, Refused
from cocoon.gateway.form import read_form
from cocoon.gateway.problems import ApiProblem
from cocoon.gateway.wire import decode_chat
from cocoon.market.price import next_level_ppm, schedule_at
from cocoon.market.renewal import BasesRequest, QuoteRenewal, Renewed, base_id
from cocoon.messages import (
    Kind,
    Limits,
    Message,
    Offer,
    Quote,
    QuotesRequest,
    Receipt,
    RequestForOffer,
    Signed,
    Statement,
    decode,
    encode,
)
from cocoon.payments.backup import FORMAT, SIDES, Header, read_backup
from cocoon.payments.hub.messages import HubMessage, decode_hub
from cocoon.payments.journal import Journal, read_records
from cocoon.payments.notes import PREFIXES, read_note, write_note
from cocoon.provider.kept_quotes import KeptQuotes
from cocoon.provider.orders import job_for_worker
from cocoon.provider.wire import (
    Command,
    Event,
    WorkerProtocolError,
    decode_command,
    decode_event,
    encode_frame,
)
from cocoon.receipts import ReceiptFile, verify_bytes
from cocoon.requester.tracks import Tracks
from cocoon.signing import kind_of, open_signed, signing_bytes
from cocoon.statements import verify_statement
from kernels.custom.errors import BadManifest
from kernels.custom.job import (
    Argument,
    ElementType,
    KernelJob,
    Language,
    Role,
    decode_job,
    encode_job,
)
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity
from simulations.soak.damage import bytewise, json, lines
from simulations.soak.samples import sample, structs_below, variants
from simulations.soak.targets import Target

NETWORK: Final = "soak"
NOW_UNIX_S: Final = 1_780_000_000
STRANGER: Final = Identity(b"s" * 32)
WIRE: Final = (RemoteProtocolError, PeerMisbehaved)
BOUNDARY: Final = b"AaB03x"


def market_targets(home: Path) -> list[Target]:
    """Return all of them; those that read files use the folder *home*."""
    return [
        *_messages(),
        *_signed(),
        *_sealed(),
        *_orders(),
        *_http(),
        *_notes(),
        *_files(home),
    ]


# --- what comes over the wire ---


def _messages() -> Iterator[Target]:
    for kind in structs_below(Message):
        yield Target(f"message {kind.__name__}", partial(decode, kind), _of(kind), WIRE)
    question: Any = QuotesRequest | BasesRequest
    unions: list[tuple[str, Callable[[bytes], object], Any]] = [
        ("from a requester", messages.decode_from_requester, messages.FromRequester),
        ("from a provider", messages.decode_from_provider, messages.FromProvider),
        ("about a channel", messages.decode_channel_answer, messages.ChannelAnswer),
        ("input of a job", messages.decode_input, messages.JobInput),
        ("hub", decode_hub, HubMessage),
        ("question for quotes", partial(decode, question), question),
    ]
    for name, feed, union in unions:
        for each in variants(union):
            yield Target(f"{name}: {type(each).__name__}", feed, encode(each), WIRE)
    pipes: list[tuple[Callable[[bytes], object], Any]] = [
        (decode_command, Command),
        (decode_event, Event),
    ]
    for feed, union in pipes:
        for each in variants(union):
            body = encode_frame(each)[4:]
            yield Target(f"worker: {type(each).__name__}", feed, body, (WorkerProtocolError,))


def _of(kind: type[Message]) -> bytes:
    return encode(sample(kind))


# --- what a stranger has signed: well-formed, and of any content ---


def _signed() -> Iterator[Target]:
    """Yield readers of signed bytes; each damaged body is signed anew by its author."""
    quote, renewal = quotes()
    yield Target("quote in gossip", _Gossip().hear, encode(quote), ())
    yield Target("renewal in gossip", _Gossip().hear, encode(renewal), ())
    for kind in (Statement, Offer, Receipt):
        yield Target(f"signed {kind.__name__}", partial(_open_anew, kind), _of(kind), WIRE)
    statement = msgspec.structs.replace(
        sample(Statement),
        version=messages.VERSION,
        peer_id=STRANGER.peer_id,
        models=(sample(messages.ModelOnOffer),),
        payment_address=f"0:{'11' * 32}",
        payee_key=STRANGER.public_key,
        issued_at_unix_s=NOW_UNIX_S,
        expires_at_unix_s=NOW_UNIX_S + 600,
    )
    yield Target("statement", _verify_statement, encode(statement), WIRE)
    yield Target("receipt file", verify_bytes, _of(ReceiptFile), ())


def quotes() -> tuple[Quote, QuoteRenewal]:
    """Return a sound quote of `STRANGER`, and a renewal of it."""
    plain = sample(Quote)
    inputs = msgspec.structs.replace(
        plain.inputs,
        base=messages.PriceSchedule(prompt_token=10, cached_token=1, output_token=30),
        previous_level_ppm=1_000_000,
        floor_ppm=500_000,
        cap_ppm=2_000_000,
        elasticity_ppm=100_000,
        step_max_ppm=100_000,
        busy_slot_ms=3,
    )
    level_ppm = next_level_ppm(inputs)
    quote = msgspec.structs.replace(
        plain,
        version=messages.VERSION,
        peer_id=STRANGER.peer_id,
        resource_class=f"chat/{'ab' * 32}",
        inputs=inputs,
        level_ppm=level_ppm,
        schedule=schedule_at(inputs.base, level_ppm),
        free_slots=1,
        issued_at_unix_s=NOW_UNIX_S,
        expires_at_unix_s=NOW_UNIX_S + 60,
    )
    moved = msgspec.structs.replace(sample(Renewed), base=base_id(encode(quote)), seq=quote.seq + 1)
    renewal = QuoteRenewal(issued_at_unix_s=NOW_UNIX_S, lifetime_s=60, renewed=(moved,))
    return quote, renewal


class _Gossip:
    """A node's book of quotes, which hears what `STRANGER` signs."""

    def __init__(self) -> None:
        host: Any = None  # it is asked nothing here
        self._directory = Directory(host, NETWORK, lambda: float(NOW_UNIX_S))
        self.hear(encode(quotes()[0]))

    def hear(self, body: bytes) -> object:
        """Sign *body* as whatever it seems to be, and take it in."""
        kind = QuoteRenewal if body[:1] and 0x90 <= body[0] <= 0x9F else Quote
        signed = encode(_sign_anew(kind, body)) if len(body) < 60_000 else body
        return self._directory.hear(Kind.CHAT, STRANGER.peer_id, signed)


def _sign_anew(kind: type[Message], body: bytes) -> Signed:
    signature = STRANGER.sign(signing_bytes(NETWORK, kind_of(kind), body))
    return Signed(body=body, signature=signature)


def _open_anew(kind: type[Message], body: bytes) -> object:
    return open_signed(
        _sign_anew(kind, body),
        kind,
        network=NETWORK,
        signer=STRANGER.peer_id,
        size_bytes_max=messages.CONTROL_BYTES_MAX,
    )


def _verify_statement(body: bytes) -> object:
    signed = _sign_anew(Statement, body)
    peer_id, now_unix_s = STRANGER.peer_id, NOW_UNIX_S
    return verify_statement(signed, network=NETWORK, peer_id=peer_id, now_unix_s=now_unix_s)


def _sealed() -> Iterator[Target]:
    key, transcript = SealKey.generate(), b"t" * 32
    content_key, sealed = seal_content_key(key.public_bytes, transcript)
    sealer = Sealer(content_key, transcript, Direction.INPUT)
    segment = sealer.seal(b"a segment", last=True)

    def open_segment(data: bytes) -> object:
        opener = Opener(content_key, transcript, Direction.INPUT, sealer.prefix)
        return opener.open(data, last=True)

    def open_key(data: bytes) -> object:
        return open_content_key(key, transcript, data)

    yield Target("sealed key", open_key, sealed, WIRE, bytewise)
    yield Target("sealing key", load_seal_public, key.public_bytes, WIRE, bytewise)
    yield Target("sealed segment", open_segment, segment, WIRE, bytewise)


# --- what was sealed for the provider: sealed well, and of any content ---


def _orders() -> Iterator[Target]:
    """Yield the readers of an opened input, up to the command for a worker."""
    limits = Limits(context_tokens=4096, output_tokens_max=64, kernel_ms_max=10)
    asked = msgspec.structs.replace(
        sample(RequestForOffer), output_tokens_max=64, prompt_tokens_max=99
    )
    for kind, given in zip(Kind, variants(messages.JobInput), strict=True):

        def order(data: bytes, kind: Kind = kind) -> object:
            return encode_frame(job_for_worker(kind, limits, asked, messages.decode_input(data)))

        yield Target(f"order: {kind.value}", order, encode(given), (*WIRE, Refused))
    array = Argument(
        name="x", role=Role.IN, dtype=ElementType.FLOAT32, shape=(2, 3), data=bytes(24)
    )
    job = KernelJob(
        language=Language.CUDA,
        code="code",
        entry="f",
        grid=(1, 1, 1),
        block=(32, 1, 1),
        arguments=(array,),
    )
    yield Target("customer's kernel", decode_job, encode_job(job), (BadManifest,))


# --- what programs and people hand in ---


def _http() -> Iterator[Target]:
    chat = {
        "model": "SmolLM2-135M-Instruct",
        "messages": [{"role": "user", "content": "hello"}, {"role": "system", "content": "be"}],
        "max_tokens": 12,
        "temperature": 0.5,
        "seed": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "me",
        "n": 1,
    }
    body = msgspec.json.encode(chat)
    yield Target("API: chat", lambda d: decode_chat(d).request(1), body, (ApiProblem,), json)
    form = b"".join(
        b"--%s\r\nContent-Disposition: form-data; name=%s\r\n\r\n%s\r\n" % (BOUNDARY, name, value)
        for name, value in ((b'"model"', b"whisper-tiny.en"), (b'"file"; filename="a"', b"RIFF"))
    )
    form += b"--%s--\r\n" % BOUNDARY
    kind = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    yield Target("API: form", lambda d: read_form(d, kind), form, (ApiProblem,), bytewise)
    yield Target("API: header", _read_header(form), kind.encode(), (ApiProblem,), bytewise)


def _read_header(form: bytes) -> Callable[[bytes], object]:
    return lambda data: read_form(form, data.decode("latin-1"))


def _notes() -> Iterator[Target]:
    for kind in PREFIXES:
        text = write_note(sample(kind)).encode()
        feed = partial(_as_text, partial(_read_note, kind))
        yield Target(f"note {kind.__name__}", feed, text, (PaymentError,), bytewise)
    known = [each for each in explain() if not each.default.startswith("(")]
    written = "\n".join(f"{each.name} = {each.default}" for each in known).encode()
    settings = partial(_as_text, _parse_config)
    yield Target("settings", settings, written, (ConfigError,), lines)
    yield Target("amount", partial(_as_text, read_amount), b"1.25", (ConfigError,), bytewise)


def _as_text(read: Callable[[str], object], data: bytes) -> object:
    return read(data.decode("utf-8", "replace"))


def _read_note(kind: Any, text: str) -> object:  # noqa: ANN401  (a type of a note)
    return read_note(text, kind)


def _parse_config(text: str) -> object:
    return parse_config(text)


# --- what lies on the disk ---


def _files(home: Path) -> Iterator[Target]:
    for side, kind in SIDES.items():
        records = variants(kind)
        with Journal[msgspec.Struct](home / f"{side}.journal", kind) as journal:
            journal.append_many(records)
        written = (home / f"{side}.journal").read_bytes()
        read = partial(_read_journal, home / f"damaged.{side}", kind)
        yield Target(f"journal of a {side}", read, written, (PaymentError,), bytewise)
        header = Header(format=FORMAT, side=side, records=len(records))
        backup = b"".join(map(msgspec.msgpack.encode, (header, *records)))
        back = partial(_read_backup, home / f"backup.{side}", side)
        yield Target(f"backup of a {side}", back, backup, (PaymentError,), bytewise)
    quote, _ = quotes()
    kept = msgspec.msgpack.encode({"quotes": [quote]})
    yield Target("kept quotes", partial(_read_kept, home / "quotes.bin"), kept, ())
    tracks = b'{"12D3KooW":{"jobs":3,"failures":1,"speed_milli_per_s":9,"channel":"0:11"}}'
    yield Target("tracks", partial(_read_tracks, home / "tracks.json"), tracks, (), json)


def _read_journal(path: Path, kind: Any, data: bytes) -> object:  # noqa: ANN401  (a union)
    path.write_bytes(data)
    return read_records(path, kind)


def _read_backup(path: Path, side: str, data: bytes) -> object:
    path.write_bytes(data)
    return list(read_backup(path, side))


def _read_kept(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    return KeptQuotes(path, STRANGER.peer_id)


def _read_tracks(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    return Tracks(path).view()
