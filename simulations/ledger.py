"""A cheap ledger of payment channels that keeps the rules of `contracts/tolk`.

It stands in for the TVM in simulations: no gas is computed (each step costs what
`contracts/gas.json` measured), no rent is charged, and wallets are balances. Everything
that moves money between the parties is as in the contract, and signatures are checked for
real; `tests/simulations/test_ledger.py` plays both with the same moves.
"""

from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from contracts.channel import RESERVE_NANOTON, ChannelParams, ChannelState
from contracts.units import NanoTon
from contracts.voucher import ChannelRef, verify_release, verify_start_close, verify_voucher

PAYOUT_FEE_NANOTON: Final = 400_000
"""Delivery of one message, as the contract reckons it (rounded)."""
NEVER: Final = 2**32 - 1


class _Step(msgspec.Struct, frozen=True):
    gas: int
    fees_nanoton: int


class _Gas(msgspec.Struct, frozen=True):
    steps: dict[str, _Step]


@cache
def fee_nanoton(step: str) -> int:
    """Return what a step cost when it was measured (see `contracts/gas.json`)."""
    data = files("contracts").joinpath("gas.json").read_bytes()
    return msgspec.json.decode(data, type=_Gas).steps[step].fees_nanoton


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction of a channel: what it sent, and what the chain kept.

    Attributes:
        step: a name of `gas.json`.
        came: what was attached to it.
        last: whether it destroyed the account.
    """

    lt: int
    step: str
    now_unix_s: int
    came: int = 0
    to_payee: int = 0
    to_payer: int = 0
    fee: int = 0
    last: bool = False


class ChannelAccount(msgspec.Struct, kw_only=True):
    """A channel contract's account."""

    params: ChannelParams
    address: str
    opened_lt: int
    balance: int
    paid: int = 0
    deadline_unix_s: int = NEVER

    def state(self) -> ChannelState:
        """Return what `contracts.channel.parse_channel` would read."""
        return ChannelState(
            params=self.params,
            address=self.address,
            opened_lt=self.opened_lt,
            paid_nanoton=NanoTon(self.paid),
            close_at_unix_s=0 if self.deadline_unix_s == NEVER else self.deadline_unix_s,
            balance_nanoton=NanoTon(self.balance),
        )


class Ledger:
    """Wallets, channels, and what the chain has kept. Every step returns "" or why not.

    Attributes:
        history: the transactions of every channel that ever was.
        parties: its payee's and its payer's address.
    """

    def __init__(self, network_id: int) -> None:
        self.network_id = network_id
        self.wallets: dict[str, int] = {}
        self.channels: dict[str, ChannelAccount] = {}
        self.history: dict[str, list[Moved]] = {}
        self.parties: dict[str, tuple[str, str]] = {}
        self.fees = 0
        self.minted = 0
        self._lt = 1_000_000

    def mint(self, wallet: str, amount: int) -> None:
        """Give a wallet money from nowhere; the only way that money comes to be."""
        self.minted += amount
        self.wallets[wallet] = self.wallets.get(wallet, 0) + amount

    def total(self) -> int:
        """Return all the money there is: equal to `minted`, always."""
        return (
            sum(self.wallets.values()) + self.fees + sum(c.balance for c in self.channels.values())
        )

    def next_lt(self) -> int:
        """Return a new logical time."""
        self._lt += 1000
        return self._lt

    def _ref(self, account: ChannelAccount) -> ChannelRef:
        return ChannelRef(self.network_id, account.address, account.opened_lt)

    def _note(self, account: ChannelAccount, moved: Moved) -> None:
        self.history.setdefault(account.address, []).append(moved)

    def open(self, address: str, params: ChannelParams, deposit: int, now_unix_s: int) -> str:
        """Deploy and fund a channel from its payer's wallet."""
        fee = fee_nanoton("open")
        if address in self.history:
            return "already open"
        if now_unix_s > params.open_by_unix_s:
            return "too late"
        if self.wallets.get(params.payer_address, 0) < deposit or deposit <= fee:
            return "no money"
        self.wallets[params.payer_address] -= deposit
        self.fees += fee
        account = ChannelAccount(
            params=params, address=address, opened_lt=self.next_lt(), balance=deposit - fee
        )
        self.channels[address] = account
        self.parties[address] = params.payee_address, params.payer_address
        moved = Moved(
            lt=account.opened_lt, step="open", now_unix_s=now_unix_s, came=deposit, fee=fee
        )
        self._note(account, moved)
        return ""

    def top_up(self, address: str, amount: int, now_unix_s: int) -> str:
        """Add to a channel's balance from its payer's wallet."""
        account, fee = self.channels.get(address), fee_nanoton("top_up")
        if account is None:
            return "no such channel"
        if self.wallets.get(account.params.payer_address, 0) < amount or amount <= fee:
            return "no money"
        self.wallets[account.params.payer_address] -= amount
        self.fees += fee
        account.balance += amount - fee
        moved = Moved(lt=self.next_lt(), step="top_up", now_unix_s=now_unix_s, came=amount, fee=fee)
        self._note(account, moved)
        return ""

    def claim(self, address: str, total: NanoTon, signature: bytes, now_unix_s: int) -> str:
        """Cash a voucher: pays what it adds to what was paid, fees out of it."""
        account, fee = self.channels.get(address), fee_nanoton("claim")
        if account is None:
            return "no such channel"
        if not verify_voucher(account.params.payer_key, self._ref(account), total, signature):
            return "not the payer's signature"
        amount = min(total - account.paid, account.balance - RESERVE_NANOTON)
        if amount < fee + PAYOUT_FEE_NANOTON:
            return "claim too small"
        account.paid += amount
        account.balance -= amount
        self._pay(account.params.payee_address, amount - fee)
        self.fees += fee
        moved = Moved(
            lt=self.next_lt(), step="claim", now_unix_s=now_unix_s, to_payee=amount - fee, fee=fee
        )
        self._note(account, moved)
        return ""

    def close(
        self, address: str, total: NanoTon, voucher: bytes | None, release: bytes, now_unix_s: int
    ) -> str:
        """End a channel by agreement."""
        account = self.channels.get(address)
        if account is None:
            return "no such channel"
        ref, due = self._ref(account), total - account.paid
        if due < 0:
            return "total below what was paid"
        if not verify_release(account.params.payee_key, ref, total, release):
            return "not the payee's signature"
        if due and not verify_voucher(account.params.payer_key, ref, total, voucher or b""):
            return "not the payer's signature"
        if due + fee_nanoton("close") > account.balance:
            return "underfunded"
        to_payee = due if due > PAYOUT_FEE_NANOTON else 0
        self._sweep(account, "close" if due else "close_settled", to_payee, now_unix_s)
        return ""

    def start_close(self, address: str, signature: bytes, now_unix_s: int) -> str:
        """Let the payer start to leave alone."""
        account, fee = self.channels.get(address), fee_nanoton("start_close")
        if account is None:
            return "no such channel"
        if account.deadline_unix_s != NEVER:
            return "already closing"
        if not verify_start_close(account.params.payer_key, self._ref(account), signature):
            return "not the payer's signature"
        if account.balance < fee + fee_nanoton("finish"):
            return "underfunded"
        account.deadline_unix_s = now_unix_s + account.params.challenge_s
        account.balance -= fee
        self.fees += fee
        moved = Moved(lt=self.next_lt(), step="start_close", now_unix_s=now_unix_s, fee=fee)
        self._note(account, moved)
        return ""

    def finish(self, address: str, now_unix_s: int) -> str:
        """Return an expired channel's money to its payer."""
        account = self.channels.get(address)
        if account is None:
            return "no such channel"
        if now_unix_s <= account.deadline_unix_s or account.deadline_unix_s == NEVER:
            return "too early"
        self._sweep(account, "finish", 0, now_unix_s)
        return ""

    def _sweep(self, account: ChannelAccount, step: str, to_payee: int, now_unix_s: int) -> None:
        fee = min(fee_nanoton(step), account.balance - to_payee)
        to_payer = account.balance - to_payee - fee
        self._pay(account.params.payee_address, to_payee)
        self._pay(account.params.payer_address, to_payer)
        self.fees += fee
        del self.channels[account.address]
        moved = Moved(
            lt=self.next_lt(),
            step=step,
            now_unix_s=now_unix_s,
            to_payee=to_payee,
            to_payer=to_payer,
            fee=fee,
            last=True,
        )
        self._note(account, moved)

    def _pay(self, wallet: str, amount: int) -> None:
        self.wallets[wallet] = self.wallets.get(wallet, 0) + amount
