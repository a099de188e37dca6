"""Which accepted jobs wait for a requester whose connection was lost."""

import pytest
from stage import REQUESTER

from cocoon.messages import Accept, Kind, PaymentRef
from cocoon.provider.open_jobs import OpenJobs
from overlay.transfer.line import Line

ACCEPT = Accept(
    offer_hash=bytes(32),
    job_nonce=bytes(16),
    payment=PaymentRef(
        chain_network_id=-3,
        channel_address="0:" + "ab" * 32,
        opened_lt=1,
        payer_key=bytes(32),
        signed_total_nanoton=0,
    ),
    sealed_key=b"",
    payer_signature=bytes(64),
    input_segments=2,
    input_prefix=bytes(7),
    input_hash=bytes(32),
)


class _Stream:
    peer_id = REQUESTER.peer_id


@pytest.mark.parametrize("trusted", [False, True])
async def test_no_slot_waits_for_whoever_took_one_for_nothing(trusted: bool) -> None:
    jobs, line = OpenJobs(), Line(_Stream())  # type: ignore[arg-type]  # as much as is used
    jobs.begin(line, ACCEPT, Kind.KERNEL, trusted=trusted)
    assert line.over is not trusted
