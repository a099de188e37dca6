"""How a job hands over its input: over one connection or several, told as it goes, or given up."""

from functools import partial

import pytest
import trio
import trio.testing
from stage import PROVIDER, REQUESTER, open_hosts

from cocoon.errors import Refused
from cocoon.messages import (
    JOB_PROTOCOL,
    Accept,
    Accepted,
    InputSegment,
    PaymentRef,
    Refusal,
    RefusalCode,
    Resume,
    Resumed,
    Signed,
    SignedOffer,
    decode_from_requester,
    encode,
)
from cocoon.requester import run
from cocoon.requester.events import InputSent, Reconnected, Reconnecting
from cocoon.requester.run import RunningJob
from overlay.errors import PeerUnavailable
from overlay.transfer.line import Line

SEGMENTS = [b"one", b"two", b"three"]
PREFIX = b"p" * 7
LATE_OFFER = SignedOffer(offer=Signed(body=b"late", signature=bytes(64)))
ACCEPT = Accept(
    offer_hash=bytes(32),
    job_nonce=bytes(16),
    payment=PaymentRef(
        chain_network_id=1,
        channel_address="",
        opened_lt=0,
        payer_key=bytes(32),
        signed_total_nanoton=0,
    ),
    sealed_key=b"",
    payer_signature=bytes(64),
    input_segments=len(SEGMENTS),
    input_prefix=PREFIX,
    input_hash=b"h" * 32,
)


class ByHand:
    """A provider that loses its connection after some segments, and then does as it is told."""

    def __init__(self, *, cut_after: int, then: str = "resume", late_offer: bool = False) -> None:
        self.cut_after = cut_after
        self.then = then
        self.late_offer = late_offer
        self.came: list[bytes] = []
        self.resumed: list[Resume] = []

    async def serve(self, stream) -> None:
        first = decode_from_requester(await stream.receive())
        if isinstance(first, Resume):
            self.resumed.append(first)
            if self.then == "refuse":
                await stream.send(encode(Refusal(code=RefusalCode.EXPIRED, detail="gone")))
                return
            if self.then == "vanish":
                await stream.reset()
                return
            await stream.send(encode(Resumed(received=len(self.came))))
        elif self.late_offer:
            await stream.send(encode(LATE_OFFER))
        while True:
            if isinstance(first, Accept) and len(self.came) == self.cut_after:
                await trio.testing.wait_all_tasks_blocked()
                await stream.reset()
                return
            if len(self.came) == len(SEGMENTS):
                break
            message = decode_from_requester(await stream.receive())
            assert isinstance(message, InputSegment)
            self.came.append(message.data)
        await stream.send(encode(Accepted(output_prefix=PREFIX)))


async def start(provider: ByHand) -> tuple[bytes, list]:
    events, failure = [], None

    async def tell(event) -> None:
        events.append(event)

    async with open_hosts(PROVIDER, REQUESTER) as (_, (theirs, ours)):
        theirs.serve(JOB_PROTOCOL, provider.serve, streams_max=8)
        dial = partial(ours.open_stream, theirs.peer_id, JOB_PROTOCOL)
        running = RunningJob(
            line=Line(await dial()),
            accept=ACCEPT,
            input_segments=SEGMENTS,
            open_output=None,
            watch=None,
            purse=None,
            check_receipt=None,
            dial=dial,
            tell=tell,
        )
        try:
            return await running.start(), events
        except (Refused, PeerUnavailable) as error:
            failure = error
    raise failure


@pytest.fixture(autouse=True)
def each_segment_is_told(monkeypatch) -> None:
    monkeypatch.setattr(run, "TOLD_EVERY_S", 0)


@pytest.mark.parametrize("cut_after", [0, 1, 2, 3])
@pytest.mark.parametrize("late_offer", [False, True])
async def test_every_segment_comes_once_and_a_late_answer_to_a_counter_offer_does_not_count(
    autojump_clock, cut_after, late_offer
) -> None:
    provider = ByHand(cut_after=cut_after, late_offer=late_offer)
    prefix, events = await start(provider)
    assert prefix == PREFIX
    assert provider.came == SEGMENTS
    (resume,) = provider.resumed
    assert (resume.input_hash, resume.received) == (ACCEPT.input_hash, 0)
    assert [each for each in events if not isinstance(each, InputSent)] == [
        Reconnecting(PROVIDER.peer_id),
        Reconnected(PROVIDER.peer_id),
    ]
    assert InputSent(11, 11) in events


async def test_a_job_that_its_provider_has_given_up_is_asked_for_anew(autojump_clock) -> None:
    provider = ByHand(cut_after=1, then="refuse")
    with pytest.raises(Refused, match="it cannot be gone on with: gone") as refused:
        await start(provider)
    assert refused.value.code == RefusalCode.EXPIRED.value
    assert len(provider.resumed) == 1


async def test_a_provider_that_does_not_come_back_is_given_up_and_how_far_it_was_is_said(
    autojump_clock,
) -> None:
    provider = ByHand(cut_after=1, then="vanish")
    began_s = trio.current_time()
    with pytest.raises(PeerUnavailable, match=r"of 11 bytes of input were sent, and then: .* lost"):
        await start(provider)
    assert trio.current_time() - began_s == pytest.approx(run.RECONNECT_FIRST_S, abs=1)
    assert len(provider.resumed) > 2
