"""The demonstration's report: stable keys, a check that can fail, names in the account."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cocoon.cli.demo import tell
from cocoon.cli.output import Output, to_json
from cocoon.demo import cast
from cocoon.demo.report import Balance, DemoReport, Loser
from cocoon.requester.events import FailOver

ROOT = Path(__file__).parents[3]
PROMISED = [
    "providers_found",
    "winner",
    "losers",
    "answer",
    "answer_tokens",
    "time_to_first_token_s",
    "tokens_per_s",
    "transcript",
    "failover",
    "vouchers",
    "last_voucher_nanoton",
    "paid_nanoton",
    "at_risk_max_nanoton",
    "gas",
    "receipts",
    "receipts_verified",
    "value_conserved",
    "timings_s",
]


def spoken() -> str:
    path = ROOT / "cocoon" / "data" / "voice-note.txt"
    return path.read_text(encoding="utf-8").splitlines()[0]


def report(**changes: object) -> DemoReport:
    fields: dict[str, Any] = {
        "names": {"peer-w": "Boris", "peer-l": "Asel"},
        "providers_found": 5,
        "winner": "peer-w",
        "losers": [Loser(peer, "slower: 2x", "job") for peer in ("peer-l", "b", "c", "d")],
        "question": "?",
        "answer": "fruit " * 20,
        "answer_tokens": 44,
        "price_per_output_token_nanoton": 400_000.0,
        "time_to_first_token_s": 0.3,
        "tokens_per_s": 20.0,
        "transcript": spoken(),
        "failover": FailOver("peer-l", "peer-w", 12, "gone"),
        "vouchers": 6,
        "last_voucher_nanoton": 1000,
        "paid_nanoton": 1000,
        "at_risk_max_nanoton": 100,
        "at_risk_max_by_job": {"answer": 100, "transcript": 200},
        "gas": {"open": 1, "close": 2},
        "fees_nanoton": {},
        "receipts": ["a", "b"],
        "receipts_verified": True,
        "channels": [],
        "balances": [Balance("requester", "0:0", 5_000_000_000, 4_999_999_000)],
        "value_conserved": True,
        "timings_s": {"total": 40.0},
    }
    return DemoReport(**(fields | changes))


def problems(**changes: object) -> list[str]:
    path = ROOT / ".ci" / "check_demo_report.py"
    spec = importlib.util.spec_from_file_location("check_demo_report", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[str] = module.problems(json.loads(to_json(report(**changes))))
    return found


def test_the_promised_keys_are_there() -> None:
    assert set(PROMISED) <= msgspec.to_builtins(report()).keys()
    assert msgspec.to_builtins(report())["failover"].keys() >= {"from", "to", "at_token"}


def test_a_good_report_passes_the_check() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"providers_found": 4},
        {"winner": ""},
        {"losers": []},
        {"losers": [Loser("b", "", "job")]},
        {"losers": [Loser("b", "same one", "job")] * 4},
        {"answer_tokens": 39},
        {"answer": "short"},
        {"transcript": spoken()[:-12]},
        {"failover": None},
        {"vouchers": 0},
        {"last_voucher_nanoton": 999},
        {"paid_nanoton": 0, "last_voucher_nanoton": 0},
        {"at_risk_max_nanoton": 0},
        {"at_risk_max_nanoton": 1001},
        {"gas": {}},
        {"receipts": []},
        {"receipts_verified": False},
        {"value_conserved": False},
        {"tokens_per_s": 0},
    ],
    ids=str,
)
def test_each_broken_promise_is_found(changes: dict[str, object]) -> None:
    assert problems(**changes)


def test_people_read_names_beside_peer_ids(capsys: pytest.CaptureFixture[str]) -> None:
    tell(report(), Output(as_json=False))
    shown = capsys.readouterr().out
    assert "Boris (…peer-w)" in shown
    assert "from Asel (…peer-l) to Boris (…peer-w) at token 12: gone" in " ".join(shown.split())
    assert "-0.000001" in shown


def test_a_fault_in_the_books_is_shouted(capsys: pytest.CaptureFixture[str]) -> None:
    tell(report(value_conserved=False, receipts_verified=False), Output(as_json=False))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["value", "conserved", "NO"] for line in lines)
    assert any(line.split() == ["receipts", "verified", "NO"] for line in lines)


def test_the_cast_has_five_providers_and_one_victim() -> None:
    assert len(cast.PROVIDERS) >= 5
    assert [role.name for role in cast.PROVIDERS].count(cast.VICTIM) == 1
    assert {role.model for role in cast.PROVIDERS} == {cast.CHAT_MODEL, cast.SPEECH_MODEL}
    assert any(not role.serves_us for role in cast.PROVIDERS)
