import msgspec

from contracts.chain import OutMessage, TransactionRecord
from contracts.delivery import find_delivery
from contracts.units import NO_MONEY, NanoTon

WALLET, CHANNEL = "0:" + "aa" * 32, "0:" + "bb" * 32
OURS = b"\x07" * 32


def record(lt: int, **changes: object) -> TransactionRecord:
    plain = TransactionRecord(
        account=CHANNEL,
        lt=lt,
        hash=bytes(32),
        now_unix_s=1,
        fees_nanoton=NO_MONEY,
        gas_used=0,
        exit_code=0,
        aborted=False,
        source=WALLET,
        value_nanoton=NO_MONEY,
        message_hash=lt.to_bytes(32),
        out_messages=(),
    )
    return msgspec.structs.replace(plain, **changes)


class History:
    """A chain of which only the history of one account is asked."""

    def __init__(self, records: list[TransactionRecord]) -> None:
        self._records = records

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        assert (address, heir) == (CHANNEL, "")
        return [each for each in self._records if each.lt > since_lt][:limit]


async def test_a_delivery_is_found_by_its_message_behind_whatever_else_arrives() -> None:
    """Behind an earlier message of the same wallet, that bounced, and the dust of a stranger."""
    sent = record(5, account=WALLET, out_messages=(OutMessage(CHANNEL, NanoTon(9), OURS),))
    before = [record(6, aborted=True), *(record(lt, source=CHANNEL) for lt in range(7, 300))]
    ours = record(300, message_hash=OURS)
    assert await find_delivery(History([*before, ours]), sent, CHANNEL) == ours
    assert await find_delivery(History(before), sent, CHANNEL) is None
