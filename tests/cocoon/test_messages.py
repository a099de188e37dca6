"""Whatever a stranger sends is a message or a `RemoteProtocolError`, and never anything else."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon import messages
from cocoon.messages import (
    CONTROL_BYTES_MAX,
    SEGMENT_BYTES_MAX,
    Cancel,
    ChatInput,
    InputSegment,
    KernelInput,
    Limits,
    Meter,
    OutputPiece,
    PriceSchedule,
    Refusal,
    RefusalCode,
    RequestForOffer,
    Tier,
    Turn,
    VoucherMessage,
    decode,
    decode_channel_answer,
    decode_from_provider,
    decode_from_requester,
    decode_input,
    encode,
)
from cocoon.signing import signing_bytes
from overlay.errors import RemoteProtocolError

DECODERS = [decode_from_requester, decode_from_provider, decode_channel_answer, decode_input]
VOUCHER = VoucherMessage(total_nanoton=7, signature=bytes(64))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_refused(data):
    for decoder in DECODERS:
        try:
            decoder(data)
        except RemoteProtocolError:
            pass


@given(st.integers(0, 10**5), st.integers(1, 255))
def test_a_changed_byte_is_a_message_or_refused(at, flip):
    data = bytearray(encode(VOUCHER))
    data[at % len(data)] ^= flip
    try:
        assert isinstance(decode_from_requester(bytes(data)), msgspec.Struct)
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize("decoder", DECODERS)
def test_deep_nesting_is_refused(decoder):
    for opening in (b"\x91", b"\x81\xa1a"):
        with pytest.raises(RemoteProtocolError):
            decoder(opening * 60_000 + b"\xc0")


def test_length_is_checked_before_anything_is_parsed():
    with pytest.raises(RemoteProtocolError, match="at most"):
        decode_from_requester(b"\xc1" * (SEGMENT_BYTES_MAX + 4097))
    with pytest.raises(RemoteProtocolError, match="at most 10"):
        decode(Refusal, b"\xc1" * 11, size_bytes_max=10)
    with pytest.raises(RemoteProtocolError, match="at most"):
        decode(Refusal, b"\xc1" * (CONTROL_BYTES_MAX + 1))


def test_unknown_fields_and_unknown_types_are_refused():
    fields = msgspec.msgpack.decode(encode(VOUCHER))
    for wrong in (fields | {"tip": 1}, fields | {"type": "gift"}, {"type": "voucher"}):
        with pytest.raises(RemoteProtocolError):
            decode_from_requester(msgspec.msgpack.encode(wrong))


@pytest.mark.parametrize("total", [-1, 2**63, 2**64 - 1, 1.5, "7", None, True])
def test_money_is_a_whole_number_within_what_exists(total):
    fields = msgspec.msgpack.decode(encode(VOUCHER)) | {"total_nanoton": total}
    with pytest.raises(RemoteProtocolError):
        decode_from_requester(msgspec.msgpack.encode(fields))


def test_each_side_speaks_its_own_half():
    with pytest.raises(RemoteProtocolError):
        decode_from_provider(encode(Cancel()))
    with pytest.raises(RemoteProtocolError):
        decode_from_requester(encode(Refusal(code=RefusalCode.BUSY)))


def test_the_largest_segment_fits_its_frame():
    segment = InputSegment(data=bytes(SEGMENT_BYTES_MAX + 16))
    assert decode_from_requester(encode(segment)) == segment


def test_a_turn_has_one_of_three_roles():
    for role in ("system", "user", "assistant"):
        chat = ChatInput(turns=(Turn(role=role, content="x"),), output_tokens_max=1)
        assert decode_input(encode(chat)) == chat
    bad = ChatInput(turns=(Turn(role="root", content="x"),), output_tokens_max=1)
    with pytest.raises(RemoteProtocolError):
        decode_input(encode(bad))


def test_no_message_has_a_float():
    def floats(kind) -> bool:
        if isinstance(kind, msgspec.inspect.FloatType):
            return True
        return any(floats(part) for part in getattr(kind, "types", ()))

    structs = [
        each
        for each in vars(messages).values()
        if isinstance(each, type) and issubclass(each, messages.Message)
    ]
    assert len(structs) > 30
    for struct in structs:
        info = msgspec.inspect.type_info(struct)
        assert not any(floats(field.type) for field in info.fields), struct


def test_what_is_signed_names_version_network_and_type():
    seen = {
        signing_bytes("main", "offer", b"x"),
        signing_bytes("main", "quote", b"x"),
        signing_bytes("test", "offer", b"x"),
        signing_bytes("main", "offer", b"y"),
    }
    assert len(seen) == 4
    assert all(each.startswith(b"cocoon/1\0") for each in seen)


def test_an_empty_piece_is_a_piece():
    piece = OutputPiece(meter=Meter())
    assert decode(OutputPiece, encode(piece)) == piece


counts = st.integers(0, 2**40)


@given(
    st.builds(
        RequestForOffer,
        nonce=st.binary(min_size=16, max_size=16),
        resource_class=st.text(max_size=160),
        chain_network_id=st.integers(-(2**31), 2**31 - 1),
        input_bytes_max=counts,
        prompt_tokens_max=counts,
        output_tokens_max=counts,
        audio_seconds_max=counts,
        tier_min=st.sampled_from(Tier),
        ceiling=st.builds(PriceSchedule, gpu_ms=st.integers(0, 10**15)),
        deadline_unix_s=counts,
        kernel_ms_max=counts,
        kernel_memory_bytes_max=counts,
        kernel_output_bytes_max=counts,
    )
)
def test_a_request_for_an_offer_comes_through_as_it_was(request) -> None:
    assert decode_from_requester(encode(request)) == request


@given(
    st.builds(
        OutputPiece,
        meter=st.builds(Meter, gpu_ms=counts),
        data=st.binary(max_size=600),
        note=st.text(max_size=512),
    )
)
def test_a_piece_of_a_kernels_result_comes_through_as_it_was(piece) -> None:
    assert decode(OutputPiece, encode(piece)) == piece


@given(st.binary(max_size=600))
def test_a_kernel_comes_through_as_it_was(job) -> None:
    assert decode_input(encode(KernelInput(job=job))) == KernelInput(job=job)


@pytest.mark.parametrize(
    "wrong",
    [
        OutputPiece(meter=Meter(), data=bytes(SEGMENT_BYTES_MAX + 1)),
        OutputPiece(meter=Meter(), note="x" * 513),
        OutputPiece(meter=Meter(gpu_ms=-1)),
        Limits(chunk_gpu_ms=0),
        Limits(chunk_gpu_ms=600_001),
        Limits(kernel_ms_max=-1),
        Limits(kernel_memory_bytes_max=2**40 + 1),
        Limits(kernel_output_bytes_max=1 << 60),
    ],
    ids=range(8),
)
def test_what_is_out_of_bounds_in_a_kernels_messages_is_refused(wrong) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(type(wrong), encode(wrong), size_bytes_max=1 << 20)


def test_an_input_longer_than_any_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(RemoteProtocolError, match="at most"):
        decode_input(b"\xc1" * ((64 << 20) + 4097))
