"""Nothing that comes over a worker's pipe is believed before it is checked."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import chat_job, ended, speech, speech_job, started, token

from cocoon.provider.wire import (
    HEADER_BYTES,
    WORKER_FRAME_BYTES_MAX,
    CancelJob,
    Grant,
    WorkerFailed,
    WorkerProtocolError,
    decode_command,
    decode_event,
    encode_frame,
    frame_length,
)
from cocoon.provider.worker import read_commands

COMMANDS = [
    chat_job(),
    speech_job(audio=b"OggS"),
    Grant(job_id="j", granted_units=5),
    CancelJob(job_id="j"),
]
EVENTS = [started(), token(1), speech(0, 5), ended(), WorkerFailed(detail="no")]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_come_out_as_they_went_in(command):
    frame = encode_frame(command)
    assert frame_length(frame[:HEADER_BYTES]) == len(frame) - HEADER_BYTES
    assert decode_command(frame[HEADER_BYTES:]) == command


@pytest.mark.parametrize("event", EVENTS)
def test_events_come_out_as_they_went_in(event):
    assert decode_event(encode_frame(event)[HEADER_BYTES:]) == event


def test_a_frame_that_is_too_long_is_refused_before_it_is_read():
    assert frame_length(WORKER_FRAME_BYTES_MAX.to_bytes(4, "big")) == WORKER_FRAME_BYTES_MAX
    with pytest.raises(WorkerProtocolError, match="announced"):
        frame_length((WORKER_FRAME_BYTES_MAX + 1).to_bytes(4, "big"))


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data):
    for decode in (decode_command, decode_event):
        try:
            decode(data)
        except WorkerProtocolError:
            pass


@pytest.mark.parametrize("decode", [decode_command, decode_event])
def test_deep_nesting_is_refused(decode):
    with pytest.raises(WorkerProtocolError):
        decode(b"\x91" * 100_000 + b"\xc0")


@pytest.mark.parametrize(
    ("decode", "frame"), [(decode_command, COMMANDS[3]), (decode_event, EVENTS[4])]
)
def test_text_that_is_no_utf8_and_nesting_inside_a_message_are_refused(decode, frame):
    body = encode_frame(frame)[HEADER_BYTES:]
    for wrong in (body.replace(b"type", b"\xff\xfe\xfd\xfc"), body[:-2] + b"\xa1\xff"):
        with pytest.raises(WorkerProtocolError):
            decode(wrong)
    with pytest.raises(WorkerProtocolError):
        decode(b"\x82\xa1a" + b"\x81\xa1a" * 100_000 + b"\xc0")


@given(st.lists(st.sampled_from(COMMANDS), max_size=5), st.integers(0, 200))
def test_a_pipe_that_ends_anywhere_ends_the_commands_in_order(commands, cut):
    data = b"".join(encode_frame(command) for command in commands)
    read = list(read_commands(io.BytesIO(data[: max(0, len(data) - cut)])))
    assert read == commands[: len(read)]
    assert cut or read == commands
