"""Real processes, real chain, real model: join, quote, negotiate, answer, settle; and deaths."""

import signal
import time
from pathlib import Path

RENT_NANOTON_MAX = 100
"""What the chain may take for storage when it touches a wallet; it is among its fees."""


def settle_all(tools, home: Path) -> dict:
    closed = tools.run("channels", "close", "--home", home, "--json")
    assert closed.code == 0, closed.err
    return closed.json["closed"]


def test_an_answer_is_bought_and_every_nanoton_is_accounted_for(swarm, steady, tools) -> None:
    home = swarm.requester_home("buyer")
    held_before, fees_before = swarm.wealth()
    buyer_before, seller_before = swarm.balance(home), swarm.balance(steady.home)

    asked = tools.run("ask", tools.question, "--tokens", "40", "--home", home, "--json")
    assert asked.code == 0, asked.err
    answer = asked.json
    assert answer["tokens"] == 40
    assert len(answer["text"]) > 80
    assert swarm.names[answer["provider"]] == "steady"
    assert answer["vouchers"] >= 3
    assert 0 < answer["at_risk_max_nanoton"] <= answer["paid_nanoton"]
    assert answer["interrupted_jobs"] == []

    verified = tools.run("receipts", "verify", *answer["receipts"], "--json")
    assert verified.code == 0
    assert all(report["ok"] for report in verified.json.values())
    explained = tools.run("explain", answer["job_id"], "--home", home, "--json")
    assert [line["outcome"] for line in explained.json[0]["providers"]] == ["won"]

    (listed,) = tools.run("channels", "--home", home, "--json").json["paying"]
    assert (listed["phase"], listed["signed_total"]) == ("open", answer["paid_nanoton"])
    (settled,) = settle_all(tools, home).values()
    assert settled["voucher_total_nanoton"] == answer["paid_nanoton"]
    earned = swarm.balance(steady.home) - seller_before
    assert 0 <= settled["paid_nanoton"] - earned <= RENT_NANOTON_MAX
    assert 0 < settled["paid_nanoton"] <= answer["paid_nanoton"]
    held_after, fees_after = swarm.wealth()
    assert held_before - held_after == fees_after - fees_before > 0
    spent = buyer_before - swarm.balance(home)
    assert spent == earned + fees_after - fees_before


def test_a_receipt_that_was_touched_is_refused(swarm, steady, tools, tmp_path) -> None:
    receipts = sorted((swarm.directory / "buyer" / "receipts").glob("*.receipt"))
    assert receipts, "the test before this one buys an answer"
    data = bytearray(receipts[0].read_bytes())
    data[len(data) // 2] ^= 1
    forged = tmp_path / "forged.receipt"
    forged.write_bytes(data)
    checked = tools.run("receipts", "verify", forged, "--json")
    assert checked.code == 8
    assert not checked.json[str(forged)]["ok"]


def test_a_killed_provider_is_replaced_and_claims_when_it_is_back(swarm, steady, tools) -> None:
    doomed = swarm.provider_home("doomed", price_ppm=500_000, provider__tokens_per_s_max=30)
    home = swarm.requester_home("patient")
    with swarm.provider(doomed) as victim:
        asking = tools.streaming(tools.question, "--tokens", "60", "--home", home)
        before = asking.read_until(60)
        victim.kill()
    done = asking.finish()
    assert done.code == 0, done.err
    assert "going on elsewhere" in done.err
    assert done.out.startswith(before)
    assert len(done.out) > len(before) + 60

    job = tools.run("explain", "--home", home, "--json").json[0]["job_id"]
    _, second = tools.run("explain", job, "--home", home, "--json").json
    outcome = {swarm.names[line["peer"]]: line["outcome"] for line in second["providers"]}
    assert outcome == {"steady": "won", "doomed": "died_mid_job"}

    channels = tools.run("channels", "--home", home, "--json").json["paying"]
    lost = next(c for c in channels if c["payee_address"] == swarm.wallets["doomed"])
    assert lost["signed_total"] > 0
    refused = tools.run("channels", "close", lost["address"], "--home", home, "--json")
    assert refused.code in {5, 6}
    assert lost["address"] in refused.json["failed"]
    left = tools.run("channels", "exit", lost["address"], "--home", home, "--json")
    assert left.code == 0, left.err
    assert left.json["money_back_unix_s"][lost["address"]] > 0

    with swarm.provider(doomed):
        until = time.monotonic() + 30
        while not swarm.balance(doomed):
            assert time.monotonic() < until, "the voucher was not claimed"
            time.sleep(0.2)
    swarm.warp(tools.challenge_s + 1)
    finished = tools.run("channels", "exit", lost["address"], "--home", home, "--json")
    assert finished.code == 0, finished.err
    assert "closed" in finished.json["states"][lost["address"]]
    assert list(settle_all(tools, home)) == [c["address"] for c in channels if c is not lost]


def test_a_killed_requester_says_what_was_paid_and_what_is_at_risk(swarm, steady, tools) -> None:
    home = swarm.requester_home("hasty")
    seen = steady.seen()
    asking = tools.streaming(tools.question, "--tokens", "200", "--home", home)
    asking.read_until(100)
    asking.signal(signal.SIGKILL)
    asking.finish()

    ended = steady.wait_for("job_ended", since=seen)
    assert ended["output_tokens"] < 200, "the device stopped"
    (journal,) = tools.run("channels", "--home", home, "--json").json["paying"]
    assert 0 < ended["paid_nanoton"] <= journal["signed_total"]

    with swarm.provider(swarm.provider_home("spare", price_ppm=1_500_000)):
        again = tools.run("ask", "Say hello.", "--tokens", "8", "--home", home, "--json")
        once_more = tools.run("ask", "Say hello.", "--tokens", "8", "--home", home, "--json")
        assert again.code == once_more.code == 0, again.err + once_more.err
        settled = settle_all(tools, home)
    (cut,) = again.json["interrupted_jobs"]
    assert cut["paid_nanoton"] == journal["signed_total"]
    assert 0 < cut["at_risk_nanoton"] <= one_chunk(tools)
    assert ended["lost_nanoton"] <= one_chunk(tools)
    assert "may have bought nothing" in again.err
    assert once_more.json["interrupted_jobs"] == [], "it is told once"
    # A payer that owed nothing when it was killed may be served again, through the same channel.
    later = [
        ran.json for ran in (again, once_more) if swarm.names[ran.json["provider"]] == "steady"
    ]
    total = journal["signed_total"] + sum(each["paid_nanoton"] for each in later)
    assert settled[journal["address"]]["voucher_total_nanoton"] == total


def one_chunk(tools) -> int:
    """The most that the prompt and 16 tokens of output can cost at the steady provider."""
    output, prompt = 20_000 * tools.times // 1000, 10_000 * tools.times // 1000
    return 16 * output + 64 * prompt


def test_ctrl_c_stops_the_device_and_pays_for_what_came(swarm, steady, tools) -> None:
    home = swarm.requester_home("nervous")
    seen = steady.seen()
    asking = tools.streaming(tools.question, "--tokens", "200", "--home", home)
    asking.read_until(100)
    asking.signal(signal.SIGINT)
    done = asking.finish(20)
    assert done.code == 130
    assert "Traceback" not in done.err
    assert "paid for" in done.err
    ended = steady.wait_for("job_ended", since=seen)
    assert ended["finish"] == "cancelled"
    assert 0 < ended["output_tokens"] < 200
    assert ended["lost_nanoton"] == 0
    (journal,) = tools.run("channels", "--home", home, "--json").json["paying"]
    assert journal["signed_total"] == ended["paid_nanoton"] == ended["cost_nanoton"] > 0
    assert tools.run("channels", "--home", home, "--json").json["interrupted_jobs"] == []
    settle_all(tools, home)


def test_two_nodes_share_nothing_but_two_addresses(chain_url, tools, tmp_path) -> None:
    """Two loopback addresses, homes made by `cocoon init`, one network of their own."""
    seller, buyer = tmp_path / "seller", tmp_path / "buyer"
    common = ["--network", "pair", "--chain-url", chain_url, "--devnet-wallet", "--json"]
    listen = ["--listen", "/ip4/127.0.0.1/tcp/0", "--model", tools.chat]
    made = tools.run("init", "--home", seller, *listen, "--set", "provider.threads=1", *common)
    assert made.code == 0, made.err
    with tools.running(tmp_path / "seller.log", "provide", "--home", seller) as provider:
        (address,) = provider.ready["addresses"]
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        there = ["--listen", "/ip4/127.0.0.2/tcp/0", "--bootstrap", address]
        assert tools.run("init", "--home", buyer, *there, *common).code == 0
        paid_out = tools.run("wallet", "faucet", "2", "--home", buyer, "--json")
        assert paid_out.json["amount_nanoton"] == 2 * 10**9
        asked = tools.run("ask", "Say hello.", "--tokens", "12", "--home", buyer, "--json")
        assert asked.code == 0, asked.err
        assert asked.json["provider"] == made.json["peer_id"]
        assert len(settle_all(tools, buyer)) == 1
    assert tools.run("wallet", "--home", buyer, "--json").json["balance_nanoton"] < 2 * 10**9
