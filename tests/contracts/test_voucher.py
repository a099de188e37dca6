from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core import Address, begin_cell  # noqa: TID251 - the oracle

from contracts import voucher
from contracts.errors import LocalContractError
from contracts.rehearsal import PAYEE_SEED, PAYER_SEED, public_key
from contracts.units import NanoTon
from contracts.voucher import ChannelRef

REF = ChannelRef(network_id=-3, address="0:" + "ab" * 32, opened_lt=77)
PAYER_KEY = public_key(PAYER_SEED)

refs = st.builds(
    ChannelRef,
    st.integers(-(2**31), 2**31 - 1),
    st.binary(min_size=32, max_size=32).map(lambda account: f"0:{account.hex()}"),
    st.integers(1, 2**64 - 1),
)
totals = st.integers(0, (1 << 120) - 1).map(NanoTon)


def oracle_digest(tag: int, ref: ChannelRef, total: int | None) -> bytes:
    domain = begin_cell().store_int(ref.network_id, 32).store_address(Address(ref.address))
    domain = domain.store_uint(ref.opened_lt, 64)
    builder = begin_cell().store_bytes(domain.end_cell().hash).store_uint(tag, 24)
    if total is not None:
        builder = builder.store_coins(total)
    return builder.end_cell().hash


@given(refs, totals)
def test_the_fast_digest_is_the_cells_hash(ref: ChannelRef, total: NanoTon) -> None:
    for tag in (voucher.TAG_VOUCHER, voucher.TAG_RELEASE):
        assert voucher._digest(tag, ref, total) == oracle_digest(tag, ref, total)
    start = voucher.TAG_START_CLOSE
    assert voucher._digest(start, ref, None) == oracle_digest(start, ref, None)


@given(refs, totals)
def test_what_is_signed_verifies(ref: ChannelRef, total: NanoTon) -> None:
    signature = voucher.sign_voucher(PAYER_SEED, ref, total)
    assert len(signature) == voucher.SIGNATURE_BYTES
    assert voucher.verify_voucher(PAYER_KEY, ref, total, signature)


TOTAL = NanoTon(1000)


@dataclass(frozen=True)
class Change:
    ref: ChannelRef = REF
    total: NanoTon = TOTAL
    key: bytes = PAYER_KEY


CHANGES = {
    "another network": Change(ref=msgspec.structs.replace(REF, network_id=-239)),
    "another channel": Change(ref=msgspec.structs.replace(REF, address="0:" + "ac" * 32)),
    "another workchain": Change(ref=msgspec.structs.replace(REF, address="-1:" + "ab" * 32)),
    "another opening": Change(ref=msgspec.structs.replace(REF, opened_lt=78)),
    "another total": Change(total=NanoTon(1001)),
    "another key": Change(key=public_key(PAYEE_SEED)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_voucher_is_bound_to_everything(name: str) -> None:
    change = CHANGES[name]
    signature = voucher.sign_voucher(PAYER_SEED, REF, NanoTon(1000))
    assert not voucher.verify_voucher(change.key, change.ref, change.total, signature)


def test_the_three_kinds_of_signature_are_not_interchangeable() -> None:
    total = NanoTon(1000)
    paid = voucher.sign_voucher(PAYER_SEED, REF, total)
    released = voucher.sign_release(PAYER_SEED, REF, total)
    started = voucher.sign_start_close(PAYER_SEED, REF)
    assert not voucher.verify_release(PAYER_KEY, REF, total, paid)
    assert not voucher.verify_voucher(PAYER_KEY, REF, total, released)
    assert not voucher.verify_start_close(PAYER_KEY, REF, paid)
    assert voucher.verify_release(PAYER_KEY, REF, total, released)
    assert voucher.verify_start_close(PAYER_KEY, REF, started)


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_hostile_signatures_and_keys_are_just_wrong(signature: bytes, key: bytes) -> None:
    assert not voucher.verify_voucher(PAYER_KEY, REF, NanoTon(1), signature)
    good = voucher.sign_voucher(PAYER_SEED, REF, NanoTon(1))
    assert not voucher.verify_voucher(key, REF, NanoTon(1), good)


@pytest.mark.parametrize("total", [-1, 1 << 120])
def test_an_impossible_total_is_signed_never_and_verified_never(total: int) -> None:
    with pytest.raises(LocalContractError):
        voucher.sign_voucher(PAYER_SEED, REF, NanoTon(total))
    assert not voucher.verify_voucher(PAYER_KEY, REF, NanoTon(total), bytes(64))


def test_a_seed_of_the_wrong_length_is_our_mistake() -> None:
    with pytest.raises(LocalContractError, match="32 bytes"):
        voucher.sign_voucher(bytes(31), REF, NanoTon(1))


def test_nothing_is_signed_for_a_channel_that_is_not_open() -> None:
    with pytest.raises(LocalContractError, match="not an open channel"):
        voucher.sign_voucher(PAYER_SEED, ChannelRef(-3, REF.address, 0), NanoTon(1))
