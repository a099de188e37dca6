import pytest
from lite_rig import open_rig

from contracts import liteserver, toncenter
from contracts.cells import join_address
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.long_history import HISTORIES_KEPT, Rest
from contracts.units import NanoTon

DUST = join_address(0, b"\xd5" * 32)


@pytest.mark.parametrize(
    ("kind", "client"), [("liteserver", liteserver.Liteserver), ("toncenter", toncenter.Toncenter)]
)
async def test_a_long_history_is_read_once_and_not_again_for_every_page(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, kind: str, client: type
) -> None:
    embedded, read = EmbeddedChain(emulator, unix_s=1_780_000_000, real_blocks=True), [0]
    history = client._history

    async def counted(self: object, *arguments: object) -> list:
        read[0] += 1
        return await history(self, *arguments)

    monkeypatch.setattr(client, "_history", counted)
    async with open_rig(embedded) as rig, rig.client(kind) as chain:
        for _ in range(21):
            await rig.devnet.faucet(DUST, NanoTon(1_000_000))
        found, page = [], await chain.transactions(DUST, limit=5)
        while page:
            found += page
            page = await chain.transactions(DUST, since_lt=page[-1].lt, limit=5)
        assert found == [item.record for item in await rig.devnet.transactions(DUST)]
        assert read[0] == 2  # the whole, and that there is nothing newer
        await rig.devnet.faucet(DUST, NanoTon(1_000_000))
        assert len(await chain.transactions(DUST, since_lt=found[-1].lt)) == 1


async def test_only_a_few_histories_are_kept(emulator: Emulator) -> None:
    embedded, rest = EmbeddedChain(emulator, unix_s=1_780_000_000), Rest()
    for _ in range(3):
        embedded.faucet(DUST, NanoTon(1_000_000))
    records = embedded.transactions(DUST)
    for number in range(HISTORIES_KEPT + 1):
        assert rest.first(str(number), records, 2) == records[:2]
    lt = records[1].lt
    assert rest.page("0", lt, 2) == []
    assert rest.page("1", lt, 2) == records[2:]
    assert rest.page("1", lt, 2) == []
