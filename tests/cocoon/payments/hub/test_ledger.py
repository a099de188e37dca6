from cocoon.payments.hub.ledger import find_payment
from cocoon.payments.onchain import LEDGER_RECORDS_MAX
from contracts.chain import TransactionRecord
from contracts.channel import locked_claim_body
from contracts.locks import KeyLock, LockedVoucher, sign_key_payment
from contracts.units import NO_MONEY, NanoTon

ADDRESS = "0:" + "ab" * 32
KEY = b"\x0c" * 32


def record(lt: int, body: bytes = b"", exit_code: int = 0) -> TransactionRecord:
    return TransactionRecord(
        account=ADDRESS, lt=lt, hash=bytes(32), now_unix_s=1, fees_nanoton=NO_MONEY, gas_used=0,
        exit_code=exit_code, aborted=False, source="", value_nanoton=NO_MONEY,
        message_hash=bytes(32), out_messages=(), body=body,
    )  # fmt: skip


def claim(amount: int) -> bytes:
    lock = KeyLock(key=KEY, amount_nanoton=NanoTon(9), deadline_unix_s=1)
    voucher = LockedVoucher(total_nanoton=NO_MONEY, locks=(lock,), signature=bytes(64))
    return locked_claim_body(voucher, [sign_key_payment(KEY, 1, NanoTon(amount))])


class History:
    def __init__(self, records):
        self._records = records

    async def transactions(self, _address, *, since_lt=0, limit=100, heir=""):
        assert not heir
        return self._records[since_lt : since_lt + limit]


async def test_a_claim_is_found_behind_any_amount_of_dust():
    dust = [record(lt) for lt in range(1, LEDGER_RECORDS_MAX + 200)]
    claims = [claim(5), claim(7), claim(6)]
    shown = [record(len(dust) + number, body) for number, body in enumerate(claims, 1)]
    refused = record(len(dust) + 4, claim(8), exit_code=51)
    found = await find_payment(History([*dust, *shown, refused]), ADDRESS, KEY, since_lt=0)
    assert found is not None
    assert found.amount_nanoton == 7
    assert await find_payment(History(dust), ADDRESS, KEY, since_lt=0) is None
