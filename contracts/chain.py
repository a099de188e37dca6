"""The port to a TON chain: what the rest of Cocoon may ask of one.

Implemented by `contracts.liteserver` (the network's own protocol; proves what it says),
`contracts.toncenter` (HTTP, also spoken by our devnet; trusts its server) and, in process,
`contracts.local_chain`. `contracts.delivery` waits for what becomes of a message, on any
of them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from contracts.units import NanoTon

if TYPE_CHECKING:  # what it needs is heavy, and nobody needs it to read this
    from contracts.vm_stack import StackValue


class Account(msgspec.Struct, frozen=True):
    """The state of one account.

    Attributes:
        address: raw form, ``workchain:64 hex digits``.
        status: "active", "uninit", "frozen" or "nonexist".
        balance_nanoton: 0 for an account that does not exist.
        code_hash: 32 bytes, or None without code.
        data: the data cell as a BoC, or None without data.
        last_transaction_lt: 0 without transactions.
        block_unix_s: the time of the block that this state is of.
    """

    address: str
    status: str
    balance_nanoton: NanoTon
    code_hash: bytes | None
    data: bytes | None
    last_transaction_lt: int
    block_unix_s: int


class OutMessage(msgspec.Struct, frozen=True):
    """A message that a transaction sent to another account.

    Attributes:
        message_hash: the `TransactionRecord.message_hash` of what it does there.
    """

    destination: str
    value_nanoton: NanoTon
    message_hash: bytes = bytes(32)


class TransactionRecord(msgspec.Struct, frozen=True):
    """One transaction of an account.

    Attributes:
        fees_nanoton: everything that the chain kept for it (gas, storage, forwarding).
        exit_code: of the compute phase; None when it was skipped.
        source: sender of the internal message, or "" for an external one.
        value_nanoton: what came in with the message.
        message_hash: hash of the inbound message, 32 bytes.
        body: body of the inbound message, as a BoC; empty when there was no message.
    """

    account: str
    lt: int
    hash: bytes
    now_unix_s: int
    fees_nanoton: NanoTon
    gas_used: int
    exit_code: int | None
    aborted: bool
    source: str
    value_nanoton: NanoTon
    message_hash: bytes
    out_messages: tuple[OutMessage, ...]
    body: bytes = b""


class MethodResult(msgspec.Struct, frozen=True):
    """What a get-method returned.

    Attributes:
        stack: the values, the last of them on top.
        exit_code: of the TVM; 0 or 1 when it went well.
    """

    stack: "tuple[StackValue, ...]"
    exit_code: int
    gas_used: int


class Chain(Protocol):
    """A TON network. Every method raises ChainUnavailable when it cannot be asked in time."""

    @property
    def network_id(self) -> int:
        """The global id that signatures are bound to: -239 mainnet, -3 testnet, or a devnet's."""
        ...

    async def now_unix_s(self) -> int:
        """Return the time of the newest block (the clock that deadlines on chain go by)."""
        ...

    async def account(self, address: str) -> Account:
        """Return the newest state of *address* (raw or user-friendly form)."""
        ...

    async def send(self, message_boc: bytes) -> bytes:
        """Hand in an external message (a serialised ``Message``); return its hash.

        Raises:
            MessageRejected: the contract refused it; nothing was charged.
        """
        ...

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        """Return the transactions of *address* with ``lt > since_lt``, oldest first.

        Args:
            address: in either form.
            since_lt: logical time.
            limit: of transactions.
            heir: the account that gets what is left when *address* destroys itself. Some
                servers forget accounts that are gone, and find their end by this one.
        """
        ...

    async def run_get_method(
        self, address: str, method: str | int, arguments: "Sequence[StackValue]" = ()
    ) -> MethodResult:
        """Run a get-method on the newest state of *address*.

        Args:
            address: in either form.
            method: its name, or its number.
            arguments: the last of them on top of the stack.

        Raises:
            InvalidData: there is no contract, or it takes no such arguments.
        """
        ...
