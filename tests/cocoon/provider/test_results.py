"""A kernel's result and its bill leave together, whatever the sizes, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from cocoon.messages import Meter, OutputPiece
from cocoon.provider import results
from cocoon.provider.results import KernelOutput
from cocoon.provider.wire import KernelDone, KernelOut, KernelTick


@given(
    ticks_ms=st.lists(st.integers(0, 3000), max_size=5),
    more_ms=st.integers(0, 5000),
    data=st.binary(max_size=3000),
    part=st.integers(1, 700),
    piece=st.integers(1, 500),
    rooms=st.lists(st.integers(1, 900), min_size=1, max_size=20),
    lag=st.booleans(),
)
def test_every_byte_leaves_once_in_order_and_never_before_its_share_of_the_bill(
    ticks_ms, more_ms, data, part, piece, rooms, lag
) -> None:
    output, sent, got, used = KernelOutput(piece_bytes_max=piece), Meter(), b"", 0

    def drain() -> None:
        nonlocal sent, got, used
        while output.is_waiting(sent):
            room = rooms[used % len(rooms)]
            used += 1
            cut = output.cut(sent, room)
            assert sent.gpu_ms <= cut.meter.gpu_ms <= sent.gpu_ms + room
            assert len(cut.data) <= piece
            assert cut.data or cut.note or cut.meter.gpu_ms > sent.gpu_ms, "an empty piece"
            sent, got = cut.meter, got + cut.data
            assert len(got) * max(1, total_ms) <= len(data) * sent.gpu_ms or not got

    total_ms = max(1, *ticks_ms, 0) + more_ms
    for metered_ms in sorted(ticks_ms):
        output.take(KernelTick(job_id="j", step="running", metered_ms=metered_ms))
        drain()
        assert sent.gpu_ms == metered_ms
    output.take(KernelDone(job_id="j", metered_ms=total_ms, output_bytes=len(data)))
    for at in range(0, len(data), part):
        output.take(KernelOut(job_id="j", data=data[at : at + part]))
        if lag:
            drain()
    drain()
    assert got == data
    assert sent == Meter(gpu_ms=total_ms)


def test_a_step_is_told_once_and_needs_no_room() -> None:
    output = KernelOutput()
    output.take(KernelTick(job_id="j", step="compiling", metered_ms=0))
    assert output.is_waiting(Meter())
    assert output.cut(Meter(), 0).note == "compiling"
    output.take(KernelTick(job_id="j", step="compiling", metered_ms=0))
    assert not output.is_waiting(Meter())


def test_a_long_silence_is_broken_by_a_sign_of_life() -> None:
    output, tick = KernelOutput(), KernelTick(job_id="j", step="running", metered_ms=3)
    output.take(tick)
    sent = output.cut(Meter(), 10).meter
    for _ in range(results.TICKS_QUIET_MAX):
        assert not output.is_waiting(sent)
        output.take(tick)
    assert output.is_waiting(sent)
    assert output.cut(sent, 10) == OutputPiece(meter=sent)
    assert not output.is_waiting(sent)


def test_a_failed_kernel_has_a_bill_and_no_bytes() -> None:
    output = KernelOutput()
    output.take(KernelDone(job_id="j", metered_ms=7, output_bytes=0))
    assert output.cut(Meter(), 5).meter == Meter(gpu_ms=5)
    assert output.cut(Meter(gpu_ms=5), 5).meter == Meter(gpu_ms=7)
    assert not output.is_waiting(Meter(gpu_ms=7))


def test_pieces_fit_their_segments() -> None:
    assert results.PIECE_DATA_BYTES + 4096 < 256 * 1024
