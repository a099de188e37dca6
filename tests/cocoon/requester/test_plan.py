"""From a wish to a request for offers, and to what is left of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.errors import JobFailed, Refused
from cocoon.kernel_profiles import FUEL_PER_MS, PROFILES, profile_of
from cocoon.market.match import Track
from cocoon.market.price import cost, worst_case_cost
from cocoon.messages import (
    Finish,
    Kind,
    Limits,
    Meter,
    OutputPiece,
    PriceSchedule,
    SpeechPiece,
    Tier,
    Turn,
    encode,
)
from cocoon.requester.events import JobResult
from cocoon.requester.kernels import is_complete, is_own_fault, outputs_of, without_speeds
from cocoon.requester.plan import (
    AUDIO_HEADER_SLACK_MS,
    ChatRequest,
    ChunkLimits,
    KernelRequest,
    Progress,
    SpeechRequest,
    class_of,
    output_tokens_left,
    prompt_tokens_max,
    remaining_input,
    request_for_offer,
    size_of,
)
from kernels.custom.compiling import ARCHITECTURE
from kernels.custom.job import Argument, ElementType, KernelJob, Language, Role
from kernels.custom.job import Limits as JobLimits

MODEL = "ab" * 32
SPEECH = SpeechRequest(model_id=MODEL, audio=b"OggS" * 100, duration_ms=61_001)
texts = st.text(max_size=200)


def chat(*contents: str, tokens: int = 50) -> ChatRequest:
    turns = tuple(Turn(role="user", content=text) for text in contents)
    return ChatRequest(model_id=MODEL, turns=turns, output_tokens_max=tokens)


def piece(*ids: int, text: str = "", speech: tuple[SpeechPiece, ...] = ()) -> OutputPiece:
    return OutputPiece(meter=Meter(), token_ids=ids, text=text, speech=speech)


@given(st.lists(texts, min_size=1, max_size=4), st.integers(1, 60), st.integers(0, 60))
def test_the_size_bounds_the_input_and_what_is_left_of_the_answer(contents, wanted, done):
    request = chat(*contents, tokens=wanted)
    progress = Progress().with_piece(piece(*range(done), text="x"))
    size = size_of(request, progress)
    rest = remaining_input(request, progress)
    assert size.input_bytes_max >= len(encode(rest))
    assert size.output_tokens_max == rest.output_tokens_max == max(0, wanted - done)
    assert size.output_tokens_max == output_tokens_left(request, progress)
    assert size.prompt_tokens_max >= prompt_tokens_max(request, progress)
    assert prompt_tokens_max(request, progress) >= sum(len(c.encode()) for c in contents) + done
    assert rest.prefix_token_ids == tuple(range(done))


@given(st.integers(1, 14_400_000), st.integers(1, 10**12))
def test_no_recording_is_billed_beyond_what_was_reserved_for_it(duration_ms, price):
    request = SpeechRequest(model_id=MODEL, audio=b"OggS", duration_ms=duration_ms)
    schedule = PriceSchedule(audio_second=price)
    bound = Meter(audio_ms=duration_ms + AUDIO_HEADER_SLACK_MS)
    assert cost(schedule, bound) <= worst_case_cost(schedule, size_of(request, Progress()))


def test_progress_gathers_tokens_text_and_speech_in_order():
    one, two = (
        SpeechPiece(start_ms=0, end_ms=900, text=" one "),
        SpeechPiece(start_ms=900, end_ms=2000, text=""),
    )
    progress = Progress().with_piece(piece(1, 2, text="ab")).with_piece(piece(3, text="c"))
    assert (progress.token_ids, progress.text, progress.skip_ms) == ((1, 2, 3), "abc", 0)
    progress = Progress().with_piece(piece(speech=(one,))).with_piece(piece(speech=(two,)))
    assert (progress.transcript, progress.skip_ms) == ("one", 2000)


def test_a_recording_goes_on_where_it_was_left():
    progress = Progress(speech=((0, 7000, "a"),))
    assert remaining_input(SPEECH, progress).skip_ms == 7000
    assert size_of(SPEECH, progress).audio_seconds_max >= 62


def test_the_request_says_what_was_asked_and_no_more():
    request = chat("hello")
    size = size_of(request, Progress())
    message = request_for_offer(
        request,
        size,
        nonce=bytes(16),
        chain_network_id=-3,
        tier_min=Tier.OPEN,
        ceiling=PriceSchedule(output_token=5),
        deadline_unix_s=9,
    )
    assert message.resource_class == class_of(request) == f"chat/{MODEL}"
    assert class_of(SPEECH) == f"transcribe/{MODEL}"
    assert b"hello" not in encode(message)
    assert message.output_tokens_max == 50


def test_chunks_count_for_their_own_kind_only():
    ours = ChunkLimits(tokens_max=16, audio_s_max=30, kernel_ms_max=500)
    assert ours.objection(Kind.CHAT, Limits(chunk_tokens=16, chunk_audio_s=600)) == ""
    assert ours.objection(Kind.TRANSCRIBE, Limits(chunk_tokens=4096, chunk_audio_s=30)) == ""
    assert "17 tokens, at most 16" in ours.objection(Kind.CHAT, Limits(chunk_tokens=17))
    assert ours.objection(Kind.KERNEL, Limits(chunk_tokens=4096, chunk_gpu_ms=500)) == ""
    assert "501 ms" in ours.objection(Kind.KERNEL, Limits(chunk_gpu_ms=501))
    assert "31 s" in ours.objection(Kind.TRANSCRIBE, Limits(chunk_audio_s=31))


# --- kernels -------------------------------------------------------------------------------


def array(name: str, role: Role, count: int) -> Argument:
    data = b"" if role is Role.OUT else bytes(4 * count)
    return Argument(name=name, role=role, dtype=ElementType.INT32, shape=(count,), data=data)


KERNEL = KernelJob(
    language=Language.CUDA,
    code='extern "C" __global__ void secret(int* a, int* b, int* c) {}',
    entry="secret",
    grid=(1, 1, 1),
    block=(1, 1, 1),
    arguments=(
        array("a", Role.IN, 100),
        array("b", Role.OUT, 3),
        array("c", Role.INOUT, 2),
    ),
    limits=JobLimits(time_ms=1234),
)
WANTED = KernelRequest(job=KERNEL, device="cpu")


def test_a_request_for_a_kernel_tells_sizes_and_nothing_else_of_it():
    size = size_of(WANTED, Progress())
    message = request_for_offer(
        WANTED,
        size,
        nonce=bytes(16),
        chain_network_id=-3,
        tier_min=Tier.OPEN,
        ceiling=PriceSchedule(gpu_ms=5),
        deadline_unix_s=9,
    )
    assert message.resource_class == PROFILES["cpu"].resource_class
    assert message.kernel_ms_max == 1234
    assert message.kernel_memory_bytes_max >= 4 * 105
    assert message.kernel_output_bytes_max >= 4 * 5
    assert message.input_bytes_max >= len(encode(remaining_input(WANTED, Progress())))
    assert b"secret" not in encode(message)
    assert b"secret" in encode(remaining_input(WANTED, Progress()))


def test_a_cpu_and_a_card_are_classes_of_their_own_and_say_what_a_millisecond_is():
    cpu, cuda = PROFILES["cpu"], PROFILES["cuda"]
    assert cpu.resource_class != cuda.resource_class
    assert profile_of(cpu.profile_id) is cpu
    assert profile_of(bytes(32)) is None
    assert cpu.metered_ms(fuel=FUEL_PER_MS + 1, card_ms=99) == 2
    assert cuda.metered_ms(fuel=0, card_ms=99) == 99
    assert cpu.fuel_for(2) == 2 * FUEL_PER_MS
    assert str(FUEL_PER_MS) in cpu.unit


def test_a_profile_never_changes():
    """Its hash is what quotes go by; other rules are another profile."""
    assert PROFILES["cpu"].profile_id.hex()[:16] == "986d14f92a4dc8aa"
    assert PROFILES["cuda"].profile_id.hex()[:16] == "9657a64d0bee0da6"
    assert ARCHITECTURE == 75


def result(**changes) -> JobResult:
    fields = {
        "job_id": "j",
        "resource_class": PROFILES["cpu"].resource_class,
        "text": "",
        "tokens": 0,
        "finish": Finish.STOP,
        "time_to_first_token_s": 0.0,
        "tokens_per_s": 0.0,
        "total_s": 1.0,
        "attempts": [],
        "failovers": [],
    }
    return JobResult(**(fields | changes))


def test_a_result_is_cut_into_its_arrays():
    progress = Progress()
    for data in (b"", b"bbbbbbbb", b"bbbbcc", b"cccccc"):
        progress = progress.with_piece(OutputPiece(meter=Meter(gpu_ms=4), data=data, note="x"))
    assert (progress.metered_ms, progress.note) == (4, "x")
    b, c = outputs_of(KERNEL, result(data=b"".join(progress.data)))
    assert (b.name, b.data) == ("b", b"b" * 12)
    assert (c.name, c.data) == ("c", b"c" * 8)
    with pytest.raises(JobFailed, match=r"limit\): out of fuel"):
        outputs_of(KERNEL, result(finish=Finish.LIMIT, note="out of fuel"))


def test_what_is_the_buyers_fault_is_not_tried_again_and_all_else_is():
    for finish in Finish:
        ours = finish in {Finish.STOP, Finish.LENGTH, Finish.FAULT, Finish.LIMIT}
        assert is_complete(WANTED, finish) == ours
        assert is_complete(chat("x"), finish) == (finish in {Finish.STOP, Finish.LENGTH})
    assert is_own_fault(WANTED, Refused("input", "does not compile"))
    assert not is_own_fault(WANTED, Refused("internal", "no compiler"))
    assert not is_own_fault(chat("x"), Refused("input", ""))
    assert not is_own_fault(WANTED, JobFailed(""))


def test_speeds_measured_in_tokens_do_not_count_for_kernels():
    assert without_speeds({"p": Track(3, 1, 20_000)}) == {"p": Track(3, 1, 0)}
