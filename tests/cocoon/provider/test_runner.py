"""Real worker processes: what they do, and what becomes of them when something dies."""

import os
import signal
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from stage import chat_job

from cocoon.messages import Finish, Kind
from cocoon.provider import runner
from cocoon.provider.runner import (
    Progress,
    WorkerDied,
    WorkerPool,
    WorkerSpec,
    default_memory_bytes,
    open_pool,
    open_worker,
)
from cocoon.provider.wire import JobEnded, JobStarted, RunSpeech, SpeechOut, TokensOut
from overlay.errors import LocalProtocolError

pytestmark = pytest.mark.usefixtures("tiny_model")


@pytest.fixture
def spec(tiny_model: Path) -> WorkerSpec:
    return WorkerSpec(kind=Kind.CHAT, path=tiny_model, device="cpu")


async def until(condition, timeout_s: float = 10.0) -> None:
    with trio.fail_after(timeout_s):
        while not condition():  # noqa: ASYNC110  (the condition is about another process)
            await trio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def read_limits(pid: int) -> str:
    return Path(f"/proc/{pid}/limits").read_text()


async def collect(worker, job) -> tuple[list[int], JobEnded]:
    tokens: list[int] = []
    async with worker.run(job) as events:
        async for event in events:
            if isinstance(event, TokensOut):
                tokens += event.token_ids
                await worker.grant(job.job_id, len(tokens) + 8)
            elif isinstance(event, JobEnded):
                return tokens, event
    raise AssertionError("no end came")


async def test_a_worker_runs_one_job_after_another_and_gives_the_same_answer_again(spec):
    async with open_worker(spec) as worker:
        assert worker.ready.kind is Kind.CHAT
        assert worker.ready.context_tokens == 256
        assert worker.ready.speed_milli_per_s > 0
        first, end = await collect(worker, chat_job(output_tokens_max=20))
        again, _ = await collect(worker, chat_job(output_tokens_max=20, job_id="other"))
        assert first == again
        assert end.finish in (Finish.STOP, Finish.LENGTH)
        assert end.finish is Finish.STOP or len(first) == 20
        if len(first) >= 8:
            assert end.speed_milli_per_s > 0


async def tokens_of(events, count: int) -> list[int]:
    """Return the next tokens, at least *count*; they come a few at a time."""
    tokens: list[int] = []
    with trio.fail_after(30):
        while len(tokens) < count:
            event = await events.receive()
            assert isinstance(event, TokensOut)
            tokens += event.token_ids
    return tokens


async def test_a_worker_pauses_where_its_grant_ends_and_goes_on_with_the_next(spec):
    job = chat_job(output_tokens_max=30, granted_tokens=3)
    async with open_worker(spec) as worker, worker.run(job) as events:
        assert isinstance(await events.receive(), JobStarted)
        assert len(await tokens_of(events, 3)) == 3
        with trio.move_on_after(0.3) as scope:
            await events.receive()
        assert scope.cancelled_caught
        await worker.grant(job.job_id, 5)
        assert len(await tokens_of(events, 2)) == 2


async def test_leaving_the_block_stops_the_device_and_frees_the_worker(spec):
    async with open_worker(spec) as worker:
        async with worker.run(chat_job(granted_tokens=1)) as events:
            await events.receive()
            assert worker.busy
        with trio.fail_after(5):
            await worker.settle()
        assert not worker.busy
        tokens, _ = await collect(worker, chat_job(job_id="next", output_tokens_max=4))
        assert tokens


async def test_a_worker_takes_one_job_at_a_time(spec):
    async with open_worker(spec) as worker, worker.run(chat_job(granted_tokens=1)):
        with pytest.raises(LocalProtocolError, match="one job at a time"):
            async with worker.run(chat_job(job_id="second")):
                pass


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (chat_job(prompt_tokens_max=3), "prompt tokens, at most 3"),
        (
            RunSpeech(job_id="j", audio=b"", audio_seconds_max=1, skip_ms=0, granted_ms=1),
            "another kind",
        ),
        (chat_job(prefix_token_ids=(10**9,)), ""),
    ],
)
async def test_bad_input_fails_the_job_and_not_the_worker(spec, job, words):
    async with open_worker(spec) as worker:
        _, end = await collect(worker, job)
        assert end.finish is Finish.FAILED
        assert end.bad_input
        assert words in end.detail
        tokens, _ = await collect(worker, chat_job(job_id="next", output_tokens_max=2))
        assert tokens


@pytest.mark.parametrize("content", [None, b"", b"GGUF not really", b"\0" * 4096])
async def test_a_model_that_cannot_be_loaded_is_named(content, tmp_path):
    path = tmp_path / "weights.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WorkerDied, match=r"weights\.gguf cannot be served"):
        async with open_worker(WorkerSpec(kind=Kind.CHAT, path=path, device="cpu")):
            pass


async def test_a_worker_that_may_use_no_memory_says_so(spec):
    starved = WorkerSpec(kind=spec.kind, path=spec.path, device="cpu", memory_bytes_max=60 << 20)
    with pytest.raises(WorkerDied, match=r"tiny\.gguf"):
        async with open_worker(starved):
            pass
    assert 1 << 30 < default_memory_bytes() < 1 << 50


async def test_the_memory_limit_holds_in_the_process(spec):
    async with open_worker(spec) as worker:
        limits = read_limits(worker.pid)
        line = next(line for line in limits.splitlines() if line.startswith("Max data size"))
        assert str(default_memory_bytes()) in line
        core = next(line for line in limits.splitlines() if line.startswith("Max core file"))
        assert core.split()[4] == "0"


async def test_a_job_on_a_worker_that_is_killed_ends_without_a_result(spec):
    async with open_worker(spec) as worker:
        async with worker.run(chat_job(granted_tokens=2)) as events:
            await events.receive()
            os.kill(worker.pid, signal.SIGKILL)
            with trio.fail_after(5):
                rest = [event async for event in events]
        assert not any(isinstance(event, JobEnded) for event in rest)
        await worker.dead.wait()
        with pytest.raises(WorkerDied):
            async with worker.run(chat_job(job_id="late")):
                pass


async def test_a_worker_that_hangs_in_mid_job_is_killed_and_one_that_is_paused_is_not(spec):
    quick = WorkerSpec(kind=spec.kind, path=spec.path, device="cpu", stall_timeout_s=0.6)
    async with open_worker(quick) as worker, worker.run(chat_job(granted_tokens=2)) as events:
        for _ in range(3):
            await events.receive()
        await trio.sleep(1.2)  # paused: it may not go on
        assert worker.alive
        os.kill(worker.pid, signal.SIGSTOP)
        await worker.grant("j", 20)
        with trio.fail_after(5):
            await worker.dead.wait()


async def test_a_worker_that_does_not_stop_is_killed_when_it_is_given_back(spec, monkeypatch):
    monkeypatch.setattr(runner, "CANCEL_TIMEOUT_S", 0.3)
    async with open_pool(spec, 1) as pool:
        worker = pool.take()
        async with worker.run(chat_job(granted_tokens=1)) as events:
            await events.receive()
            os.kill(worker.pid, signal.SIGSTOP)
        await pool.give_back(worker)
        assert worker not in pool._idle
        await until(lambda: not worker.alive)
        await until(lambda: pool.free_slots == 1)
        assert pool.take() is not worker


async def test_a_pool_replaces_the_dead_and_lends_each_worker_once(spec):
    async with open_pool(spec, 2) as pool:
        one, two = pool.take(), pool.take()
        assert one is not two
        assert pool.take() is None
        os.kill(one.pid, signal.SIGKILL)
        await one.dead.wait()
        await pool.give_back(one)
        await pool.give_back(two)
        await pool.give_back(two)
        assert pool.free_slots == 1
        await until(lambda: pool.free_slots == 2)
        assert pool.alive == 2


async def test_restarts_slow_down_and_never_spin(spec, monkeypatch, autojump_clock):
    starts: list[float] = []

    def failing(spec):
        starts.append(trio.current_time())
        raise WorkerDied("again")

    monkeypatch.setattr(runner, "open_worker", failing)
    started = trio.Event()
    started.set()
    with trio.move_on_after(300):
        await WorkerPool(1).supervise(spec, started)
    gaps = [b - a for a, b in pairwise(starts)]
    assert gaps[:8] == [0.5, 1, 2, 4, 8, 16, 32, 60]
    assert max(gaps) == runner.BACKOFF_S_MAX


async def test_a_pool_whose_model_cannot_be_loaded_does_not_open(tmp_path):
    missing = WorkerSpec(kind=Kind.CHAT, path=tmp_path / "nothing.gguf", device="cpu")
    with pytest.raises(WorkerDied, match=r"nothing\.gguf"):
        async with open_pool(missing, 1):
            pass


def test_what_a_worker_prints_is_not_mixed_into_its_answers():
    code = textwrap.dedent("""
        import os, sys
        from cocoon.provider import worker
        commands, events = worker._claim_pipes()
        print("a stray print")
        os.write(1, b"a stray write to descriptor 1\\n")
        events.write(b"an answer")
        events.flush()
    """)
    done = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, check=True)
    assert done.stdout == b"an answer"
    assert b"stray print" in done.stderr
    assert b"stray write" in done.stderr


@pytest.mark.parametrize("moment", ["idle", "in_mid_job", "loading"])
def test_a_worker_goes_when_its_node_is_killed(spec, moment, tmp_path):
    code = f"""
import os, sys, trio
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from stage import chat_job
from cocoon.messages import Kind
from cocoon.provider import runner

async def main():
    spec = runner.WorkerSpec(kind=Kind.CHAT, path=Path({str(spec.path)!r}), device="cpu")
    if {moment!r} == "loading":
        real = trio.lowlevel.open_process
        async def spy(*args, **rest):
            process = await real(*args, **rest)
            print(process.pid, flush=True)
            return process
        trio.lowlevel.open_process = spy
    async with runner.open_worker(spec) as worker:
        if {moment!r} == "in_mid_job":
            async with worker.run(chat_job(granted_tokens=10**6, output_tokens_max=200)) as events:
                await events.receive()
                print(worker.pid, flush=True)
                await trio.sleep_forever()
        print(worker.pid, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""
    node = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert node.stdout is not None
    pid = int(node.stdout.readline())
    assert is_running(pid)
    node.kill()
    node.wait()
    node.stdout.close()
    trio.run(until, lambda: not is_running(pid))


def test_a_pause_is_no_hang():
    progress = Progress(2, now_s=100)
    assert progress.silent_s(130) == 30
    for _ in range(2):
        progress.seen(TokensOut(job_id="j", token_ids=(1,), texts=("",)))
        assert progress.silent_s(500) == 0  # it waits for its reader
        progress.delivered(140)
    assert progress.silent_s(1000) == 0  # it waits for a grant
    progress.granted(4, 1000)
    assert progress.silent_s(1010) == 10
    progress.granted(6, 1020)
    assert progress.silent_s(1030) == 30  # more grants do not excuse silence


def test_progress_through_audio_counts_from_where_the_job_began():
    from cocoon.messages import SpeechPiece

    progress = Progress(30_000, skipped_ms=60_000)
    piece = SpeechPiece(start_ms=60_000, end_ms=80_000, text="")
    progress.seen(SpeechOut(job_id="j", piece=piece))
    progress.delivered(0)
    assert progress.silent_s(5) == 5
    progress.seen(SpeechOut(job_id="j", piece=SpeechPiece(start_ms=0, end_ms=90_000, text="")))
    progress.delivered(0)
    assert progress.silent_s(5) == 0
