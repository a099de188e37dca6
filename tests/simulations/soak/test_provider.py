"""A provider under attack: what is asked of it holds, and where it does not that is noticed."""

import os

import pytest

from cocoon.errors import PeerMisbehaved
from cocoon.messages import Cancel, Message, VoucherMessage, encode
from cocoon.payments import payee_side
from cocoon.provider.session import Session
from contracts import assets
from contracts.emulator import ASSET
from simulations.soak import provider, saboteur
from simulations.soak.saboteur import Cheat, SabotagedStream

INPUTS = int(os.environ.get("COCOON_LIVE_FUZZ_INPUTS", "600"))
JOBS = 12


@pytest.fixture(autouse=True)
def chain() -> None:
    directory = assets.assets_directory() / ASSET
    if missing := assets.missing_files(assets.pinned(ASSET), directory):
        pytest.skip(f"{missing} not in {directory}; run: cocoon assets fetch tests")


def test_strangers_and_cheats_harm_neither_the_provider_nor_its_books() -> None:
    plain, jobs, books = provider.run(INPUTS, jobs=max(JOBS, INPUTS // provider.INPUTS_PER_JOB))
    assert plain.passed, plain
    assert jobs.passed, jobs
    assert books.passed, books
    assert jobs.values["honest_jobs"] > 2
    assert books.values["settled_nanoton"] > 0


def test_an_error_without_a_type_is_noticed(monkeypatch) -> None:
    decide = Session._decide

    async def careless(session: Session, *arguments: object) -> None:
        try:
            await decide(session, *arguments)
        except PeerMisbehaved as error:
            raise KeyError("planted") from error

    out_of_turn = encode(Cancel())
    monkeypatch.setattr(Session, "_decide", careless)
    monkeypatch.setattr(saboteur, "STEPS", 2)  # the request, and what is said to an offer
    monkeypatch.setattr(
        SabotagedStream, "_cheats", lambda *_: [("not now", lambda _: [out_of_turn])]
    )
    _, jobs, _ = provider.run(1, seed=2, jobs=12)
    assert not jobs.passed
    assert jobs.values["untyped_refusals"] > 0


def unsigned(stream: SabotagedStream, message: Message | None) -> list[tuple[str, Cheat]]:
    """Return one cheat: to claim all of the deposit without a signature, where vouchers go."""
    assert isinstance(message, VoucherMessage)
    most = stream.payer.store.get(stream._channel).state.total_max
    made = encode(VoucherMessage(total_nanoton=most, signature=bytes(64)))
    return [("unsigned", lambda _: [made])]


def test_a_provider_that_takes_any_voucher_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr(payee_side, "verify_voucher", lambda *_: True)
    monkeypatch.setattr(SabotagedStream, "_is_time", lambda _, __, m: type(m) is VoucherMessage)
    monkeypatch.setattr(SabotagedStream, "_cheats", unsigned)
    *_, books = provider.run(1, seed=3, jobs=4)
    assert not books.passed, books
    assert "nobody signed" in books.figure
