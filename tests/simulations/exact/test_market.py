"""The whole market under faults: checkers stay silent, and speak up when a bug is planted."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from cocoon.errors import ConfigError
from cocoon.market.book import QuoteBook
from cocoon.payments.channel import GrantWork, Payee, Payer, SignVoucher
from cocoon.provider.lease import Lease
from simulations.exact import node
from simulations.exact.disk import SimDisk
from simulations.exact.run import simulate
from simulations.exact.shrink import shrink
from simulations.exact.world import World
from simulations.ledger import Ledger
from simulations.scenario import Scenario, changed, load

ROOT = Path(__file__).parents[3]
MARKET = ROOT / "examples" / "market_faults.toml"
SEEDS = int(os.environ.get("COCOON_SIM_SEEDS", "50"))

PRINT_HASHES = """
import sys
from pathlib import Path
from simulations.exact.run import simulate
from simulations.scenario import load
scenario = load(Path(sys.argv[1]))
print([simulate(scenario, seed).log_hash for seed in (1, 2)])
"""


@pytest.fixture(scope="module")
def market() -> Scenario:
    return load(MARKET)


def seeds_that_fail(scenario: Scenario, seeds: range) -> dict[int, list[str]]:
    found = {seed: simulate(scenario, seed).violations for seed in seeds}
    return {seed: violations for seed, violations in found.items() if violations}


def test_no_seed_makes_a_checker_speak(market) -> None:
    found = seeds_that_fail(market, range(1, SEEDS + 1))
    assert not found, f"cocoon sim replay {MARKET} --seed {min(found)} --shrink: {found}"


def test_the_scenario_does_what_it_is_for(market) -> None:
    outcome = simulate(market, 4, keep_log=True)  # one of the seeds in which all of it happens
    text = "\n".join(outcome.log)
    for kind in ("crash", "restart", "fault partition", "fault outage", "lost ", "accept", "sold"):
        assert f" {kind}" in text, kind
    summary = outcome.summary
    assert summary["jobs_done"] > 20
    assert summary["failovers"] > 0
    assert summary["channels"] > 3
    assert {"payment", "busy", "internal"} <= {
        line.split("code=")[1].split()[0] for line in outcome.log if " refused code=" in line
    }


def hashes(python: str, **environment: str) -> str:
    done = subprocess.run(
        [python, "-c", PRINT_HASHES, str(MARKET)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_event_log_is_the_same_whatever_the_hash_seed() -> None:
    one = hashes(sys.executable, PYTHONHASHSEED="1")
    assert one == hashes(sys.executable, PYTHONHASHSEED="4711")
    assert len(set(json.loads(one.replace("'", '"')))) == 2


def version_of(python: str) -> str:
    """Return the version of an interpreter that has the dependencies; "" when it cannot run us."""
    tried = subprocess.run(
        [python, "-c", "import sys, simulations.exact.run; print('%d.%d' % sys.version_info[:2])"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stdout.strip()


def other_pythons() -> dict[str, str]:
    """Return interpreters of other versions that can run us, by version.

    Looked at: COCOON_OTHER_PYTHON, environments `.venv-3.X` beside ours, and the PATH.
    """
    named = os.environ.get("COCOON_OTHER_PYTHON", "").split(os.pathsep)
    beside = sorted(str(found) for found in ROOT.glob(".venv-3.*/bin/python"))
    on_path = [shutil.which(f"python3.{minor}") for minor in range(11, 16)]
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found: dict[str, str] = {}
    for python in filter(None, [*named, *beside, *on_path]):
        found.setdefault(version_of(python), python)
    return {version: found[version] for version in sorted(found) if version not in ("", ours)}


def test_the_event_log_is_the_same_in_every_other_python() -> None:
    others = other_pythons()
    if not others:
        pytest.skip(
            "no Python of another version with the dependencies; with python3.13 installed: "
            "make PYTHON=python3.13 VENV=.venv-3.13 .venv-3.13/.installed"
        )
    ours = hashes(sys.executable)
    assert {version: hashes(python) for version, python in others.items()} == dict.fromkeys(
        others, ours
    )


def test_two_seeds_differ_and_the_log_is_what_was_hashed(market) -> None:
    import hashlib

    one, other = (simulate(market, seed, keep_log=True) for seed in (1, 2))
    assert one.log_hash != other.log_hash
    text = "".join(f"{line}\n" for line in one.log)
    assert hashlib.sha256(text.encode()).hexdigest() == one.log_hash


# --- planted bugs -------------------------------------------------------------------------


def expect_a_violation(market: Scenario, words: str, seeds: range = range(1, 9)) -> int:
    """Return the first seed that finds it."""
    for seed in seeds:
        violations = simulate(market, seed).violations
        if any(words in violation for violation in violations):
            return seed
    raise AssertionError(f"no checker found {words!r}")


def test_a_payee_that_grants_before_the_disk_loses_a_voucher(market, monkeypatch) -> None:
    change = SimDisk.change

    def hasty(disk: SimDisk, decide) -> None:
        def first_the_effect():
            records, then = decide()
            then()
            return records, lambda: None

        change(disk, first_the_effect)

    monkeypatch.setattr(SimDisk, "change", hasty)
    short = changed(market, duration_s=100.0, **{"faults.crashes_per_hour": 400.0})
    seed = expect_a_violation(short, "lost a voucher", range(1, 30))
    with World(short, seed) as world:
        world.run(lambda share: None)
        struck = list(world.faults.struck)

    def fails(chosen: list[str]) -> bool:
        found = simulate(short, seed, only=chosen).violations
        return any("lost a voucher" in violation for violation in found)

    kept = shrink(struck, fails, runs_max=30)
    assert fails(kept)
    assert any(name.startswith("crash:") for name in kept)
    assert len(kept) < len(struck) / 5


def test_a_voucher_that_counts_for_two_jobs_is_a_double_grant(market, monkeypatch) -> None:
    record_paid = Lease.record_paid
    monkeypatch.setattr(Lease, "record_paid", lambda self, paid: record_paid(self, 2 * paid))
    expect_a_violation(market, "granted twice")


def test_money_from_nowhere_is_seen(market, monkeypatch) -> None:
    pay = Ledger._pay
    monkeypatch.setattr(Ledger, "_pay", lambda self, wallet, amount: pay(self, wallet, amount + 1))
    expect_a_violation(market, "money was created")


def test_a_payer_that_signs_above_the_deposit_is_seen(market, monkeypatch) -> None:
    poor = changed(
        market,
        **{
            "prices.deposit_nanoton": 0,
            "population.providers": 1,
            "workload.jobs_per_hour": 360.0,
            "faults.crashes_per_hour": 0.0,
        },
    )
    sign = Payer._sign

    def generous(self, job_id, total):
        after, effects = sign(self, job_id, total)
        if not isinstance(effects[0], SignVoucher):
            return msgspec.structs.replace(self, signed_total=total), (SignVoucher(total=total),)
        return after, effects

    monkeypatch.setattr(Payer, "_sign", generous)
    monkeypatch.setattr(
        "simulations.exact.session.funds_fault", lambda payment, state, spendable_min: ""
    )
    monkeypatch.setattr(
        Payer, "spendable_left", property(lambda self: 10**18 if not self.release else 0)
    )
    expect_a_violation(poor, "on a deposit for")


def test_a_payee_that_takes_any_total_is_paid_too_little_or_forgets(market, monkeypatch) -> None:
    def credulous(self, event):
        after = msgspec.structs.replace(self, best_total=event.total)  # keeps the old signature
        return after, (GrantWork(total=event.total),)

    monkeypatch.setattr(Payee, "_receive", credulous)
    expect_a_violation(market, "was granted")


def test_a_provider_that_does_not_wait_for_its_money_is_seen(market, monkeypatch) -> None:
    monkeypatch.setattr(Lease, "room", lambda self: 1000)
    expect_a_violation(market, "at risk, the rule allows")


def test_a_lookup_that_takes_the_first_answer_is_seen(market, monkeypatch) -> None:
    newest = node.newest_record

    def first(values, network, key, *, now_unix_s):
        valid = [newest([value], network, key, now_unix_s=now_unix_s) for value in values]
        return next((body for body in valid if body is not None), None)

    monkeypatch.setattr(node, "newest_record", first)
    fresh = changed(market, **{"dht.refresh_s": 20.0, "attackers.stalers": 4})
    expect_a_violation(fresh, "an older record")


def test_an_honest_quote_that_looks_false_is_seen(market, monkeypatch) -> None:
    monkeypatch.setattr("cocoon.market.book.recompute", lambda quote: ["looks odd"])
    expect_a_violation(market, "an honest quote looks false: looks odd", range(1, 2))


# --- attackers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "sign"),
    [
        ("non_payers", "refused code=payment"),
        ("replayers", "refused code=payment"),
        ("vanishers", "outcome=left"),
        ("off_rule", "reason=price_not_by_rule"),
        ("equivocators", "reason=protocol_violation"),
        ("baiters", "reason=bait_and_switch"),
        ("over_billers", "why=dishonest meter"),
    ],
)
def test_every_attacker_is_noticed_and_breaks_no_rule(attack: str, sign: str) -> None:
    quiet = changed(
        Scenario(duration_s=240.0),
        **{
            "population.providers": 2,
            "population.requesters": 3,
            "population.slots": 2,
            "workload.jobs_per_hour": 120.0,
            "prices.challenge_s": 60,
            "prices.spread": 0.0,
            f"attackers.{attack}": 1,
        },
    )
    outcome = simulate(quiet, 1, keep_log=True)
    assert not outcome.violations
    assert any(sign in line for line in outcome.log)
    assert outcome.summary["jobs_done"] > 3  # the others go on


def test_sybils_are_for_the_models(market) -> None:
    with pytest.raises(ConfigError, match="kademlia"):
        simulate(changed(market, **{"attackers.sybils": 3}))


def test_providers_that_never_come_back_cost_nobody_a_deposit() -> None:
    lost = changed(
        Scenario(duration_s=240.0),
        **{
            "population.providers": 4,
            "population.requesters": 3,
            "workload.shock_at_s": 120.0,
            "workload.shock_factor": 1.0,
            "workload.providers_lost": 0.5,
            "prices.challenge_s": 60,
        },
    )
    outcome = simulate(lost, 1)
    assert not outcome.violations  # every channel is closed, alone if need be
    assert "finish" in outcome.tables["channel"]["step"]


def test_a_book_is_the_production_one() -> None:
    assert node.Directory(None, "n", lambda: 0.0).book.__class__ is QuoteBook
