"""From a wish to a request for offers, and to what is left of it."""

from hypothesis import given
from hypothesis import strategies as st

from cocoon.messages import (
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
from cocoon.requester.plan import (
    ChatRequest,
    ChunkLimits,
    Progress,
    SpeechRequest,
    class_of,
    output_tokens_left,
    prompt_tokens_max,
    remaining_input,
    request_for_offer,
    size_of,
)

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
    ours = ChunkLimits(tokens_max=16, audio_s_max=30, kernel_ms_max=1000)
    assert ours.objection(Kind.CHAT, Limits(chunk_tokens=16, chunk_audio_s=600)) == ""
    assert ours.objection(Kind.TRANSCRIBE, Limits(chunk_tokens=4096, chunk_audio_s=30)) == ""
    assert "17 tokens, at most 16" in ours.objection(Kind.CHAT, Limits(chunk_tokens=17))
    assert "31 s" in ours.objection(Kind.TRANSCRIBE, Limits(chunk_audio_s=31))
