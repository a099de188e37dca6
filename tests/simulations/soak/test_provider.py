"""A provider under attack: what is asked of it holds, and where it does not that is noticed."""

import os

import pytest

from cocoon.messages import VoucherMessage, encode
from cocoon.payments import payee_side
from cocoon.provider.session import Session
from contracts import assets
from contracts.emulator import ASSET
from overlay.errors import RemoteProtocolError
from simulations.soak import provider, saboteur
from simulations.soak.saboteur import SabotagedStream

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
        except RemoteProtocolError as error:
            raise KeyError("planted") from error

    garbage = [("bytes", lambda _: [b"\xc1"])]
    monkeypatch.setattr(SabotagedStream, "_cheats", lambda *_: garbage)
    monkeypatch.setattr(saboteur, "STEPS", 3)  # the request, and what follows an offer
    monkeypatch.setattr(Session, "_decide", careless)
    _, jobs, _ = provider.run(1, jobs=15)
    assert not jobs.passed
    assert jobs.values["untyped_refusals"] > 0


def test_a_provider_that_takes_any_voucher_is_noticed(monkeypatch) -> None:
    def more_than_was_signed(stream: SabotagedStream, message: object) -> list:
        if not isinstance(message, VoucherMessage):
            return [("as it is", lambda frame: [frame])]
        return [("unsigned total", lambda _: [encode(stream._bad(message)[0][1])])]

    monkeypatch.setattr(payee_side, "verify_voucher", lambda *_: True)
    monkeypatch.setattr(SabotagedStream, "_cheats", more_than_was_signed)
    *_, books = provider.run(1, jobs=24)
    assert not books.passed, books
