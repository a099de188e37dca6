"""Wallet contracts as users have them: v4r2 and v5r1, and safe transfers from them.

A wallet executes an external message once: the message names a sequence number
(``seqno``), and the contract counts. So a transfer that was signed once can be handed
in any number of times, also after a crash (`SignedTransfer`, `submit_transfer`);
only a *new* signature can spend again, and `send_transfers` makes one only after the
chain proves that the older can never be executed.

Sources: github.com/ton-blockchain/wallet-contract (v4r2), wallet-contract-v5 (v5r1);
the compiled code is data in `build/wallets.json`.
"""

import base64
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal, cast, get_args

import msgspec
import trio
from nacl.signing import SigningKey

from contracts.address import friendly_address, parse_address
from contracts.cells import EMPTY, Builder, Cell, decode_boc, encode_boc, join_address
from contracts.chain import Account, Chain, TransactionRecord
from contracts.delivery import POLL_S, SEND_AGAIN_S, find_transaction, hand_in
from contracts.errors import ChainUnavailable, InvalidData, LocalContractError, MessageRejected
from contracts.units import NO_MONEY, TICKER, NanoTon, format_coins
from contracts.voucher import KEY_BYTES

MAINNET_ID: Final = -239
TESTNET_ID: Final = -3

WalletVersion = Literal["v4r2", "v5r1"]

MESSAGES_MAX: Final = 4
"""Per transfer; a limit of v4r2, kept for v5r1 so that both behave alike."""

TRANSFER_VALID_S: Final = 90

_PAY_FEES_SEPARATELY: Final = 1
_IGNORE_ERRORS: Final = 2
_SEND_MODE: Final = _PAY_FEES_SEPARATELY | _IGNORE_ERRORS
_V4_SUBWALLET: Final = 698_983_191
_V5_SIGNED_EXTERNAL: Final = 0x7369676E
_V5_CLIENT_CONTEXT: Final = 1 << 31
_ACTION_SEND_MESSAGE: Final = 0x0EC3C86D
_SEQNO_MISMATCH: Final = (33, 133)


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """One message that a wallet shall send.

    Attributes:
        destination: address in either form.
        body: BoC of the body; None for an empty one.
        state_init: BoC of a ``StateInit`` that deploys the destination, or None.
        bounce: whether the money comes back when the destination does not take it.
    """

    destination: str
    value_nanoton: NanoTon
    body: bytes | None = None
    state_init: bytes | None = None
    bounce: bool = True


class SignedTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that can be executed at most once. Worth keeping before it is sent.

    Attributes:
        wallet: raw address.
        version: of the wallet.
        message: the external message, as a BoC.
        since_lt: the wallet's last transaction before this one.
    """

    wallet: str
    version: WalletVersion
    message: bytes
    seqno: int
    valid_until_unix_s: int
    since_lt: int


class TransferSuperseded(MessageRejected):
    """The wallet did something else with this seqno, or the transfer is too old to ever run."""


class _WalletCode(msgspec.Struct, frozen=True):
    code_hash: str
    code_boc: str


@cache
def _code(version: WalletVersion) -> Cell:
    path = Path(__file__).with_name("build") / "wallets.json"
    entry = msgspec.json.decode(path.read_bytes(), type=dict[str, _WalletCode])[version]
    code = decode_boc(base64.b64decode(entry.code_boc))
    if code.hash.hex() != entry.code_hash:
        raise LocalContractError(f"{path.name}: the code of {version} is not what its hash says")
    return code


class Wallet:
    """A wallet contract and the key that owns it. Pure: it signs, it does not send.

    Attributes:
        address: raw form.
        public_key: 32 bytes.
        version: which contract.
        network_id: part of a v5r1 wallet's address; not used by v4r2.
    """

    def __init__(
        self, seed: bytes, version: WalletVersion = "v4r2", network_id: int = MAINNET_ID
    ) -> None:
        if len(seed) != KEY_BYTES:
            raise LocalContractError(f"a seed has {KEY_BYTES} bytes, not {len(seed)}")
        self._key = SigningKey(seed)
        self.public_key = bytes(self._key.verify_key)
        self.version = version
        self.network_id = network_id
        self.address = join_address(0, self._state_init().hash)

    def __repr__(self) -> str:
        return f"<Wallet {self.version} {self.address}>"

    @property
    def friendly(self) -> str:
        """The address as people write it; non-bounceable, so it can be funded before it exists."""
        test_only = self.network_id != MAINNET_ID
        return friendly_address(self.address, bounceable=False, test_only=test_only)

    @property
    def wallet_id(self) -> int:
        """What signatures are bound to beside the key, 32 bits."""
        if self.version == "v4r2":
            return _V4_SUBWALLET
        return (self.network_id % 2**32) ^ _V5_CLIENT_CONTEXT

    def transfer_message(
        self, seqno: int, messages: Sequence[Transfer], valid_until_unix_s: int, *, nonce: int = 0
    ) -> bytes:
        """Sign a transfer.

        Args:
            seqno: the wallet's counter; 0 deploys the wallet too.
            messages: at most `MESSAGES_MAX`; all are sent, in this order.
            valid_until_unix_s: not executed later than this (time of the chain).
            nonce: 64 bits that tell two equal transfers apart, so that each of two tasks
                that pay the same at once knows whether its own was executed.

        Returns:
            The external message, as a BoC.

        Raises:
            LocalContractError: too many messages, or an impossible value.
        """
        if not 0 < len(messages) <= MESSAGES_MAX:
            raise LocalContractError(f"a transfer has 1 to {MESSAGES_MAX} messages")
        sign = self._v4_body if self.version == "v4r2" else self._v5_body
        body = sign(
            seqno, [_internal_message(each, nonce) for each in messages], valid_until_unix_s
        )
        header = Builder().uint(0b10, 2).address("").address(self.address).coins(0)
        if seqno == 0:
            header.uint(0b11, 2).ref(self._state_init())
        else:
            header.uint(0, 1)
        return encode_boc(header.uint(1, 1).ref(body).end())

    def _v4_body(self, seqno: int, messages: list[Cell], valid_until_unix_s: int) -> Cell:
        unsigned = Builder().uint(self.wallet_id, 32).uint(valid_until_unix_s, 32).uint(seqno, 32)
        unsigned.uint(0, 8)
        for message in messages:
            unsigned.uint(_SEND_MODE, 8).ref(message)
        order = unsigned.end()
        return Builder().raw(self._key.sign(order.hash).signature).inline(order).end()

    def _v5_body(self, seqno: int, messages: list[Cell], valid_until_unix_s: int) -> Cell:
        actions = EMPTY
        for message in messages:
            action = Builder().ref(actions).uint(_ACTION_SEND_MESSAGE, 32).uint(_SEND_MODE, 8)
            actions = action.ref(message).end()
        order = (
            Builder()
            .uint(_V5_SIGNED_EXTERNAL, 32)
            .uint(self.wallet_id, 32)
            .uint(valid_until_unix_s, 32)
            .uint(seqno, 32)
            .maybe_ref(actions)
            .uint(0, 1)
            .end()
        )
        return Builder().inline(order).raw(self._key.sign(order.hash).signature).end()

    def _state_init(self) -> Cell:
        data = Builder().uint(1, 1) if self.version == "v5r1" else Builder()
        data.uint(0, 32).uint(self.wallet_id, 32).raw(self.public_key).uint(0, 1)
        return Builder().uint(0b00110, 5).ref(_code(self.version)).ref(data.end()).end()


def _internal_message(transfer: Transfer, nonce: int) -> Cell:
    header = Builder().uint(0b01, 2).uint(transfer.bounce, 1).uint(0, 1).address("")
    header.address(parse_address(transfer.destination)).coins(transfer.value_nanoton)
    # No extra currencies; then the two fees, logical time and time, which the validators write
    # over: what we put there reaches nobody, but it is signed, and so a place for the nonce.
    header.uint(0, 1 + 4 + 4).uint(nonce, 64).uint(0, 32)
    if transfer.state_init is None:
        header.uint(0, 1)
    else:
        header.uint(0b11, 2).ref(decode_boc(transfer.state_init))
    body = EMPTY if transfer.body is None else decode_boc(transfer.body)
    return header.uint(1, 1).ref(body).end()


def wallet_version(code_hash: bytes | None) -> WalletVersion | None:
    """Return which wallet has this code, or None when it is no wallet that we know."""
    for version in get_args(WalletVersion):
        if _code(version).hash == code_hash:
            return cast("WalletVersion", version)
    return None


def wallet_seqno(version: WalletVersion, account: Account) -> int:
    """Read the seqno that the next transfer of a wallet must have.

    Raises:
        InvalidData: *account* does not hold the code of this version.
    """
    if account.status in ("nonexist", "uninit"):
        return 0
    if account.data is None or account.code_hash != _code(version).hash:
        raise InvalidData(f"{account.address} is not a wallet {version}")
    data = decode_boc(account.data).parse()
    if version == "v5r1":
        data.flag()
    return data.uint(32)


async def sign_transfers(
    chain: Chain, wallet: Wallet, messages: Sequence[Transfer], *, valid_s: int = TRANSFER_VALID_S
) -> SignedTransfer:
    """Sign a transfer with the wallet's present seqno; nothing is sent.

    Raises:
        ChainUnavailable: the chain could not be asked.
        InvalidData: the address holds something else than this wallet.
        LocalContractError: the wallet does not have that much money.
    """
    account = await chain.account(wallet.address)
    total = sum((each.value_nanoton for each in messages), start=NO_MONEY)
    if account.balance_nanoton <= total:
        raise LocalContractError(
            f"{wallet.address} has {format_coins(account.balance_nanoton)} {TICKER}, needs more "
            f"than {format_coins(total)}"
        )
    seqno = wallet_seqno(wallet.version, account)
    valid_until_unix_s = await chain.now_unix_s() + valid_s
    return SignedTransfer(
        wallet=wallet.address,
        version=wallet.version,
        message=wallet.transfer_message(
            seqno, messages, valid_until_unix_s, nonce=secrets.randbits(64)
        ),
        seqno=seqno,
        valid_until_unix_s=valid_until_unix_s,
        since_lt=account.last_transaction_lt,
    )


async def submit_transfer(
    chain: Chain, signed: SignedTransfer, *, timeout_s: float
) -> TransactionRecord:
    """Hand in a signed transfer until it is executed; calling again never spends twice.

    Returns:
        The wallet's transaction. Its fees are the wallet's; the messages sent are in it.

    Raises:
        TransferSuperseded: it was not executed and never will be.
        MessageRejected: the wallet refuses it for another reason, for now.
        ChainUnavailable: not seen in time. It may still be executed: submit it again.
    """
    try:
        with trio.fail_after(timeout_s):
            return await _submit(chain, signed)
    except trio.TooSlowError as error:
        raise ChainUnavailable(f"no transfer {signed.seqno} within {timeout_s} s") from error


async def send_transfers(
    chain: Chain,
    wallet: Wallet,
    messages: Sequence[Transfer],
    *,
    timeout_s: float,
    journal: Callable[[SignedTransfer], Awaitable[None]] | None = None,
) -> TransactionRecord:
    """Sign and execute a transfer, signing again only if the first can never be executed.

    Two tasks or processes may use one wallet at once: the seqno decides who goes first.
    *journal* is called with each signed transfer before it leaves: who keeps that can
    `submit_transfer` it after a crash, instead of paying again.

    Raises:
        ChainUnavailable: not seen in time; see `submit_transfer`.
        MessageRejected: the wallet refused it.
        InvalidData, LocalContractError: see `sign_transfers`.
    """
    try:
        with trio.fail_after(timeout_s):
            while True:
                signed = await sign_transfers(chain, wallet, messages)
                if journal is not None:
                    await journal(signed)
                try:
                    return await _submit(chain, signed)
                except TransferSuperseded:
                    await trio.sleep(POLL_S)
    except trio.TooSlowError as error:
        raise ChainUnavailable(f"no transfer within {timeout_s} s") from error


async def _submit(chain: Chain, signed: SignedTransfer) -> TransactionRecord:
    while True:
        refused = await hand_in(chain, signed.message)
        send_again_at_s = trio.current_time() + SEND_AGAIN_S
        while trio.current_time() < send_again_at_s:
            record = await _outcome(chain, signed)
            if record is not None:
                return record
            if refused is not None and refused.exit_code not in _SEQNO_MISMATCH:
                raise refused
            await trio.sleep(POLL_S)


async def _outcome(chain: Chain, signed: SignedTransfer) -> TransactionRecord | None:
    """Return the transfer's transaction, or None while that is open.

    Raises:
        TransferSuperseded: the state of the wallet proves that it can never be executed.
    """
    try:
        account = await chain.account(signed.wallet)
        record, known_lt = await find_transaction(
            chain, signed.wallet, decode_boc(signed.message).hash, since_lt=signed.since_lt
        )
    except ChainUnavailable:
        return None
    if record is not None or known_lt < account.last_transaction_lt:
        return record  # a server that lags behind its own account state proves nothing
    if wallet_seqno(signed.version, account) != signed.seqno:
        raise TransferSuperseded(f"another transfer of {signed.wallet} used {signed.seqno}")
    if account.block_unix_s > signed.valid_until_unix_s:
        raise TransferSuperseded(f"transfer {signed.seqno} of {signed.wallet} is too old")
    return None
