"""A whole job over real sockets, with a real worker and chain, whose connection is cut again and
again: it ends once, right, and paid once.
"""

from pathlib import Path

import pytest
import trio

from cocoon import assets
from cocoon.config import default_assets
from cocoon.config_kernels import KernelsConfig
from cocoon.messages import SEGMENT_BYTES_MAX
from cocoon.receipts import verify_file
from cocoon.requester import run
from cocoon.requester.events import InputSent, KernelCame, Reconnected
from kernels.compile import find_nvrtc
from kernels.custom.confinement import can_confine
from simulations.soak.kernels import CHUNK_MS, TERMS
from simulations.soak.orders import LARGE_BYTES, large_request
from simulations.soak.stall import open_customer, open_stall

SEGMENTS = LARGE_BYTES // SEGMENT_BYTES_MAX


@pytest.fixture(autouse=True)
def needs(monkeypatch) -> None:
    if not assets.is_present("ton-emulator", default_assets({})):
        pytest.skip("not on this machine: ton-emulator; cocoon assets fetch tests")
    if find_nvrtc() is None or can_confine():
        pytest.skip(can_confine() or "NVRTC is not installed (pip install nvidia-cuda-nvrtc)")
    monkeypatch.setattr(run, "TOLD_EVERY_S", 0)


async def test_a_job_whose_connection_is_cut_again_and_again_ends_once_and_is_paid_once(
    tmp_path: Path,
) -> None:
    kernels = KernelsConfig(enabled=True, device="cpu", chunk_ms=CHUNK_MS["cpu"])
    async with open_stall(tmp_path, kernels) as stall, open_customer(stall, "buyer") as buyer:
        ours, theirs = buyer.host, stall.host
        cut_at = [SEGMENTS // 4, SEGMENTS // 2, LARGE_BYTES // 8, LARGE_BYTES // 2]
        back = []

        async def listen(event) -> None:
            at = 0
            if isinstance(event, InputSent):
                at = event.sent_bytes // SEGMENT_BYTES_MAX
            elif isinstance(event, KernelCame):
                at = event.received_bytes
            elif isinstance(event, Reconnected):
                back.append(event)
            if cut_at and at >= cut_at[0]:
                cut_at.pop(0)
                one, other = (ours, theirs) if len(cut_at) % 2 else (theirs, ours)
                await one._driver.drop(other.peer_id)

        bought = large_request(TERMS["cpu"])
        with trio.fail_after(100):
            result = await buyer.requester.run(bought, listen)
            while not any(name == "job_ended" for name, _ in stall.told):  # noqa: ASYNC110
                await trio.sleep(0.05)
        assert not cut_at
        assert back, "several cuts may fall into one loss, but the first is one"
        assert result.data == bought.job.arguments[0].data
        (attempt,) = result.attempts
        (end,) = [fields for name, fields in stall.told if name == "job_ended"]
        assert attempt.failure == ""
        receipt = verify_file(Path(attempt.receipt)).require()
        assert result.paid_nanoton == receipt.cost_nanoton == end["cost_nanoton"] > 0
        assert end["lost_nanoton"] == 0
        (channel,) = stall.book.channels.values()
        assert channel.state.best_total == receipt.cost_nanoton
