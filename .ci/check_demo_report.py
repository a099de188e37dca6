"""Checks the report of `cocoon demo --json`: what a newcomer is promised, line by line."""
# ruff: noqa: INP001, T201  (a script, not a package; it prints)

import json
import sys
from pathlib import Path

VOICE_NOTE = Path(__file__).parent.parent / "cocoon" / "data" / "voice-note.txt"


def words(text: str) -> str:
    """Return *text* in lower case without punctuation."""
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c == " ").split())


def problems(report: dict) -> list[str]:
    """Return everything that is not as promised."""
    failover = report["failover"] or {}
    spoken = VOICE_NOTE.read_text(encoding="utf-8").splitlines()[0]
    checks = {
        "at least 5 providers found": report["providers_found"] >= 5,
        "a winner": bool(report["winner"]),
        "a reason for each loser": bool(report["losers"])
        and all(loser["peer"] and loser["reason"] for loser in report["losers"]),
        "every provider is winner or loser": len({x["peer"] for x in report["losers"]}) + 1
        == report["providers_found"],
        "an answer of at least 40 tokens": report["answer_tokens"] >= 40
        and len(report["answer"]) > 80,
        "a correct transcript": words(report["transcript"]) == words(spoken),
        "a fail-over that was seen": {"from", "to", "at_token"} <= failover.keys()
        and failover["at_token"] > 0,
        "vouchers": report["vouchers"] >= 3,
        "last voucher equals what was paid on chain": report["last_voucher_nanoton"]
        == report["paid_nanoton"]
        > 0,
        "some money at risk, and less than was paid in all": 0
        < report["at_risk_max_nanoton"]
        <= report["paid_nanoton"],
        "gas by step": {"open", "close"} <= report["gas"].keys(),
        "receipts on disk": len(report["receipts"]) >= 2,
        "receipts verified": report["receipts_verified"] is True,
        "value conserved": report["value_conserved"] is True,
        "time to first token": 0 < report["time_to_first_token_s"] < 60,
        "speed": report["tokens_per_s"] > 0,
        "timings": report["timings_s"]["total"] > 0,
    }
    return [name for name, holds in checks.items() if not holds]


def main() -> None:
    """Read the report and exit with 1 when it breaks a promise."""
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if "error" in report:
        sys.exit(f"demo report: FAILED: {report['error']['message']}")
    broken = problems(report)
    for name in broken:
        print(f"demo report: NOT as promised: {name}")
    print("demo report:", "BROKEN" if broken else "as promised")
    if broken:
        print(json.dumps(report, indent=2))
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
