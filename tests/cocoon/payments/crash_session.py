"""One side of a paid session in a process of its own, which can be told where to die.

Run as ``python crash_session.py ROLE``: a zygote that has imported everything. For each
line ``DIRECTORY VOUCHERS N MODE`` on standard input it forks a child, which plays its role
in a session of so many vouchers with the real services, and kills itself (SIGKILL) at its
Nth journal write from then on: "before" it, in the "torn" middle of it, or "after" it.
``0 count`` lets it live, and tallies the writes in a file. The child's process id is
written as a line at once, and its wait status when it is gone.

The chain is the test's own: asked over a socket in DIRECTORY.
"""

import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import msgspec
import trio

from cocoon.messages import CloseRelease, CloseRequest, PaymentRef, VoucherMessage
from cocoon.payments import journal, onchain
from cocoon.payments.channel import ENDED
from cocoon.payments.durable import DurableLog
from cocoon.payments.ownership import public_key
from cocoon.payments.payee import PayeeService, open_payee
from cocoon.payments.payer import PayerChannel, PayerService, open_payer
from contracts import channel_client, delivery
from contracts.chain import Account, TransactionRecord
from contracts.errors import ChainUnavailable, MessageRejected
from contracts.units import NanoTon
from contracts.wallet import Wallet

VOUCHERS_MAX = 200
TOTALS = [NanoTon(n * 1_000_003 + n * n) for n in range(VOUCHERS_MAX + 1)]
"""What is due after each chunk: no two chunks cost the same, so a mix-up cannot cancel out."""

DEPOSIT = NanoTon(TOTALS[-1] + 7)
NETWORK_ID = 1129268046
"""Of the embedded chain; its emulator is not loaded here."""
PAYER_SEED, PAYEE_SEED, PAYEE_WALLET = b"\x21" * 32, b"\x22" * 32, b"\x23" * 32
TRANSCRIPT = b"\x07" * 32
COMPACT_ABOVE_BYTES = 6000
"""Small, so that the journals are compacted several times on the way."""

_SIZE = struct.Struct("<I")


class Hello(msgspec.Struct, tag="hello"):
    payment: PaymentRef
    signature: bytes


class Ask(msgspec.Struct):
    """A question to the chain: the name of a method of the port, and its arguments."""

    method: str
    arguments: list[Any]


class Answer(msgspec.Struct):
    value: Any = None
    unavailable: str = ""
    rejected: str = ""
    exit_code: int | None = None


# --- frames over a socket ---


async def send(stream: trio.SocketStream, data: bytes) -> None:
    await stream.send_all(_SIZE.pack(len(data)) + data)


async def receive(stream: trio.SocketStream) -> bytes:
    """Return one frame; b"" at the end of the stream."""
    head = await _exactly(stream, _SIZE.size)
    return await _exactly(stream, _SIZE.unpack(head)[0]) if head else b""


async def _exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        if not more:
            return b""
        data += more
    return data


class RemoteChain:
    """The chain port, over the test's socket."""

    network_id = NETWORK_ID

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: trio.SocketStream | None = None
        self._lock = trio.Lock()

    async def _ask(self, kind: Any, method: str, *arguments: Any) -> Any:
        async with self._lock:
            if self._stream is None:
                self._stream = await trio.open_unix_socket(self._path)
            with trio.CancelScope(shield=True):  # half a frame would end the conversation
                await send(self._stream, msgspec.msgpack.encode(Ask(method, list(arguments))))
                answer = msgspec.msgpack.decode(await receive(self._stream), type=Answer)
        if answer.unavailable:
            raise ChainUnavailable(answer.unavailable)
        if answer.rejected:
            raise MessageRejected(answer.rejected, exit_code=answer.exit_code)
        return msgspec.convert(answer.value, kind)

    async def now_unix_s(self) -> int:
        return int(await self._ask(int, "now_unix_s"))

    async def account(self, address: str) -> Account:
        found: Account = await self._ask(Account, "account", address)
        return found

    async def send(self, message_boc: bytes) -> bytes:
        sent: bytes = await self._ask(bytes, "send", message_boc)
        return sent

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        asked = ("transactions", address, since_lt, limit)
        found: list[TransactionRecord] = await self._ask(list[TransactionRecord], *asked)
        return found


# --- dying ---


def die_at(write: int, mode: str, tally: Path) -> None:
    """Have this process kill itself at its *write*-th journal write from now on."""
    whole, count = journal._write_all, 0
    file = os.open(tally, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def counted(fd: int, data: bytes, position: int) -> int:
        nonlocal count
        count += 1
        if mode == "count":
            os.write(file, b".")
        if count != write:
            return whole(fd, data, position)
        if mode == "torn":
            whole(fd, data[: len(data) // 2], position)
        elif mode == "after":
            whole(fd, data, position)
            os.fsync(fd)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")

    journal._write_all = counted


# --- the two sides ---


async def payer_side(directory: Path, vouchers: int) -> None:
    wallet = Wallet(PAYER_SEED, network_id=NETWORK_ID)
    async with open_payer(
        chain=RemoteChain(directory / "chain.sock"),
        wallet=wallet,
        journal_path=directory / "payer.journal",
        clock=lambda: 0.0,
        secret=PAYER_SEED,
        watch_interval_s=3600,
        timeout_s=30,
    ) as payer:
        channel = await _channel(payer)
        while payer.phase(channel.address) not in ENDED:
            try:
                stream = await trio.open_unix_socket(directory / "payee.sock")
                async with stream:
                    await _pay_all(payer, channel, vouchers, stream)
            except (OSError, trio.BrokenResourceError, EOFError):
                await trio.sleep(0.002)  # the payee is dead; the test restarts it


async def _channel(payer: PayerService) -> PayerChannel:
    known = payer.list_channels()
    if known and known[0].phase.value not in ("opening", "lapsed"):
        return payer.channel(known[0].address)
    payee = Wallet(PAYEE_WALLET, network_id=NETWORK_ID).address
    key = public_key(PAYEE_SEED)
    return await payer.ensure_channel(payee, key, spendable_min=DEPOSIT, deposit=DEPOSIT)


async def _pay_all(
    payer: PayerService, channel: PayerChannel, vouchers: int, stream: trio.SocketStream
) -> None:
    if payer.phase(channel.address).value == "open":
        await _pay_chunks(channel, vouchers, stream)

    async def ask(request: CloseRequest) -> CloseRelease:
        return msgspec.msgpack.decode(await _exchange(stream, request), type=CloseRelease)

    await payer.close(channel, ask)


async def _pay_chunks(channel: PayerChannel, vouchers: int, stream: trio.SocketStream) -> None:
    hello = Hello(channel.ref, channel.sign_transcript(TRANSCRIPT))
    await _exchange(stream, hello)
    newest = channel.newest_voucher()
    if newest is not None:
        await _exchange(stream, newest)
    done = TOTALS.index(channel.signed_total)
    job = f"from {done}"
    try:
        for total in TOTALS[done + 1 : vouchers + 1]:
            await _exchange(stream, await channel.pay(total, job))
    finally:
        await channel.end_job(job)


async def _exchange(stream: trio.SocketStream, message: msgspec.Struct) -> bytes:
    await send(stream, msgspec.msgpack.encode(message))
    answer = await receive(stream)
    if not answer:
        raise EOFError
    return answer


async def payee_side(directory: Path, _: int) -> None:
    path = directory / "payee.sock"
    path.unlink(missing_ok=True)
    async with open_payee(
        chain=RemoteChain(directory / "chain.sock"),
        payee_seed=PAYEE_SEED,
        payee_address=Wallet(PAYEE_WALLET, network_id=NETWORK_ID).address,
        journal_path=directory / "payee.journal",
        clock=lambda: 0.0,
        watch_interval_s=60,
        timeout_s=30,
    ) as payee:
        with trio.socket.socket(socket.AF_UNIX) as listener:
            await listener.bind(str(path))
            listener.listen()
            while True:
                connection, _ = await listener.accept()
                async with trio.SocketStream(connection) as stream:
                    try:
                        if await _serve(payee, stream):
                            return
                    except trio.BrokenResourceError:
                        continue


async def _serve(payee: PayeeService, stream: trio.SocketStream) -> bool:
    """Serve one connection; return True when the channel is released and settled."""
    kinds = Hello | VoucherMessage | CloseRequest
    till = None
    try:
        while data := await receive(stream):
            message = msgspec.msgpack.decode(data, type=kinds)
            match message:
                case Hello(payment, signature):
                    till = await payee.admit(
                        payment, TRANSCRIPT, signature, spendable_min=NanoTon(1)
                    )
                    await send(stream, b"admitted")
                case VoucherMessage() if till is not None:
                    await till.receive(message)
                    await send(stream, b"%d" % till.best_total)
                case CloseRequest():
                    if till is not None:
                        till.done()
                    await send(stream, msgspec.msgpack.encode(await payee.release(message)))
    finally:
        if till is not None:
            till.done()
    return False


ROLES = {"payer": payer_side, "payee": payee_side}


# --- the zygote ---


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    role = sys.argv[1]
    DurableLog.__init__.__kwdefaults__["compact_above_bytes"] = COMPACT_ABOVE_BYTES
    for module in (channel_client, delivery, onchain):
        module.POLL_S = 0.01
    for line in sys.stdin:
        directory, vouchers, write, mode = line.split()
        child = os.fork()
        if child == 0:
            die_at(int(write), mode, Path(directory, f"{role}.writes"))
            trio.run(ROLES[role], Path(directory), int(vouchers))
            os._exit(0)
        say(child)
        _, status = os.waitpid(child, 0)
        say(status)


if __name__ == "__main__":
    main()
