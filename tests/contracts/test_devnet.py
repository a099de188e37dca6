import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from contracts.address import friendly_address
from contracts.cells import Builder, decode_boc, encode_boc, join_address
from contracts.devnet import REQUEST_BYTES_MAX, serve_devnet
from contracts.devnet_file import owning, read_devnet
from contracts.devnet_service import SNAPSHOTS_MAX, open_devnet
from contracts.embedded import EmbeddedChain
from contracts.emulator import DEVNET_NETWORK_ID, Emulator
from contracts.errors import InvalidData, LocalContractError
from contracts.toncenter import DevnetControl, Toncenter, open_toncenter
from contracts.units import NanoTon
from contracts.wallet import Transfer, Wallet, send_transfers

COIN = NanoTon(10**9)
FRIEND = join_address(0, b"\x0f" * 32)
SEED = b"\x05" * 32


@pytest.fixture
def wallet(chain: EmbeddedChain) -> Wallet:
    made = Wallet(SEED)
    chain.faucet(made.address, NanoTon(10 * COIN))
    return made


async def ask(url: str, path: str, **parameters: object) -> dict:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{url}{path}", params=parameters)).json()


async def post(url: str, path: str, content: bytes) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"{url}{path}", content=content, timeout=20)


def gift(amount: int = COIN) -> Transfer:
    return Transfer(destination=FRIEND, value_nanoton=NanoTon(amount), bounce=False)


async def test_it_reports_the_port_it_took_and_stays_on_loopback(devnet_url: str) -> None:
    assert devnet_url.startswith("http://127.0.0.1:")
    assert int(devnet_url.rpartition(":")[2]) > 0


async def test_an_account_reads_as_on_toncenter(devnet_url: str, wallet: Wallet) -> None:
    answer = await ask(devnet_url, "/api/v2/getAddressInformation", address=wallet.friendly)
    result = answer["result"]
    assert answer["ok"] is True
    assert (result["balance"], result["state"]) == (str(10 * COIN), "uninitialized")
    assert result["last_transaction_id"]["@type"] == "internal.transactionId"
    assert result["block_id"]["workchain"] == -1
    balance = await ask(devnet_url, "/api/v2/getAddressBalance", address=wallet.address)
    assert balance == {"ok": True, "result": str(10 * COIN)}


async def test_a_wallet_is_recognised(
    devnet_url: str, toncenter: Toncenter, wallet: Wallet
) -> None:
    await send_transfers(toncenter, wallet, [gift()], timeout_s=20)
    answer = await ask(devnet_url, "/getWalletInformation", address=wallet.address)
    assert answer["result"]["wallet_type"] == "wallet v4 r2"
    assert answer["result"]["seqno"] == 1


async def test_transactions_read_as_on_toncenter(
    devnet_url: str, toncenter: Toncenter, wallet: Wallet
) -> None:
    for _ in range(3):
        await send_transfers(toncenter, wallet, [gift()], timeout_s=20)
    answer = await ask(devnet_url, "/api/v2/getTransactions", address=wallet.address, limit=2)
    newest, older = answer["result"]
    assert int(newest["transaction_id"]["lt"]) > int(older["transaction_id"]["lt"])
    assert newest["in_msg"]["source"] == ""
    assert newest["out_msgs"][0]["value"] == str(COIN)
    assert newest["out_msgs"][0]["destination"] == friendly_address(FRIEND)
    assert int(newest["fee"]) == int(newest["storage_fee"]) + int(newest["other_fee"])
    page = await ask(
        devnet_url,
        "/api/v2/getTransactions",
        address=wallet.address,
        limit=2,
        lt=older["transaction_id"]["lt"],
        hash=older["transaction_id"]["hash"],
    )
    assert page["result"][0] == older
    since = await ask(
        devnet_url,
        "/api/v2/getTransactions",
        address=wallet.address,
        to_lt=older["transaction_id"]["lt"],
    )
    assert since["result"] == [newest]


async def test_get_methods_run_by_name_and_by_number(
    devnet_url: str, toncenter: Toncenter, wallet: Wallet
) -> None:
    await send_transfers(toncenter, wallet, [gift()], timeout_s=20)
    key = hex(int.from_bytes(bytes(SigningKey(SEED).verify_key), "big"))
    for method, expected in (("seqno", "0x1"), (85143, "0x1"), ("get_public_key", key)):
        call = {"address": wallet.address, "method": method, "stack": []}
        answer = (await post(devnet_url, "/runGetMethod", json.dumps(call).encode())).json()
        assert answer["result"]["stack"] == [["num", expected]]
        assert answer["result"]["exit_code"] == 0
    slice_ = Builder().address(FRIEND).end()
    asked = {
        "address": wallet.address,
        "method": "is_plugin_installed",
        "stack": [["num", "0x0"], ["num", "-7"], ["tvm.Slice", to_base64(encode_boc(slice_))]],
    }
    answer = (await post(devnet_url, "/runGetMethod", json.dumps(asked).encode())).json()
    assert answer["ok"] is True


async def test_an_unknown_get_method_has_the_exit_code_of_the_tvm(
    devnet_url: str, toncenter: Toncenter, wallet: Wallet
) -> None:
    await send_transfers(toncenter, wallet, [gift()], timeout_s=20)
    call = {"address": wallet.address, "method": "nothing", "stack": []}
    answer = (await post(devnet_url, "/runGetMethod", json.dumps(call).encode())).json()
    assert answer["result"]["exit_code"] == 11


async def test_an_estimate_is_what_is_then_paid_and_changes_nothing(
    devnet_url: str, toncenter: Toncenter, wallet: Wallet
) -> None:
    await send_transfers(toncenter, wallet, [gift()], timeout_s=20)
    valid_until_unix_s = await toncenter.now_unix_s() + 60
    message = wallet.transfer_message(1, [gift()], valid_until_unix_s)
    body = decode_boc(message).refs[0]
    call = {"address": wallet.address, "body": to_base64(encode_boc(body))}
    before = await toncenter.account(wallet.address)
    answer = (await post(devnet_url, "/estimateFee", json.dumps(call).encode())).json()
    assert (await toncenter.account(wallet.address)).balance_nanoton == before.balance_nanoton
    await toncenter.send(message)
    after = await toncenter.account(wallet.address)
    fees = answer["result"]["source_fees"]
    paid = before.balance_nanoton - after.balance_nanoton - COIN
    assert sum(fees[name] for name in fees if name != "@type") == paid
    assert len(answer["result"]["destination_fees"]) == 1


async def test_an_estimate_needs_no_good_signature_unless_asked_for(
    devnet_url: str, chain: EmbeddedChain, wallet: Wallet
) -> None:
    unsigned = Wallet(b"\x06" * 32).transfer_message(0, [gift()], 2**32 - 1)
    message = decode_boc(wallet.transfer_message(0, [gift()], 2**32 - 1))
    init = message.refs[0]
    call = {
        "address": wallet.address,
        "body": to_base64(encode_boc(decode_boc(unsigned).refs[-1])),
        "init_code": to_base64(encode_boc(init.refs[0])),
        "init_data": to_base64(encode_boc(init.refs[1])),
    }
    blocks = chain.last_block.seqno
    answer = (await post(devnet_url, "/estimateFee", json.dumps(call).encode())).json()
    assert answer["result"]["source_fees"]["gas_fee"] > 0
    strict = json.dumps(call | {"ignore_chksig": False}).encode()
    assert "exitcode=35" in (await post(devnet_url, "/estimateFee", strict)).json()["error"]
    assert chain.last_block.seqno - blocks <= 3  # the clock's, and none of an estimate
    assert chain.account(wallet.address).status == "uninit"


async def test_a_refusal_says_the_exit_code_as_a_lite_server_does(
    devnet_url: str, toncenter: Toncenter, wallet: Wallet
) -> None:
    await send_transfers(toncenter, wallet, [gift()], timeout_s=20)
    message = wallet.transfer_message(7, [gift()], await toncenter.now_unix_s() + 60)
    call = {"id": 5, "jsonrpc": "2.0", "method": "sendBoc", "params": {"boc": to_base64(message)}}
    response = await post(devnet_url, "/api/v2/jsonRPC", json.dumps(call).encode())
    answer = response.json()
    assert response.status_code == answer["code"] == 500
    assert "External message was not accepted" in answer["error"]
    assert "exitcode=33" in answer["error"]
    assert answer["id"] == 5


async def test_blocks_advance_with_real_time(devnet_url: str, toncenter: Toncenter) -> None:
    first = await ask(devnet_url, "/getMasterchainInfo")
    started_unix_s = await toncenter.now_unix_s()
    await trio.sleep(2.1)
    assert await toncenter.now_unix_s() >= started_unix_s + 2
    later = await ask(devnet_url, "/getMasterchainInfo")
    assert later["result"]["last"]["seqno"] >= first["result"]["last"]["seqno"] + 2


async def test_a_block_has_a_header(devnet_url: str) -> None:
    last = (await ask(devnet_url, "/getMasterchainInfo"))["result"]["last"]
    header = await ask(
        devnet_url, "/getBlockHeader", workchain=-1, shard=last["shard"], seqno=last["seqno"]
    )
    assert header["result"]["global_id"] == DEVNET_NETWORK_ID
    assert header["result"]["id"] == last
    missing = await ask(devnet_url, "/getBlockHeader", workchain=-1, shard="0", seqno=10**9)
    assert (missing["ok"], missing["code"]) == (False, 500)


async def test_blocks_are_found_and_their_transactions_listed_in_pages(
    devnet_url: str, toncenter: Toncenter, wallet: Wallet
) -> None:
    await send_transfers(toncenter, wallet, [gift()], timeout_s=20)
    sent = (await toncenter.transactions(wallet.address))[-1]
    by_lt = (await ask(
        devnet_url, "/lookupBlock", workchain=0, shard="8000000000000000", lt=sent.lt
    ))["result"]  # fmt: skip
    by_seqno = (await ask(
        devnet_url, "/lookupBlock", workchain=0, shard="8000000000000000", seqno=by_lt["seqno"]
    ))["result"]  # fmt: skip
    assert by_lt == by_seqno
    by_time = (await ask(
        devnet_url, "/lookupBlock", workchain=-1, shard="8000000000000000", unixtime=sent.now_unix_s
    ))["result"]  # fmt: skip
    assert by_time["workchain"] == -1
    assert by_time["seqno"] <= by_lt["seqno"]
    page: dict = {"workchain": 0, "shard": "8000000000000000", "seqno": by_lt["seqno"], "count": 1}
    first = (await ask(devnet_url, "/getBlockTransactions", **page))["result"]
    assert (first["incomplete"], first["transactions"][0]["account"]) == (True, wallet.address)
    after = first["transactions"][0]["lt"]
    rest = (await ask(devnet_url, "/getBlockTransactions", **page, after_lt=after))["result"]
    assert (rest["incomplete"], rest["transactions"][0]["account"]) == (False, FRIEND)
    shards = (await ask(devnet_url, "/shards", seqno=by_lt["seqno"]))["result"]["shards"]
    assert shards == [by_lt]
    forms = (await ask(devnet_url, "/detectAddress", address=wallet.friendly))["result"]
    assert forms["raw_form"] == wallet.address
    assert forms["bounceable"]["b64url"] == friendly_address(wallet.address)


async def test_the_faucet_prints_money_and_the_supply_knows_it(
    devnet_url: str, toncenter: Toncenter
) -> None:
    control = DevnetControl(devnet_url)
    made = Wallet(SEED, "v5r1", toncenter.network_id)
    await control.faucet(made.friendly, NanoTon(3 * COIN))
    await send_transfers(toncenter, made, [gift(), gift(1)], timeout_s=20)
    supply = await control.supply()
    assert supply.conserved
    assert supply.minted_nanoton == str(3 * COIN)
    assert int(supply.fees_nanoton) > 0
    accounts = int(supply.accounts_nanoton)
    assert accounts + int(supply.fees_nanoton) == 3 * COIN


async def test_a_warp_is_seen_at_once_and_lasts(devnet_url: str, toncenter: Toncenter) -> None:
    before_unix_s = await toncenter.now_unix_s()
    there_unix_s = await DevnetControl(devnet_url).warp(86_400)
    assert there_unix_s >= before_unix_s + 86_400
    assert await toncenter.now_unix_s() >= there_unix_s
    await trio.sleep(1.5)
    assert there_unix_s <= await toncenter.now_unix_s() <= there_unix_s + 10


async def test_a_snapshot_brings_back_money_and_time(
    devnet_url: str, toncenter: Toncenter, wallet: Wallet
) -> None:
    control = DevnetControl(devnet_url)
    number = await control.snapshot()
    await send_transfers(toncenter, wallet, [gift()], timeout_s=20)
    await control.warp(1000)
    await control.restore(number)
    assert (await toncenter.account(FRIEND)).balance_nanoton == 0
    assert (await toncenter.account(wallet.address)).balance_nanoton == 10 * COIN
    await send_transfers(toncenter, wallet, [gift(5)], timeout_s=20)
    assert (await toncenter.account(FRIEND)).balance_nanoton == 5


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/nothing", b"", 404),
        ("/devnet/nothing", b"", 404),
        ("/jsonRPC", b'{"method": "nothing"}', 404),
        ("/jsonRPC", b"", 422),
        ("/jsonRPC", b"\xff\xfe", 422),
        ("/jsonRPC", b'{"method": "\xff\xfe"}', 422),
        ("/jsonRPC", b"[" * 100_000, 422),
        ("/jsonRPC", b'{"method": "getAddressInformation", "params": []}', 422),
        ("/getAddressInformation", b"", 422),
        ("/getAddressInformation", b'{"address": "EQnonsense"}', 422),
        ("/getAddressInformation", b'{"address": 7}', 422),
        ("/getTransactions", b'{"address": "0:%s", "limit": 100000}' % (b"0" * 64), 422),
        ("/getTransactions", b'{"address": "0:%s", "lt": "-1"}' % (b"0" * 64), 422),
        ("/getTransactions", b'{"address": "0:%s", "lt": "77"}' % (b"0" * 64), 500),
        ("/sendBoc", b'{"boc": "!!!"}', 422),
        ("/sendBoc", b'{"boc": ""}', 422),
        ("/sendBoc", b'{"boc": "te6ccgEBAQEAAgAAAA=="}', 422),
        ("/runGetMethod", b'{"address": "0:%s", "method": "x", "stack": [["num", "one"]]}'
         % (b"0" * 64), 422),
        ("/runGetMethod", b'{"address": "0:%s", "method": "x", "stack": [["tuple", "AA"]]}'
         % (b"0" * 64), 422),
        ("/estimateFee", b'{"address": "0:%s", "body": "AAAA"}' % (b"0" * 64), 422),
        ("/getConfigParam", b'{"config_id": 5}', 500),
        ("/shards", b'{"seqno": 999999}', 500),
        ("/lookupBlock", b'{"workchain": 0, "shard": "0"}', 422),
        ("/lookupBlock", b'{"workchain": 7, "shard": "0", "seqno": 1}', 422),
        ("/lookupBlock", b'{"workchain": 0, "shard": "0", "unixtime": 99999999999}', 500),
        ("/getBlockTransactions", b'{"workchain": 0, "shard": "0", "seqno": 1, "count": 0}', 422),
        ("/tryLocateTx", b'{"source": "x", "destination": "y", "created_lt": "1"}', 422),
        ("/tryLocateTx", b'{"source": "0:%s", "destination": "0:%s", "created_lt": "1"}'
         % (b"0" * 64, b"0" * 64), 500),
        ("/detectAddress", b'{"address": "EQ"}', 422),
        ("/devnet/faucet", b'{"address": "0:%s", "amount_nanoton": "-1"}' % (b"0" * 64), 422),
        ("/devnet/faucet", b'{"address": "0:%s", "amount_nanoton": "0"}' % (b"0" * 64), 422),
        ("/devnet/faucet", b'{"address": "-1:%s", "amount_nanoton": "5"}' % (b"0" * 64), 422),
        ("/devnet/warp", b'{"seconds": -5}', 422),
        ("/devnet/warp", b'{"seconds": 1e30}', 422),
        ("/devnet/restore", b'{"snapshot": 9}', 422),
    ],
)  # fmt: skip
async def test_garbage_gets_a_typed_answer(
    devnet_url: str, path: str, content: bytes, status: int
) -> None:
    response = await post(devnet_url, path, content)
    answer = response.json()
    assert (response.status_code, answer["code"], answer["ok"]) == (status, status, False)
    assert answer["error"]
    assert (await ask(devnet_url, "/getMasterchainInfo"))["ok"]


async def test_a_request_is_bounded_before_it_is_read(devnet_url: str) -> None:
    response = await post(devnet_url, "/sendBoc", b" " * (REQUEST_BYTES_MAX + 1))
    assert response.status_code == 413


async def test_money_is_not_printed_by_following_a_link(devnet_url: str) -> None:
    for path in ("faucet", "warp", "restore", "snapshot"):
        assert (await ask(devnet_url, f"/devnet/{path}"))["code"] == 404


@settings(max_examples=10, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_random_messages_are_refused_and_change_nothing(
    emulator: Emulator, messages: list[bytes]
) -> None:
    chain = EmbeddedChain(emulator, unix_s=1_780_000_000)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(
                lambda task_status: serve_devnet(
                    chain, clock=lambda: 1_780_000_000, task_status=task_status
                )
            )
            for message in messages:
                content = json.dumps({"boc": to_base64(message)}).encode()
                assert (await post(url, "/sendBoc", content)).status_code in (422, 500)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert chain.supply() == chain.minted_nanoton == 0


# --- a process of its own --------------------------------------------------------------

SERVE = """
import sys, time, trio
from functools import partial
from pathlib import Path
from contracts.devnet import serve_devnet
from contracts.devnet_file import read_devnet
from contracts.embedded import EmbeddedChain
from contracts.emulator import open_emulator
path, emulator = Path(sys.argv[1]), open_emulator()
now = lambda: int(time.time())
if path.exists():
    chain, kept = read_devnet(emulator, path)
else:
    chain, kept = EmbeddedChain(emulator, unix_s=now()), {}
async def main():
    async with trio.open_nursery() as nursery:
        serve = partial(serve_devnet, chain, clock=now, persist_path=path, kept=kept)
        print(await nursery.start(serve), flush=True)
trio.run(main)
"""


@contextmanager
def process(path: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(path)],
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        text=True,
    ) as running:
        try:
            yield running.stdout.readline().strip(), running
        finally:
            running.kill()


async def test_after_a_kill_nothing_that_was_answered_is_lost(
    tmp_path: Path, emulator: Emulator
) -> None:
    path = tmp_path / "chain.bin"
    made = Wallet(SEED)
    balance, warped_unix_s = 0, 0
    for life in range(3):
        with process(path) as (url, running):
            control = DevnetControl(url)
            async with open_toncenter(url) as client:
                assert await client.now_unix_s() >= warped_unix_s
                assert (await client.account(FRIEND)).balance_nanoton == balance
                if life == 0:
                    await control.faucet(made.address, NanoTon(10 * COIN))
                assert await control.snapshot() == life + 1
                assert [each.snapshot for each in await control.snapshots()] == [
                    *range(1, life + 2)
                ]
                warped_unix_s = await control.warp(5000)
                for amount in (COIN, 2 * COIN):
                    await send_transfers(client, made, [gift(amount)], timeout_s=20)
                balance = (await client.account(FRIEND)).balance_nanoton
                os.kill(running.pid, signal.SIGKILL)
                running.wait()
    restored, _ = read_devnet(emulator, path)
    gifts = restored.transactions(FRIEND)
    assert [each.value_nanoton // COIN for each in gifts] == [1, 2, 1, 2, 1, 2]
    assert restored.account(FRIEND).balance_nanoton == balance
    assert restored.supply() == restored.minted_nanoton == 10 * COIN


def test_two_devnets_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "chain.bin"
    with owning(path), pytest.raises(LocalContractError, match="another devnet"), owning(path):
        pytest.fail("it is taken")
    with owning(path):
        pass


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40, b"\x83"])
def test_a_damaged_file_of_a_devnet_is_refused(
    tmp_path: Path, emulator: Emulator, damage: bytes
) -> None:
    (tmp_path / "chain.bin").write_bytes(damage)
    with pytest.raises(InvalidData, match=r"chain\.bin"):
        read_devnet(emulator, tmp_path / "chain.bin")


async def test_a_snapshot_survives_a_restart(tmp_path: Path, emulator: Emulator) -> None:
    path, clock = tmp_path / "chain.bin", lambda: 1_780_000_000
    chain = EmbeddedChain(emulator, unix_s=clock())
    async with open_devnet(chain, clock=clock, persist_path=path) as devnet:
        await devnet.faucet(FRIEND, COIN)
        number = await devnet.take_snapshot()
        await devnet.faucet(FRIEND, COIN)
    again, kept = read_devnet(emulator, path)
    assert again.account(FRIEND).balance_nanoton == 2 * COIN
    async with open_devnet(again, clock=clock, persist_path=path, kept=kept) as devnet:
        await devnet.restore(number)
        assert (await devnet.account(FRIEND))[0].balance_nanoton == COIN
        for _ in range(SNAPSHOTS_MAX):
            await devnet.take_snapshot()
        with pytest.raises(InvalidData):
            await devnet.restore(number)  # only the newest few are kept
    assert len(read_devnet(emulator, path)[1]) == SNAPSHOTS_MAX


async def test_a_kill_in_the_middle_of_traffic_leaves_a_chain_that_opens(
    tmp_path: Path, emulator: Emulator
) -> None:
    path = tmp_path / "chain.bin"
    answered = 0
    with process(path) as (url, running):
        control = DevnetControl(url)

        async def pour() -> None:
            nonlocal answered
            try:
                while True:
                    await control.faucet(FRIEND, COIN)
                    answered += 1
            except Exception:  # noqa: BLE001 - however the connection dies
                return

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(pour)
            await trio.sleep(0.7)
            os.kill(running.pid, signal.SIGKILL)
        running.wait()
    restored, _ = read_devnet(emulator, path)
    assert answered > 0
    assert answered <= restored.minted_nanoton // COIN <= answered + 4
    assert restored.supply() == restored.minted_nanoton


async def test_a_taken_port_is_an_error_not_a_silence(chain: EmbeddedChain) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ExceptionGroup) as caught,
        trio.fail_after(5),
    ):
        await serve_devnet(chain, port=taken.getsockname()[1], clock=lambda: 0)
    assert caught.group_contains(OSError)


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
