"""The hub dies at every write of its journals, and comes back: nobody is short of anything."""

import pytest
import trio

from cocoon.errors import CocoonError
from cocoon.payments.hub.terms import route_fee
from cocoon.payments.journal import Journal
from contracts.units import parse_coins
from overlay.errors import OverlayError, PeerUnavailable

GAS = parse_coins("0.04")
WRITES_MIN = 6
"""Taking a lock, giving one, noting a payment, folding, settling, letting go: at least."""


class Crash(Exception):
    """The hub's process dies here."""


class Fuse:
    """Burns at one write of the hub's journals; from then on nothing is written any more.

    Attributes:
        at: at which write; 0 for never.
        mode: "before" or "after" the bytes are on the disk.
        writes: how many there were.
    """

    def __init__(self, monkeypatch, directory) -> None:
        self.at, self.mode, self.writes = 0, "before", 0
        self.burned = False
        append = Journal.append_many

        def appended(journal, records):
            if journal._path.parent != directory:
                return append(journal, records)
            if self.burned:
                raise Crash
            self.writes += 1
            if self.writes != self.at:
                return append(journal, records)
            self.burned = True
            if self.mode == "after":
                append(journal, records)
            raise Crash

        monkeypatch.setattr(Journal, "append_many", appended)


class Mortal:
    """Runs a hub, and starts it again when the fuse has burned."""

    def __init__(self, town, fuse) -> None:
        self.town = town
        self.fuse = fuse
        self.hub = None
        self.deaths = 0
        self.scope = trio.CancelScope()

    async def live(self, *, task_status=trio.TASK_STATUS_IGNORED) -> None:
        while True:
            try:
                with trio.CancelScope() as self.scope:
                    async with self.town.open_hub() as self.hub:
                        self._guard()
                        task_status.started()
                        task_status = trio.TASK_STATUS_IGNORED
                        await trio.sleep_forever()
            except Crash:
                pass
            self.deaths += 1
            self.hub = None
            self.fuse.burned = False

    def _guard(self) -> None:
        hub = self.hub

        async def handle(peer, message):
            try:
                return await hub.handle(peer, message)
            except Crash as error:
                self.scope.cancel()
                raise PeerUnavailable("the hub died") from error

        self.town.handlers["hub"] = handle

    async def tick(self) -> None:
        hub = self.hub
        if hub is None:
            return
        for key in list(hub._store.book.forwards):
            try:
                await hub.advance(key)
            except Crash:
                self.scope.cancel()
                return
            except (CocoonError, OverlayError):
                continue


async def play(town, fuse, at=0) -> int:
    """Pay 0.1 through a route whose hub dies at its write *at*; check everybody.

    Returns how many writes there were.
    """
    party = town.providers[0]
    async with (
        town.open_provider(party) as payee,
        town.open_client() as client,
        trio.open_nursery() as nursery,
    ):
        mortal = Mortal(town, fuse)
        await nursery.start(mortal.live)
        payer = mortal.hub._payer
        await payer.open_channel(party.wallet.address, party.key, parse_coins("1"))
        before = dict(town.balances)
        fuse.writes, fuse.at = 0, at  # what the hub wrote to open its channel does not count
        route = await route_however_long(town, client, party)
        await route.start_job("job", "provider")
        signature = route.sign_transcript(bytes(32))
        with await payee.admit(route.ref, bytes(32), signature, spendable_min=1) as till:
            await till.receive(await route.pay(parse_coins("0.1"), "job"))
        await route.end_job("job")
        for _ in range(16):
            town.warp(100)
            await mortal.tick()
            await client.end_routes()
            await trio.sleep(0.05)
        fuse.at = 0
        assert client._store.book.routes == {}
        assert mortal.deaths == bool(at)
        writes = fuse.writes
        await settle_up(town, client, mortal, payee, before)
        nursery.cancel_scope.cancel()
    return writes


async def route_however_long(town, client, party):
    for _ in range(20):
        try:
            return await client.route_to(
                "hub",
                party.name,
                party.wallet.address,
                party.key,
                capacity=parse_coins("0.3"),
                deposit=parse_coins("1.5"),
            )
        except (CocoonError, OverlayError):
            await trio.sleep(0.05)
    raise AssertionError("no route, however often we ask")


async def settle_up(town, client, mortal, payee, before) -> None:
    (channel,) = client._payer.list_channels()
    spent = parse_coins("0.1") + route_fee(town.terms, parse_coins("0.3"))
    assert channel.signed_total == spent, "one fee, one payment"
    await client._payer.close(client._payer.channel(channel.address), mortal.hub._payee.release)
    (ours,) = mortal.hub._payer.list_channels()
    assert ours.signed_total == parse_coins("0.1")
    await mortal.hub._payer.close(mortal.hub._payer.channel(ours.address), payee.release)
    after = town.balances
    assert after["provider-1"] - before["provider-1"] > parse_coins("0.1") - GAS
    assert before["requester"] - after["requester"] < spent + GAS
    deposit_back = parse_coins("0.9")
    assert after["hub"] - before["hub"] > deposit_back + spent - parse_coins("0.1") - GAS
    assert town.conserved()


@pytest.mark.parametrize("parity", ["even", "odd"])
async def test_a_hub_that_dies_at_any_write_goes_on_after_its_restart(
    emulator, tmp_path, monkeypatch, town_type, parity
) -> None:
    (tmp_path / "0").mkdir()
    town = town_type(emulator, tmp_path / "0")
    writes = await play(town, Fuse(monkeypatch, town.hub.directory))
    assert writes >= WRITES_MIN
    for at in range(1, writes + 1):
        (tmp_path / str(at)).mkdir()
        town = town_type(emulator, tmp_path / str(at))
        fuse = Fuse(monkeypatch, town.hub.directory)
        fuse.mode = "before" if (at % 2 == 0) == (parity == "even") else "after"
        await play(town, fuse, at)
