import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import toncenter as module
from contracts.cells import join_address
from contracts.embedded import EmbeddedChain
from contracts.emulator import DEVNET_NETWORK_ID
from contracts.errors import (
    ChainUnavailable,
    ContractError,
    InvalidData,
    LocalContractError,
    MessageRejected,
)
from contracts.rehearsal import Rehearsal
from contracts.toncenter import Toncenter, open_toncenter
from contracts.units import NanoTon
from contracts.wallet import Transfer, Wallet, send_transfers

COIN = NanoTon(10**9)
FRIEND = join_address(0, b"\x0f" * 32)
NOBODY = join_address(0, b"\x0e" * 32)


@pytest.fixture
def wallet(chain: EmbeddedChain) -> Wallet:
    made = Wallet(b"\x06" * 32)
    chain.faucet(made.address, NanoTon(10 * COIN))
    return made


def gift(amount: int = COIN) -> Transfer:
    return Transfer(destination=FRIEND, value_nanoton=NanoTon(amount), bounce=False)


class Server:
    """A server that answers each request with the next of its scripted answers.

    An answer is (status, body), or None to hang up without one.
    """

    def __init__(self, *answers: tuple[int, bytes] | None) -> None:
        self.answers = list(answers)
        self.requests: list[dict] = []

    async def serve(self, task_status: trio.TaskStatus[str]) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        await trio.serve_listeners(
            self._answer,
            listeners,
            task_status=_Translated(task_status, url),  # type: ignore[arg-type]  # a status is one
        )

    async def _answer(self, stream: trio.SocketStream) -> None:
        async with stream:
            data = b""
            while b"\r\n\r\n" not in data:
                data += await stream.receive_some(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(each[15:]) for each in lines if each.startswith(b"content-length:"))
            while len(body) < length:
                body += await stream.receive_some(65536)
            self.requests.append(json.loads(body))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer is None:
                return
            status, content = answer
            with trio.move_on_after(5):
                await stream.send_all(
                    b"HTTP/1.1 %d x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
                    % (status, len(content))
                    + content
                )


class _Translated:
    def __init__(self, status: trio.TaskStatus[str], value: str) -> None:
        self._status, self._value = status, value

    def started(self, _: object = None) -> None:
        self._status.started(self._value)


def result(value: object) -> tuple[int, bytes]:
    return 200, json.dumps({"ok": True, "result": value}).encode()


def failure(status: int, error: str) -> tuple[int, bytes]:
    return status, json.dumps({"ok": False, "error": error, "code": status}).encode()


def information(**changed: object) -> tuple[int, bytes]:
    answer = {
        "balance": "5",
        "state": "uninitialized",
        "code": "",
        "data": "",
        "last_transaction_id": {"lt": "0", "hash": base64.b64encode(bytes(32)).decode()},
        "sync_utime": 1_780_000_000,
    }
    return result(answer | changed)


Run = Callable[..., Any]


@pytest.fixture
def ask(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one call of a client against a scripted server."""
    monkeypatch.setattr(module, "BACKOFF_S", 0.001)

    async def run(server: Server, call: Callable[[Toncenter], Any], timeout_s: float = 5) -> Any:
        url = await nursery.start(server.serve)
        async with open_toncenter(url, network_id=-3, timeout_s=timeout_s) as client:
            return await call(client)

    return run


def account(client: Toncenter) -> Any:
    return client.account(NOBODY)


# --- against the real devnet -------------------------------------------------------------


async def test_the_network_is_asked_of_the_server(toncenter: Toncenter) -> None:
    assert toncenter.network_id == DEVNET_NETWORK_ID


async def test_a_url_may_end_with_the_path_of_the_api(devnet_url: str) -> None:
    for url in (devnet_url + "/", devnet_url + "/api/v2", devnet_url + "/api/v2/"):
        async with open_toncenter(url) as client:
            assert await client.now_unix_s() > 0


async def test_it_sees_exactly_what_the_chain_has(
    chain: EmbeddedChain, toncenter: Toncenter, wallet: Wallet
) -> None:
    for amount in (1, 2, 3):
        await send_transfers(toncenter, wallet, [gift(amount)], timeout_s=20)
    for address in (wallet.address, FRIEND, NOBODY):
        seen, true = await toncenter.account(address), chain.account(address)
        assert seen.block_unix_s <= true.block_unix_s
        assert (seen.status, seen.balance_nanoton) == (true.status, true.balance_nanoton)
        assert (seen.code_hash, seen.data) == (true.code_hash, true.data)
        assert seen.last_transaction_lt == true.last_transaction_lt
        assert await toncenter.transactions(address) == chain.transactions(address)


async def test_history_can_be_read_in_parts(
    chain: EmbeddedChain, toncenter: Toncenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for amount in range(1, 8):
        chain.faucet(FRIEND, NanoTon(amount))
    everything = chain.transactions(FRIEND)
    monkeypatch.setattr(module, "PAGE", 3)
    assert await toncenter.transactions(FRIEND) == everything
    since_lt = everything[2].lt
    assert await toncenter.transactions(FRIEND, since_lt=since_lt) == everything[3:]
    assert await toncenter.transactions(FRIEND, since_lt=since_lt, limit=2) == everything[3:5]
    assert await toncenter.transactions(FRIEND, since_lt=everything[-1].lt) == []


async def test_an_account_that_is_gone_is_found_by_its_heir(
    toncenter: Toncenter, rig: Rehearsal, chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on real servers of this kind, its history cannot be asked for by its name alone."""
    monkeypatch.setattr(module, "PAGE", 3)
    rig.open()
    rig.external(rig.claim(COIN // 4))
    rig.external(rig.close(COIN // 2))
    gone, heir = rig.address, rig.params.payer_address
    for _ in range(5):  # what the heir does later does not hide it
        chain.faucet(heir, NanoTon(1))
    true = chain.transactions(gone)
    assert (await toncenter.account(gone)).last_transaction_lt == 0
    assert await toncenter.transactions(gone) == []
    assert await toncenter.transactions(gone, heir=heir) == true
    assert await toncenter.transactions(gone, heir=heir, since_lt=true[0].lt) == true[1:]
    assert await toncenter.transactions(gone, heir=heir, since_lt=true[-1].lt) == []
    assert await toncenter.transactions(gone, heir=FRIEND) == []
    assert await toncenter.transactions(NOBODY, heir=heir) == []


async def test_endless_history_is_given_up(
    chain: EmbeddedChain, toncenter: Toncenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        chain.faucet(FRIEND, COIN)
    monkeypatch.setattr(module, "PAGE", 2)
    monkeypatch.setattr(module, "PAGES_MAX", 3)
    with pytest.raises(ChainUnavailable, match="too many"):
        await toncenter.transactions(FRIEND)


async def test_two_clients_share_one_chain(
    devnet_url: str, toncenter: Toncenter, wallet: Wallet
) -> None:
    async with open_toncenter(devnet_url) as other, trio.open_nursery() as nursery:
        for client in (toncenter, other):
            nursery.start_soon(partial(send_transfers, client, wallet, [gift()], timeout_s=20))
    assert (await toncenter.account(FRIEND)).balance_nanoton == 2 * COIN


async def test_a_refused_message_carries_the_exit_code(
    toncenter: Toncenter, wallet: Wallet
) -> None:
    await send_transfers(toncenter, wallet, [gift()], timeout_s=20)
    late = wallet.transfer_message(1, [gift()], await toncenter.now_unix_s() - 1)
    with pytest.raises(MessageRejected) as caught:
        await toncenter.send(late)
    assert caught.value.exit_code == 36
    assert (await toncenter.account(FRIEND)).balance_nanoton == COIN


async def test_what_is_no_message_is_our_own_fault(toncenter: Toncenter) -> None:
    with pytest.raises(LocalContractError):
        await toncenter.send(b"nonsense")


# --- against servers that misbehave ------------------------------------------------------


@pytest.mark.parametrize("hiccup", [None, (429, b""), (503, b"<html>"), failure(500, "NOTREADY")])
async def test_a_hiccup_is_asked_over(ask: Run, hiccup: tuple[int, bytes] | None) -> None:
    server = Server(hiccup, hiccup, information())
    assert (await ask(server, account)).balance_nanoton == 5
    assert len(server.requests) == 3


async def test_it_gives_up_at_last(ask: Run) -> None:
    server = Server((503, b""))
    with pytest.raises(ChainUnavailable):
        await ask(server, account)
    assert len(server.requests) == module.ATTEMPTS_MAX


async def test_a_message_that_may_have_arrived_is_not_sent_again(ask: Run) -> None:
    message = Wallet(b"\x06" * 32).transfer_message(0, [gift()], 1)
    server = Server(None)
    with pytest.raises(ChainUnavailable):
        await ask(server, lambda client: client.send(message))
    assert len(server.requests) == 1


async def test_a_message_that_was_turned_away_is_sent_again(ask: Run) -> None:
    message = Wallet(b"\x06" * 32).transfer_message(0, [gift()], 1)
    server = Server((429, b""), failure(500, "cannot apply external message: exitcode=33, "))
    with pytest.raises(MessageRejected) as caught:
        await ask(server, lambda client: client.send(message))
    assert (caught.value.exit_code, len(server.requests)) == (33, 2)


async def test_nobody_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_S", 0.001)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    with pytest.raises(ChainUnavailable, match="connection"):
        async with open_toncenter(f"http://127.0.0.1:{port}"):
            pass


@pytest.mark.parametrize("url", ["", "devnet", "ftp://host", "http://"])
async def test_a_wrong_url_is_our_own_fault(url: str) -> None:
    with pytest.raises(LocalContractError, match="HTTP address"):
        async with open_toncenter(url):
            pass


async def test_a_wrong_key_is_a_setting_to_mend(ask: Run) -> None:
    with pytest.raises(LocalContractError, match="API key"):
        await ask(Server(failure(401, "API key does not exist")), account)


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""),
        (200, b"\xff"),
        (200, b"[" * 5000),
        (200, b"null"),
        result(None),
        result([]),
        information(balance="-5x"),
        information(balance="9" * 20),
        information(state="rich"),
        information(sync_utime=-1),
        information(sync_utime=1 << 40),
        information(data="!"),
        information(code="AAAA"),
        information(last_transaction_id={"lt": "-1", "hash": ""}),
        information(last_transaction_id={"lt": str(1 << 64), "hash": ""}),
    ],
)
async def test_an_answer_that_makes_no_sense_is_refused(
    ask: Run, answer: tuple[int, bytes]
) -> None:
    with pytest.raises(InvalidData):
        await ask(Server(answer), account)


async def test_an_account_that_is_not_there_is_nonexist(ask: Run) -> None:
    for balance in ("0", "-1", 0):
        assert (await ask(Server(information(balance=balance)), account)).status == "nonexist"


async def test_a_flood_is_cut_off(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts._http.ANSWER_BYTES_MAX", 1000)
    monkeypatch.setattr(module, "ATTEMPTS_MAX", 1)
    with pytest.raises(ChainUnavailable, match="too much"):
        await ask(Server(information(frozen_hash="x" * 5000)), account)


async def test_a_server_that_hangs_is_left(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ATTEMPTS_MAX", 1)

    class Silent(Server):
        async def _answer(self, stream: trio.SocketStream) -> None:
            async with stream:
                await trio.sleep_forever()

    with pytest.raises(ChainUnavailable):
        await ask(Silent((200, b"")), account, timeout_s=0.2)


def stored(chain: EmbeddedChain) -> list[dict]:
    """Return FRIEND's history as a server writes it, newest first."""
    return [
        {
            "transaction_id": {
                "lt": str(item.record.lt),
                "hash": base64.b64encode(item.record.hash).decode(),
            },
            "data": base64.b64encode(item.boc).decode(),
        }
        for item in reversed(chain.stored_transactions(FRIEND))
    ]


async def test_a_server_cannot_hide_or_change_a_transaction(ask: Run, chain: EmbeddedChain) -> None:
    for amount in (1, 2, 3, 4):
        chain.faucet(FRIEND, NanoTon(amount))
    true = stored(chain)

    def read(client: Toncenter) -> Any:
        return client.transactions(FRIEND)

    assert await ask(Server(result(true)), read) == chain.transactions(FRIEND)
    hidden = [true[0], *true[2:]]
    reordered = [true[1], true[0], *true[2:]]
    renamed = [{**true[0], "transaction_id": true[1]["transaction_id"]}, *true[1:]]
    doubled = [true[0], *true]
    for lie in (hidden, reordered, renamed, doubled):
        with pytest.raises(InvalidData):
            await ask(Server(result(lie)), read)
    with pytest.raises(InvalidData, match="called"):
        await ask(Server(result(true)), lambda client: client.transactions(NOBODY))


async def test_more_transactions_than_were_asked_for_are_refused_unread(ask: Run) -> None:
    id_ = {"lt": "1", "hash": base64.b64encode(bytes(32)).decode()}
    page = [{"transaction_id": id_, "data": ""}] * (module.PAGE + 1)
    with pytest.raises(InvalidData, match="length <= 100"):
        await ask(Server(result(page)), lambda client: client.transactions(NOBODY))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200) | json_values.map(lambda value: result(value)[1]))
def test_any_answer_at_all_ends_in_a_typed_error(content: bytes) -> None:
    async def main() -> None:
        server = Server((200, content))
        async with trio.open_nursery() as nursery:
            url = await nursery.start(server.serve)
            async with open_toncenter(url, network_id=-3) as client:
                for call in (client.account(NOBODY), client.transactions(NOBODY)):
                    try:
                        await call
                    except ContractError:
                        continue
            nursery.cancel_scope.cancel()

    trio.run(main)
