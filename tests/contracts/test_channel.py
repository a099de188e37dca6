import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import channel
from contracts.cells import Builder, Cell, decode_boc, encode_boc
from contracts.chain import Account
from contracts.errors import InvalidData, LocalContractError
from contracts.rehearsal import rehearsal_params
from contracts.units import NanoTon

PARAMS = rehearsal_params(1_780_000_000)
U32_MAX = 2**32 - 1


def account(cell: Cell, **changes: object) -> Account:
    base = Account(
        address=channel.channel_address(PARAMS),
        status="active",
        balance_nanoton=NanoTon(10**9),
        code_hash=channel.channel_code().hash,
        data=encode_boc(cell),
        last_transaction_lt=7,
        block_unix_s=1_780_000_000,
    )
    return msgspec.structs.replace(base, **changes)


def data_cell(opened_lt: int = 7, paid: int = 0, deadline: int = U32_MAX) -> Cell:
    """Lay out what the contract stores, independently of the module under test."""
    init = decode_boc(channel.state_init(PARAMS))
    terms = init.refs[1].refs[0]
    payee = bytes.fromhex(PARAMS.payee_address[2:])
    root = Builder().coins(paid).maybe_ref(None).raw(PARAMS.payer_key).raw(b"\xdd" * 32).raw(payee)
    return root.uint(deadline, 32).uint(opened_lt, 64).ref(terms).end()


def test_an_open_channel_is_read_from_its_account() -> None:
    state = channel.parse_channel(account(data_cell(paid=5)))
    assert state.params == PARAMS
    assert (state.opened_lt, state.paid_nanoton, state.close_at_unix_s) == (7, 5, 0)
    assert state.balance_nanoton == 10**9


def test_a_closing_channel_tells_when() -> None:
    state = channel.parse_channel(account(data_cell(deadline=1_780_000_600)))
    assert state.close_at_unix_s == 1_780_000_600


def test_a_channel_that_is_not_open_is_not_closing() -> None:
    state = channel.parse_channel(account(data_cell(0, deadline=PARAMS.open_by_unix_s)))
    assert (state.opened_lt, state.close_at_unix_s) == (0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"code_hash": bytes(32)},
        {"code_hash": None},
        {"data": None},
        {"data": b"not a bag of cells"},
        {"status": "frozen"},
        {"address": "0:" + "00" * 32},
    ],
)
def test_what_is_not_our_contract_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidData):
        channel.parse_channel(account(data_cell(), **changes))


def test_other_terms_than_the_address_commits_to_are_refused() -> None:
    """A chain server cannot show the payee's address on a channel that pays someone else."""
    other = msgspec.structs.replace(PARAMS, payee_address="0:" + "dd" * 32)
    data = decode_boc(channel.state_init(other)).refs[1]
    with pytest.raises(InvalidData, match="commits"):
        channel.parse_channel(account(data))


@given(st.binary(max_size=120))
def test_arbitrary_data_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData):
        channel.parse_channel(account(Builder().raw(data).end()))


@pytest.mark.parametrize("challenge_s", [0, channel.CHALLENGE_S_MAX + 1, U32_MAX])
def test_impossible_challenge_periods_are_refused(challenge_s: int) -> None:
    wrong = msgspec.structs.replace(PARAMS, challenge_s=challenge_s)
    with pytest.raises(LocalContractError, match="challenge"):
        channel.channel_address(wrong)


def test_a_channel_with_an_impossible_challenge_period_is_refused_when_read() -> None:
    cell = data_cell()
    terms = Builder().raw(bytes.fromhex(PARAMS.payer_address[2:])).raw(PARAMS.payee_key)
    terms = terms.uint(U32_MAX, 32).uint(PARAMS.open_by_unix_s, 32).uint(PARAMS.salt, 64)
    with pytest.raises(InvalidData, match="impossible terms"):
        channel.parse_channel(account(Cell(cell.bits, cell.size_bits, (terms.end(),))))


def test_every_term_changes_the_address() -> None:
    changes: dict[str, object] = {
        "payer_key": bytes(32),
        "payer_address": "0:" + "01" * 32,
        "payee_key": bytes(32),
        "payee_address": "0:" + "02" * 32,
        "challenge_s": 61,
        "open_by_unix_s": 5,
        "salt": 99,
    }
    assert set(changes) == set(channel.ChannelParams.__struct_fields__)
    variants = [msgspec.structs.replace(PARAMS, **{name: value}) for name, value in changes.items()]
    assert len({channel.channel_address(params) for params in [PARAMS, *variants]}) == 8


def test_a_masterchain_account_is_refused() -> None:
    with pytest.raises(LocalContractError, match="basechain"):
        channel.channel_address(msgspec.structs.replace(PARAMS, payee_address="-1:" + "00" * 32))


@given(st.integers(0, 10**15))
def test_the_deposit_needed_covers_what_is_spendable(wanted: int) -> None:
    deposit = channel.deposit_needed(NanoTon(wanted))
    after_opening = NanoTon(deposit - channel.OPEN_FEE_NANOTON)
    assert channel.spendable(after_opening) == wanted


def test_a_poor_channel_has_nothing_to_spend() -> None:
    assert channel.spendable(NanoTon(5)) == 0


def test_wrong_sizes_are_our_mistake() -> None:
    with pytest.raises(LocalContractError, match="64 bytes"):
        channel.claim_body(NanoTon(1), bytes(63))
    with pytest.raises(LocalContractError, match="32 bytes"):
        channel.channel_address(msgspec.structs.replace(PARAMS, payer_key=bytes(31)))
