"""The payment channel with a jetton (TEP-74, such as USDT) in place of the coin.

Vouchers, releases, locks and the bodies of Claim, ClaimLocked, Close, StartClose and Finish are
those of `contracts.voucher` and `contracts.channel`; totals are in units of the jetton. What
differs:

- every message is internal, and brings `TRANSFER_VALUE_NANOTON` for each transfer that it
  causes (Close and ClaimLocked: twice that); what the transfers leave over returns to its
  sender, but for the rent of the locks that a ClaimLocked lets the channel remember;
- an address is opened once: Open is refused unless `open_by_unix_s` is less than a challenge
  period away;
- Open comes from the payer's own account and names the channel's jetton wallet. Before a payee
  serves, it asks the jetton's minter (`wallet_question`) and compares with `wallet_address`;
- the deposit, and every top-up, is an ordinary jetton transfer to the channel, with
  `NOTIFICATION_NANOTON` as its forward amount: what arrives without a notification is not
  counted, and comes back by `recover_body`;
- the end has two steps: Finish sends the jettons, and after another challenge period Finish
  again deletes the account. In between a transfer that was refused comes back into the books.

Sources of the contract: `tolk/jetton_channel.tolk`.
"""

from functools import cache
from typing import Final

import msgspec

from contracts.cells import (
    Builder,
    Cell,
    Slice,
    decode_boc,
    encode_boc,
    join_address,
    split_address,
)
from contracts.chain import Account
from contracts.channel import CHALLENGE_S_MAX, OP_OPEN, SETTLED_MAX, read_build
from contracts.errors import InvalidData, LocalContractError
from contracts.units import NanoTon
from contracts.vm_stack import StackSlice, decode_stack, encode_stack
from contracts.voucher import KEY_BYTES, ChannelRef

TRANSFER_VALUE_NANOTON: Final = NanoTon(80_000_000)
"""What a message must bring for each transfer that it causes; most of it comes back."""

OPEN_VALUE_NANOTON: Final = NanoTon(50_000_000)
"""What Open must bring; it pays for storage and notifications, and the rest comes back."""

NOTIFICATION_NANOTON: Final = NanoTon(10_000_000)
"""The forward amount of a deposit: more than the channel needs to take note of it."""

_OP_RECOVER: Final = 0x52435631
_OP_TRANSFER: Final = 0x0F8A7EA5
_NEVER: Final = 2**32 - 1


class JettonParams(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a jetton channel: those of `channel.ChannelParams`, and the jetton.

    Attributes:
        minter_address: of the jetton; raw form, basechain.
        open_by_unix_s: less than *challenge_s* after the opening, or that is refused.
    """

    payer_key: bytes
    payer_address: str
    payee_key: bytes
    payee_address: str
    minter_address: str
    challenge_s: int
    open_by_unix_s: int
    salt: int


class JettonChannelState(msgspec.Struct, frozen=True, kw_only=True):
    """What the chain says about a jetton channel.

    Attributes:
        wallet_address: the jetton wallet that the payer has named; compare it with the
            minter's answer before believing in `balance_units`. Empty before the opening.
        opened_lt: logical time of the opening; 0 when deployed but not open.
        paid_units: total of all claims since the opening.
        balance_units: jettons that claims can be paid from.
        close_at_unix_s: Finish is good after this; 0 when nobody is closing.
        balance_nanoton: coins of the contract.
    """

    params: JettonParams
    address: str
    wallet_address: str
    opened_lt: int
    paid_units: int
    balance_units: int
    close_at_unix_s: int
    balance_nanoton: NanoTon
    settled_units: dict[bytes, int]

    def ref(self, network_id: int) -> ChannelRef:
        """Return what signatures for this opening are bound to."""
        return ChannelRef(network_id, self.address, self.opened_lt)


@cache
def jetton_channel_code() -> Cell:
    """Return the compiled contract, from `build/jetton_channel.json`."""
    return read_build("jetton_channel.json")


def jetton_channel_address(params: JettonParams) -> str:
    """Return the address of the channel with these terms, raw form."""
    return join_address(0, _state_init(params).hash)


def jetton_state_init(params: JettonParams) -> bytes:
    """Return the ``StateInit`` to deploy the channel with, as a BoC."""
    return encode_boc(_state_init(params))


def _state_init(params: JettonParams) -> Cell:
    code = jetton_channel_code()
    return Builder().uint(0b00110, 5).ref(code).ref(_initial_data(params)).end()


def _initial_data(params: JettonParams) -> Cell:
    if not 0 < params.challenge_s <= CHALLENGE_S_MAX:
        raise LocalContractError(f"a challenge period of {params.challenge_s} s is not supported")
    if len(params.payer_key) != KEY_BYTES or len(params.payee_key) != KEY_BYTES:
        raise LocalContractError(f"an Ed25519 key has {KEY_BYTES} bytes")
    accounts = Builder().raw(_account(params.payer_address)).raw(_account(params.payee_address))
    terms = (
        Builder()
        .raw(params.payer_key)
        .raw(params.payee_key)
        .uint(params.challenge_s, 32)
        .uint(params.open_by_unix_s, 32)
        .uint(params.salt, 64)
        .ref(accounts.raw(_account(params.minter_address)).end())
    )
    fields = Builder().coins(0).coins(0).maybe_ref(None).raw(bytes(32)).raw(bytes(32))
    return fields.uint(params.open_by_unix_s, 32).uint(0, 64).ref(terms.end()).end()


def jetton_open_body(wallet_address: str) -> bytes:
    """Return the body of Open, to be sent from the payer's account with the state-init."""
    return encode_boc(Builder().uint(OP_OPEN, 32).raw(_account(wallet_address)).end())


def transfer_body(
    amount_units: int, to_address: str, response_address: str, forward: NanoTon
) -> bytes:
    """Return the body that asks one's own jetton wallet to send (TEP-74 ``transfer``).

    Args:
        amount_units: of the jetton.
        to_address: the receiver's account, for a deposit the channel.
        response_address: gets what is left of the attached coins.
        forward: coins that go along with the notification, `NOTIFICATION_NANOTON` to a channel.
    """
    fields = Builder().uint(_OP_TRANSFER, 32).uint(0, 64).coins(amount_units)
    fields = fields.address(to_address).address(response_address).maybe_ref(None)
    return encode_boc(fields.coins(forward).uint(0, 1).end())


def recover_body(wallet_address: str, amount_units: int) -> bytes:
    """Return the body by which the payer fetches jettons that the books do not know.

    Good after the end only, when everything in the books has been paid out.
    """
    fields = Builder().uint(_OP_RECOVER, 32).raw(_account(wallet_address)).coins(amount_units)
    return encode_boc(fields.end())


def wallet_question(owner_address: str) -> tuple[str, Cell]:
    """Return the get-method, and its arguments, that ask a minter for *owner*'s wallet."""
    owner = StackSlice(Builder().address(owner_address).end())
    return "get_wallet_address", encode_stack([owner])


def read_wallet_answer(stack: Cell) -> str:
    """Return the address in a minter's answer, raw form.

    Raises:
        InvalidData: it is not one.
    """
    values = decode_stack(stack)
    if len(values) != 1 or not isinstance(values[0], StackSlice):
        raise InvalidData("a minter that does not answer with an address")
    return values[0].cell.parse().address()


def parse_jetton_channel(account: Account) -> JettonChannelState:
    """Read a jetton channel from the state of its account, believing only what can be checked.

    Raises:
        InvalidData: it is not an account of our contract, or not the one that its
            terms define.
    """
    ours = account.status == "active" and account.code_hash == jetton_channel_code().hash
    if not ours or account.data is None:
        raise InvalidData(f"no jetton channel of ours at {account.address}")
    state = _parse_data(decode_boc(account.data).parse(), account)
    try:
        address = jetton_channel_address(state.params)
    except LocalContractError as error:
        raise InvalidData(f"impossible terms at {account.address}: {error}") from error
    if address != account.address:
        raise InvalidData(f"the terms are not those that {account.address} commits to")
    return state


def _parse_data(root: Slice, account: Account) -> JettonChannelState:
    paid, balance = root.coins(), root.coins()
    shown = root.dictionary(256, entries_max=SETTLED_MAX)
    settled = {key: value.coins() for key, value in shown.items()}
    _domain, wallet = root.raw(32), root.raw(32)
    deadline_unix_s, opened_lt = root.uint(32), root.uint(64)
    terms = root.ref().parse()
    root.end()
    return JettonChannelState(
        params=_parse_terms(terms),
        address=account.address,
        wallet_address=join_address(0, wallet) if opened_lt else "",
        opened_lt=opened_lt,
        paid_units=paid,
        balance_units=balance,
        close_at_unix_s=deadline_unix_s if opened_lt and deadline_unix_s != _NEVER else 0,
        balance_nanoton=account.balance_nanoton,
        settled_units=settled,
    )


def _parse_terms(terms: Slice) -> JettonParams:
    payer_key, payee_key = terms.raw(32), terms.raw(32)
    challenge_s, open_by_unix_s, salt = terms.uint(32), terms.uint(32), terms.uint(64)
    accounts = terms.ref().parse()
    terms.end()
    payer, payee, minter = (join_address(0, accounts.raw(32)) for _ in range(3))
    accounts.end()
    return JettonParams(
        payer_key=payer_key,
        payer_address=payer,
        payee_key=payee_key,
        payee_address=payee,
        minter_address=minter,
        challenge_s=challenge_s,
        open_by_unix_s=open_by_unix_s,
        salt=salt,
    )


def _account(address: str) -> bytes:
    workchain, account = split_address(address)
    if workchain != 0:
        raise LocalContractError(f"a channel deals with the basechain only, not with {address}")
    return account
