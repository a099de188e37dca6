"""The production `Chain` port in front of a cheap ledger: real messages in, accounts out.

It stands in for a TON network in simulations of whole nodes: wallets (v4r2) and payment
channels are understood, nothing else is. Messages are the real ones, and signatures are
checked; blocks are instantaneous, gas is what `contracts/gas.json` measured, rent is not
charged. `tests/simulations/whole/test_chain.py` plays it against the TVM.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import trio
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from cocoon.clock import Clock
from contracts.cells import Builder, Cell, Slice, decode_boc, encode_boc, split_address
from contracts.chain import Account, MethodResult, OutMessage, TransactionRecord
from contracts.channel import (
    OP_CLAIM,
    OP_CLOSE,
    OP_FINISH,
    OP_OPEN,
    OP_START_CLOSE,
    channel_code,
    parse_channel,
)
from contracts.errors import InvalidData, MessageRejected
from contracts.units import NO_MONEY, NanoTon
from contracts.vm_stack import StackValue
from simulations.ledger import ChannelAccount, Ledger, Moved

NETWORK_ID: Final = -3940
ASK_S: Final = 0.05
"""A question to the server, there and back."""
SEND_S: Final = 0.4
"""From a message's sending to its block."""
WALLET_FEE_NANOTON: Final = 3_000_000
REFUSED: Final = 35
"""Exit code of whatever a contract here refuses."""
SEQNO_MISMATCH: Final = 33
_SIGNATURE_BYTES: Final = 64


class _WalletAccount(msgspec.Struct):
    code: Cell
    wallet_id: int
    public_key: bytes
    seqno: int = 0
    last_lt: int = 0


class LedgerChain:
    """Implements `contracts.chain.Chain`; shared by all nodes of a simulation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ledger = Ledger(NETWORK_ID)
        self.network_id = NETWORK_ID
        self._wallets: dict[str, _WalletAccount] = {}
        self._records: dict[str, list[TransactionRecord]] = {}

    def mint(self, address: str, amount: int) -> None:
        """Give an address money."""
        self.ledger.mint(address, amount)

    def _now(self) -> int:
        return int(self._clock())

    # --- the port ---

    async def now_unix_s(self) -> int:
        """Return the time of the newest block."""
        await trio.sleep(ASK_S)
        return self._now()

    async def account(self, address: str) -> Account:
        """Return the state of an account."""
        await trio.sleep(ASK_S)
        records = self._records.get(address, [])
        last_lt = records[-1].lt if records else 0
        channel, wallet = self.ledger.channels.get(address), self._wallets.get(address)
        if channel is not None:
            code, data, balance = channel_code().hash, _channel_data(channel), channel.balance
        elif wallet is not None:
            code, data = wallet.code.hash, _wallet_data(wallet)
            balance = self.ledger.wallets.get(address, 0)
        else:
            balance = self.ledger.wallets.get(address, 0)
            status = "uninit" if balance else "nonexist"
            return Account(address, status, NanoTon(balance), None, None, last_lt, self._now())
        boc = encode_boc(data)
        return Account(address, "active", NanoTon(balance), code, boc, last_lt, self._now())

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        """Return the transactions of an account, oldest first."""
        await trio.sleep(ASK_S)
        found = [each for each in self._records.get(address, ()) if each.lt > since_lt]
        return found[:limit]

    async def send(self, message_boc: bytes) -> bytes:
        """Hand in an external message; it is in a block when this returns.

        Raises:
            MessageRejected: the contract refused it.
        """
        await trio.sleep(SEND_S)
        message = decode_boc(message_boc)
        reader = message.parse()
        try:
            self._receive(message, reader)
        except InvalidData as error:
            raise MessageRejected(f"not understood: {error}", exit_code=REFUSED) from error
        return message.hash

    async def run_get_method(
        self, address: str, method: str | int, arguments: Sequence[StackValue] = ()
    ) -> MethodResult:
        """Refuse: the ledger keeps accounts and runs no code; the node reads accounts only.

        Raises:
            InvalidData: always.
        """
        await trio.sleep(ASK_S)
        raise InvalidData(f"the ledger runs no get-method {method} of {address}: {arguments!r:.80}")

    def _receive(self, message: Cell, reader: Slice) -> None:
        reader.uint(2)
        reader.address()
        destination = reader.address()
        reader.coins()
        init = None
        if reader.flag():
            reader.flag()
            init = reader.ref()
        reader.flag()
        body = reader.ref()
        if destination in self.ledger.history:
            self._channel_message(destination, message.hash, body)
        else:
            self._wallet_message(destination, message.hash, init, body)

    # --- wallets ---

    def _wallet_message(
        self, address: str, message_hash: bytes, init: Cell | None, body: Cell
    ) -> None:
        wallet = self._wallets.get(address)
        if wallet is None:
            if init is None or not self.ledger.wallets.get(address):
                raise MessageRejected(f"nothing lives at {address}", exit_code=REFUSED)
            wallet = _new_wallet(init)
        order = _signed_order(wallet, body)
        order.uint(32)
        valid_until_unix_s, seqno = order.uint(32), order.uint(32)
        order.uint(8)
        if seqno != wallet.seqno or valid_until_unix_s < self._now():
            raise MessageRejected("another seqno, or too late", exit_code=SEQNO_MISMATCH)
        self._wallets[address] = wallet
        wallet.seqno += 1
        sent = []
        while order.refs_left:
            order.uint(8)
            sent.append(order.ref())
        self._execute(address, message_hash, body, sent)

    def _execute(self, address: str, message_hash: bytes, body: Cell, sent: list[Cell]) -> None:
        """Carry out a wallet's transfers: each pays a channel or another wallet."""
        ledger = self.ledger
        fee = min(WALLET_FEE_NANOTON, ledger.wallets[address])
        ledger.wallets[address] -= fee
        ledger.fees += fee
        transfers = [_read_transfer(cell) for cell in sent]
        going = [t for t in transfers if t.value <= ledger.wallets[address]]
        out = tuple(OutMessage(t.destination, NanoTon(t.value), t.message_hash) for t in going)
        self._record(address, body, message_hash=message_hash, fee=fee, out=out)
        for transfer in going:
            self._deliver(address, transfer)

    def _deliver(self, source: str, transfer: "_Transfer") -> None:
        ledger, to, value = self.ledger, transfer.destination, transfer.value
        if transfer.opens and transfer.init is not None:
            refused = self._open(to, transfer.init, value)
        elif to in ledger.channels:
            refused = ledger.top_up(to, value, self._now())
        else:
            ledger.wallets[source] -= value
            ledger.wallets[to] = ledger.wallets.get(to, 0) + value
            refused = ""
            self._record(
                to,
                transfer.body,
                source=source,
                value=NanoTon(value),
                message_hash=transfer.message_hash,
            )
            return
        moved = ledger.history[to][-1] if to in ledger.history and not refused else None
        fee = moved.fee if moved else 0
        self._record(
            to,
            transfer.body,
            source=source,
            value=NanoTon(value),
            message_hash=transfer.message_hash,
            fee=fee,
            exit_code=REFUSED if refused else 0,
        )

    def _open(self, address: str, init: Cell, value: int) -> str:
        reader = init.parse()
        reader.uint(5)
        code, data = reader.ref(), reader.ref()
        account = Account(
            address, "active", NanoTon(value), code.hash, encode_boc(data), 1, self._now()
        )
        params = parse_channel(account).params
        return self.ledger.open(address, params, value, self._now())

    # --- channels ---

    def _channel_message(self, address: str, message_hash: bytes, body: Cell) -> None:
        refused = self._channel_step(address, body.parse())
        if refused:
            raise MessageRejected(refused, exit_code=REFUSED)
        moved = self.ledger.history[address][-1]
        out = self._out(address, moved)
        self._record(address, body, message_hash=message_hash, fee=moved.fee, out=out)

    def _channel_step(self, address: str, reader: Slice) -> str:
        ledger, now_unix_s = self.ledger, self._now()
        match reader.uint(32):
            case op if op == OP_CLAIM:
                signature, total = reader.raw(_SIGNATURE_BYTES), NanoTon(reader.coins())
                return ledger.claim(address, total, signature, now_unix_s)
            case op if op == OP_CLOSE:
                voucher, total = reader.raw(_SIGNATURE_BYTES), NanoTon(reader.coins())
                release = reader.ref().parse().raw(_SIGNATURE_BYTES)
                return ledger.close(address, total, voucher, release, now_unix_s)
            case op if op == OP_START_CLOSE:
                return ledger.start_close(address, reader.raw(_SIGNATURE_BYTES), now_unix_s)
            case op if op == OP_FINISH:
                return ledger.finish(address, now_unix_s)
            case op:
                return f"no such message: {op:#x}"

    def _out(self, address: str, moved: Moved) -> tuple[OutMessage, ...]:
        payee, payer = self.ledger.parties[address]
        payouts = ((payee, moved.to_payee), (payer, moved.to_payer))
        # The last message goes to the payer also when nothing is left for it.
        return tuple(
            OutMessage(to, NanoTon(value))
            for to, value in payouts
            if value or (moved.last and to == payer)
        )

    # --- records ---

    def _record(
        self,
        account: str,
        body: Cell,
        *,
        source: str = "",
        value: NanoTon = NO_MONEY,
        message_hash: bytes = bytes(32),
        fee: int = 0,
        out: tuple[OutMessage, ...] = (),
        exit_code: int = 0,
    ) -> None:
        record = TransactionRecord(
            account=account,
            lt=self.ledger.next_lt(),
            hash=message_hash,
            now_unix_s=self._now(),
            fees_nanoton=NanoTon(fee),
            gas_used=0,
            exit_code=exit_code,
            aborted=exit_code != 0,
            source=source,
            value_nanoton=value,
            message_hash=message_hash,
            out_messages=out,
            body=encode_boc(body),
        )
        self._records.setdefault(account, []).append(record)


class _Transfer(msgspec.Struct, frozen=True):
    destination: str
    value: int
    init: Cell | None
    body: Cell
    opens: bool
    message_hash: bytes


def _read_transfer(cell: Cell) -> _Transfer:
    reader = cell.parse()
    reader.uint(4)
    reader.address()
    destination, value = reader.address(), reader.coins()
    reader.uint(1 + 4 + 4)
    reader.uint(64 + 32)
    init = None
    if reader.flag():
        reader.flag()
        init = reader.ref()
    reader.flag()
    body = reader.ref()
    words = body.parse()
    opens = words.bits_left == 32 and words.uint(32) == OP_OPEN
    return _Transfer(destination, value, init, body, opens, cell.hash)


def _new_wallet(init: Cell) -> _WalletAccount:
    reader = init.parse()
    reader.uint(5)
    code, data = reader.ref(), reader.ref().parse()
    data.uint(32)
    return _WalletAccount(code=code, wallet_id=data.uint(32), public_key=data.raw(32))


def _signed_order(wallet: _WalletAccount, body: Cell) -> Slice:
    reader = body.parse()
    signature = reader.raw(_SIGNATURE_BYTES)
    order = reader.rest()
    try:
        VerifyKey(wallet.public_key).verify(order.hash, signature)
    except BadSignatureError as error:
        raise MessageRejected("not the wallet's signature", exit_code=REFUSED) from error
    return order.parse()


def _wallet_data(wallet: _WalletAccount) -> Cell:
    data = Builder().uint(wallet.seqno, 32).uint(wallet.wallet_id, 32)
    return data.raw(wallet.public_key).uint(0, 1).end()


def _channel_data(channel: ChannelAccount) -> Cell:
    """Return the storage of `contracts/tolk/storage.tolk`."""
    params = channel.params
    terms = (
        Builder()
        .raw(split_address(params.payer_address)[1])
        .raw(params.payee_key)
        .uint(params.challenge_s, 32)
        .uint(params.open_by_unix_s, 32)
        .uint(params.salt, 64)
    )
    return (
        Builder()
        .coins(channel.paid)
        .maybe_ref(None)  # no locks here
        .raw(params.payer_key)
        .raw(bytes(32))  # what signatures are bound to; only the contract reads it
        .raw(split_address(params.payee_address)[1])
        .uint(channel.deadline_unix_s, 32)
        .uint(channel.opened_lt, 64)
        .ref(terms.end())
        .end()
    )
