"""The liteserver client against servers that die, lie, stall, fall behind and babble."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio
from lite_rig import LOOPBACK, SEED, LiteRig, open_rig

from contracts import (
    compiler,
    devnet_liteserver,
    lite_roster,
    liteserver,
    proofs,
    tlb,
    trusted_chain,
)
from contracts import lite_messages as lite
from contracts.adnl_stream import AdnlStream, accept_adnl, open_adnl
from contracts.cells import EMPTY, Builder, Cell, decode_boc, encode_boc, join_address
from contracts.devnet_liteserver import LiteApi, server_seed
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.errors import ChainUnavailable, InvalidData, MessageRejected
from contracts.lite_config import LiteServer, recall_trusted
from contracts.lite_history import to_the_end
from contracts.liteserver import Liteserver, open_liteserver
from contracts.records import Linked
from contracts.tl import Boxed, decode, encode
from contracts.units import NanoTon
from contracts.wallet import Transfer, Wallet

COIN = NanoTon(10**9)
FRIEND = join_address(0, b"\x0f" * 32)
START_UNIX_S = 1_780_000_000
replace = msgspec.structs.replace


@pytest.fixture
async def rig(emulator: Emulator):
    embedded = EmbeddedChain(emulator, unix_s=START_UNIX_S, real_blocks=True)
    async with open_rig(embedded) as made:
        await made.devnet.faucet(FRIEND, COIN)
        yield made


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await trio.sleep(0.01)


Twist = Callable[[Boxed, LiteRig], Boxed]


async def twisted_server(rig: LiteRig, twist: Twist) -> int:
    """Serve the devnet, but change every answer."""

    class Api(LiteApi):
        async def answer(self, message: bytes) -> Boxed:
            return twist(await super().answer(message), rig)

    return await raw_server(rig, lambda adnl: devnet_liteserver._talk(Api(rig.devnet), adnl))


async def raw_server(rig: LiteRig, talk: Callable) -> int:
    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                adnl = await accept_adnl(
                    stream, server_seed(SEED), timeout_s=5, frame_bytes_max=1 << 18
                )
                await talk(adnl)
            except* (ChainUnavailable, InvalidData):
                pass

    listeners = await rig.nursery.start(partial(trio.serve_tcp, serve, 0, host=LOOPBACK))
    return listeners[0].socket.getsockname()[1]


async def good_server(rig: LiteRig) -> int:
    return (await rig.config()).servers[0].port


def more_money(answer: Boxed, rig: LiteRig) -> Boxed:
    if isinstance(answer, lite.AccountState):
        other = rig.embedded.ledger.account_state(answer.id, rig.rich)
        return replace(answer, state=other.state)
    return answer


def no_account(answer: Boxed, _rig: LiteRig) -> Boxed:
    if isinstance(answer, lite.AccountState):
        return replace(answer, state=b"")
    return answer


def other_chain(answer: Boxed, _rig: LiteRig) -> Boxed:
    if isinstance(answer, lite.MasterchainInfo):
        return replace(answer, last=replace(answer.last, root_hash=os.urandom(32)))
    return answer


def unsigned(answer: Boxed, _rig: LiteRig) -> Boxed:
    if isinstance(answer, lite.BlockProof) and answer.steps:
        return replace(answer, steps=(replace(answer.steps[0],
                       signatures=lite.OrdinarySignatures(0, 0, ())),))  # fmt: skip
    return answer


def no_steps(answer: Boxed, _rig: LiteRig) -> Boxed:
    return replace(answer, steps=()) if isinstance(answer, lite.BlockProof) else answer


def nonsense(_answer: Boxed, _rig: LiteRig) -> Boxed:
    return lite.TcpPong(5)


def refuses(_answer: Boxed, _rig: LiteRig) -> Boxed:
    return lite.Failure(651, "not ready")


LIES = (more_money, no_account, other_chain, unsigned, no_steps, nonsense)


@pytest.mark.parametrize("twist", LIES, ids=lambda each: each.__name__)
async def test_a_lying_server_is_put_out_and_an_honest_one_is_asked(
    rig: LiteRig, twist: Twist
) -> None:
    rig.rich = join_address(0, b"\x77" * 32)
    await rig.devnet.faucet(rig.rich, NanoTon(1000 * COIN))
    liar, honest = await twisted_server(rig, twist), await good_server(rig)
    async with open_liteserver(rig.config_of(liar, honest), timeout_s=5) as chain:
        standing = chain.roster.standings[0]
        with trio.fail_after(10):
            await until(lambda: 1 in chain.roster.usable() and standing.reason != "not asked yet")
            while 0 in chain.roster.usable():
                standing.latency_s = -1.0  # so that the liar is asked
                assert (await chain.account(FRIEND)).balance_nanoton == COIN
        assert (await chain.account(FRIEND)).balance_nanoton == COIN
        assert chain.roster.usable() == [1]
        assert standing.reason
        if twist is not other_chain:  # that one says what nobody can show, which is no lie yet
            assert chain.roster.probe_in_s(0, trio.current_time()) > lite_roster.EJECTED_S_MAX


@pytest.mark.parametrize("twist", [*LIES, refuses], ids=lambda each: each.__name__)
async def test_without_an_honest_server_there_is_no_answer(rig: LiteRig, twist: Twist) -> None:
    rig.rich = join_address(0, b"\x77" * 32)
    await rig.devnet.faucet(rig.rich, NanoTon(1000 * COIN))
    liar = await twisted_server(rig, twist)
    with pytest.raises(ChainUnavailable) as failed:
        async with open_liteserver(rig.config_of(liar), timeout_s=0.4) as chain:
            await chain.account(FRIEND)
    assert f"{LOOPBACK}:{liar}" in str(failed.value)


async def test_a_dead_server_is_left_and_taken_again_after_a_probe(
    rig: LiteRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lite_roster, "EJECTED_S", 0.05)
    streams: list[trio.SocketStream] = []
    honest = await good_server(rig)
    alive = trio.Event()
    alive.set()

    async def relay(client: trio.SocketStream) -> None:
        if not alive.is_set():
            await client.aclose()
            return
        streams.append(client)
        server = await trio.open_tcp_stream(LOOPBACK, honest)

        async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
            try:
                async for data in source:
                    await sink.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(pump, client, server)
            nursery.start_soon(pump, server, client)

    listeners = await rig.nursery.start(partial(trio.serve_tcp, relay, 0, host=LOOPBACK))
    port = listeners[0].socket.getsockname()[1]
    async with open_liteserver(rig.config_of(port), timeout_s=5) as chain:
        assert (await chain.account(FRIEND)).balance_nanoton == COIN
        alive = trio.Event()
        for stream in streams:
            await stream.aclose()
        await until(lambda: not chain.roster.usable())
        alive.set()
        assert (await chain.account(FRIEND)).balance_nanoton == COIN
        assert chain.roster.usable() == [0]


async def test_a_server_that_is_silent_costs_one_deadline(rig: LiteRig) -> None:
    async def silent(adnl: AdnlStream) -> None:
        while True:
            await adnl.receive()

    mute, honest = await raw_server(rig, silent), await good_server(rig)
    async with open_liteserver(rig.config_of(mute, honest), timeout_s=0.5) as chain:
        with trio.fail_after(5):
            assert (await chain.account(FRIEND)).balance_nanoton == COIN
    with pytest.raises(ChainUnavailable, match="no answer within"):
        async with open_liteserver(rig.config_of(mute), timeout_s=0.5):
            pytest.fail("nothing was proven")


async def test_a_server_that_babbles_is_refused(rig: LiteRig) -> None:
    async def babble(adnl: AdnlStream) -> None:
        while True:
            await adnl.send(os.urandom(64))

    port = await raw_server(rig, babble)
    with pytest.raises(ChainUnavailable):
        async with open_liteserver(rig.config_of(port), timeout_s=0.4):
            pytest.fail("nothing was proven")


async def test_a_server_with_another_key_is_not_talked_to(rig: LiteRig) -> None:
    config = await rig.config()
    stranger = LiteServer(LOOPBACK, config.servers[0].port, config.servers[0].key[::-1])
    with pytest.raises(ChainUnavailable):
        async with open_liteserver(replace(config, servers=(stranger,)), timeout_s=0.4):
            pytest.fail("nothing was proven")


async def test_another_network_is_refused(rig: LiteRig) -> None:
    with pytest.raises(InvalidData, match="not -239"):
        async with open_liteserver(await rig.config(), network_id=-239):
            pytest.fail("it is another network")


async def test_another_zero_state_is_refused(rig: LiteRig) -> None:
    config = await rig.config()
    other = replace(config, trusted=replace(config.trusted, root_hash=bytes(32)))
    with pytest.raises(ChainUnavailable, match="key block"):
        async with open_liteserver(other, timeout_s=0.4):
            pytest.fail("nothing was proven")


async def test_no_state_before_one_that_was_seen_is_told(rig: LiteRig) -> None:
    """A server that is behind is asked to wait; if it stays behind, it is not believed."""
    behind, honest = await twisted_server(rig, stuck()), await good_server(rig)
    async with open_liteserver(rig.config_of(behind, honest), timeout_s=5) as chain:
        await until(lambda: len(chain.roster.usable()) == 2)
        await rig.devnet.faucet(FRIEND, COIN)
        chain.roster.standings[0].latency_s = 100.0
        assert (await chain.account(FRIEND)).balance_nanoton == 2 * COIN
        chain.roster.standings[0].latency_s = 0.0
        assert (await chain.account(FRIEND)).balance_nanoton == 2 * COIN
        assert chain.roster.standings[0].reason.startswith("the server is behind")


def stuck() -> Twist:
    """An answer to every question about the newest block: the first one."""
    frozen: list[lite.BlockId] = []

    def twist(answer: Boxed, _rig: LiteRig) -> Boxed:
        if isinstance(answer, lite.MasterchainInfo):
            frozen.append(answer.last)
            return replace(answer, last=frozen[0])
        return answer

    return twist


async def sees(chain: Liteserver, coins: int) -> None:
    """Wait until the client knows of so much money."""
    with trio.fail_after(20):
        while True:
            with suppress(ChainUnavailable):
                if (await chain.account(FRIEND)).balance_nanoton == coins:
                    return
            await trio.sleep(0.02)


async def test_one_server_alone_cannot_keep_the_newest_blocks_back(
    rig: LiteRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the fastest, which is asked for everything."""
    monkeypatch.setattr(liteserver, "LOOK_S", 0.05)
    behind, honest = await twisted_server(rig, stuck()), await good_server(rig)
    async with open_liteserver(rig.config_of(behind, honest), timeout_s=5) as chain:
        await until(lambda: len(chain.roster.usable()) == 2)
        chain.roster.standings[0].latency_s = -1e30
        await rig.devnet.faucet(FRIEND, COIN)
        await sees(chain, 2 * COIN)
        assert chain.roster.standings[0].reason.startswith("the server is behind")


async def test_servers_that_stand_by_are_asked_when_no_newer_block_comes(
    rig: LiteRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LOOK_S", 0.05), ("STALE_S", 0.2), ("CONNECTIONS_MAX", 1)):
        monkeypatch.setattr(liteserver, name, value)
    admitted = trio.Event()

    async def late(adnl: AdnlStream) -> None:
        if not admitted.is_set():
            raise ChainUnavailable("not yet")
        await devnet_liteserver._talk(LiteApi(rig.devnet), adnl)

    behind, honest = await twisted_server(rig, stuck()), await raw_server(rig, late)
    async with open_liteserver(rig.config_of(behind, honest), timeout_s=5) as chain:
        assert chain.roster.usable() == [0]
        admitted.set()
        await rig.devnet.faucet(FRIEND, COIN)
        await sees(chain, 2 * COIN)


REFUSAL = lite.Failure(0, "cannot apply external message to current state : exitcode=54, ")


@pytest.mark.parametrize("says", [lite.SendStatus(1), REFUSAL, lite.Failure(651, "not ready")])
async def test_one_server_alone_cannot_keep_a_message_back(rig: LiteRig, says: Boxed) -> None:
    """Whether it says that it was taken, or that the contract refuses it."""

    class Deaf(LiteApi):
        async def answer(self, message: bytes) -> Boxed:
            query = decode(message, lite.Query).data
            sent = query.startswith(lite.SendMessage.NUMBER.to_bytes(4, "little"))
            return says if sent else await super().answer(message)

    deaf = await raw_server(rig, lambda adnl: devnet_liteserver._talk(Deaf(rig.devnet), adnl))
    wallet = Wallet(b"\x09" * 32)
    await rig.devnet.faucet(wallet.address, COIN)
    gift = Transfer(destination=FRIEND, value_nanoton=NanoTon(1000), bounce=False)
    message = wallet.transfer_message(0, [gift], 2**32 - 1)
    async with open_liteserver(rig.config_of(deaf, await good_server(rig))) as chain:
        await until(lambda: len(chain.roster.usable()) == 2)
        chain.roster.standings[0].latency_s = -1e30
        await chain.send(message)
        await sees(chain, COIN + 1000)
        if says != lite.SendStatus(1):
            with pytest.raises(MessageRejected):  # as all say that say anything
                await chain.send(wallet.transfer_message(7, [gift], 2**32 - 1))


async def mortal(rig: LiteRig) -> str:
    """Make an account that has ended, in the block of the transaction before."""
    code = decode_boc(compiler.compile_tolk("mortal.tolk", Path(__file__).with_name("tolk")))
    init = Builder().uint(0b00110, 5).ref(code).ref(EMPTY).end()
    address = join_address(0, init.hash)
    for body in (EMPTY, Builder().uint(1, 32).end()):
        message = tlb.internal_message(
            FRIEND, address, COIN, body=body, init=init, bounce=True, created_lt=0, created_unix_s=0
        )
        rig.embedded.send_internal(encode_boc(message))
        await rig.devnet.warp(1)
    return address


async def test_the_last_transaction_of_an_account_cannot_be_hidden(
    rig: LiteRig, require_asset: Callable[[str], None]
) -> None:
    require_asset(compiler.ASSET)
    ended = await mortal(rig)

    def hide(answer: Boxed, _rig: LiteRig) -> Boxed:
        if isinstance(answer, lite.BlockTransactions):
            return replace(answer, ids=answer.ids[:1])
        return answer

    hiding, honest = await twisted_server(rig, hide), await good_server(rig)
    async with open_liteserver(rig.config_of(hiding, honest)) as chain:
        await until(lambda: len(chain.roster.usable()) == 2)
        chain.roster.standings[0].latency_s = -1e30
        assert len(await chain.transactions(ended)) == 3
        assert chain.roster.standings[0].lied == 1


async def test_a_past_that_a_server_does_not_keep_turns_us_against_nobody(
    rig: LiteRig, require_asset: Callable[[str], None]
) -> None:
    """Who closes a channel while we sleep must not blind us to the others."""
    require_asset(compiler.ASSET)
    ended = await mortal(rig)

    def forgets(answer: Boxed, _rig: LiteRig) -> Boxed:
        listed = isinstance(answer, lite.BlockTransactions)
        return lite.Failure(651, "block is not in db") if listed else answer

    async with open_liteserver(rig.config_of(await twisted_server(rig, forgets))) as chain:
        with pytest.raises(ChainUnavailable, match="not in db"):
            await chain.transactions(ended)
        assert chain.roster.usable() == [0]


async def test_a_block_before_the_newest_key_block_is_proven_from_an_older_one(
    rig: LiteRig,
) -> None:
    """A channel that closes as the validators change has a history all the same."""
    async with open_liteserver(await rig.config()) as chain:
        head = rig.embedded.ledger.last.master.id
        await rig.devnet.warp(1)
        asked: list[Boxed] = []
        connection = chain._connections[0]

        class Recorded:
            async def ask(self, query: Boxed, kind: type) -> Boxed:
                asked.append(query)
                return await connection.ask(query, kind)

        newer = replace(head, seqno=head.seqno + 1000)
        header = proofs.Header(
            id=newer, network_id=1, key_block=True, unix_s=1, end_lt=1, state_hash=bytes(32)
        )
        trust = trusted_chain.TrustedChain(chain._trust._key_blocks[0], lambda _block: None)
        trust._note(header)
        assert trust.key_block == newer
        assert (await trusted_chain.prove(trust, Recorded(), head)).id == head
        assert [query.known_block.seqno for query in asked] == [0]


async def test_a_history_ends_where_the_account_did(rig: LiteRig) -> None:
    """Whoever writes to the address after that turns us against no server that tells of it."""
    (received,) = [item.record for item in await rig.devnet.transactions(FRIEND)]

    def linked(lt: int, before_lt: int, *, ended: bool = False) -> Linked:
        record = replace(received, lt=lt, hash=bytes([lt]) * 32)
        return Linked(record, before_lt, bytes([before_lt]) * 32, ended=ended)

    life = [linked(3, 2), linked(5, 3, ended=True)]
    assert to_the_end(2, bytes([2]) * 32, life) == life
    assert to_the_end(2, bytes([2]) * 32, [*life, linked(7, 0, ended=True)]) == life
    for wrong in (life[:1], life[1:], [], [*life, linked(7, 6)], [linked(7, 0, ended=True)]):
        with pytest.raises(InvalidData):
            to_the_end(2, bytes([2]) * 32, wrong)


async def test_many_questions_share_one_connection(rig: LiteRig) -> None:
    async with open_liteserver(await rig.config()) as chain, trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(chain.account, FRIEND)


async def test_the_server_answers_garbage_with_an_error_and_lives(rig: LiteRig) -> None:
    server = (await rig.config()).servers[0]
    block = rig.embedded.ledger.last.master.id
    asked = [
        b"",
        b"\x00" * 4,
        encode(lite.GetTime()) + b"more",
        encode(lite.GetAccountState(replace(block, seqno=999), lite.AccountId(0, bytes(32)))),
        encode(lite.GetAccountState(block, lite.AccountId(7, bytes(32)))),
        encode(lite.GetTransactions(99, lite.AccountId(0, bytes(32)), 5, bytes(32))),
        encode(lite.GetMasterchainInfoExt(9)),
        encode(lite.SendMessage(b"garbage")),
        encode(lite.WaitMasterchainSeqno(1 << 30, 20)) + encode(lite.GetTime()),
        encode(lite.LookupBlock(1, lite.ShortBlockId(-1, lite.WHOLE_SHARD, 999))),
    ]
    async with open_adnl(server.host, server.port, server.key, timeout_s=5) as adnl:
        for number, data in enumerate(asked):
            query_id = bytes([number]) * 32
            await adnl.send(encode(lite.AdnlQuery(query_id, encode(lite.Query(data)))))
            with trio.fail_after(5):
                answer = decode(await adnl.receive(), lite.AdnlAnswer)
            assert answer.query_id == query_id
            assert decode(answer.answer, lite.Failure).message
        await adnl.send(encode(lite.TcpPing(5)))
        assert decode(await adnl.receive(), lite.TcpPong) == lite.TcpPong(5)


async def test_a_client_may_use_one_id_for_many_queries(rig: LiteRig) -> None:
    server = (await rig.config()).servers[0]
    query = encode(lite.AdnlQuery(bytes(32), encode(lite.Query(encode(lite.GetTime())))))
    async with open_adnl(server.host, server.port, server.key, timeout_s=5) as adnl:
        for _ in range(40):
            await adnl.send(query)
        with trio.fail_after(5):
            for _ in range(40):
                decode(await adnl.receive(), lite.AdnlAnswer)


async def test_an_account_that_we_do_not_read_turns_us_against_nobody(
    rig: LiteRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_data: bytes) -> Cell:
        raise InvalidData("cells of an unsupported kind")

    async with open_liteserver(await rig.config()) as chain:
        with monkeypatch.context() as patch:
            patch.setattr(proofs, "decode_boc", refuse)
            with pytest.raises(proofs.Unreadable):
                await chain.account(FRIEND)
        assert chain.roster.usable() == [0]
        assert (await chain.account(FRIEND)).balance_nanoton == COIN


async def test_blocks_are_found_by_number_time_and_logical_time(rig: LiteRig) -> None:
    api, pair = LiteApi(rig.devnet), rig.embedded.ledger.last
    name = lite.ShortBlockId(-1, lite.WHOLE_SHARD, pair.master.id.seqno)
    for query in (
        lite.LookupBlock(1, name),
        lite.LookupBlock(2, name, lt=pair.master.end_lt),
        lite.LookupBlock(4, name, utime=pair.unix_s),
        lite.GetBlockHeader(pair.master.id, 0),
    ):
        answer = await api.answer(encode(lite.Query(encode(query))))
        assert isinstance(answer, lite.BlockHeader)
        assert answer.id.workchain == -1
        (proof,) = proofs.decode_proof(answer.header_proof, roots=1)
        header = proofs.read_header(proofs.proven_root(proof, answer.id.root_hash), answer.id)
        assert header.unix_s <= pair.unix_s


async def test_it_goes_on_after_a_restart_of_the_chain(
    rig: LiteRig, emulator: Emulator, tmp_path: Path
) -> None:
    trusted = rig.embedded.ledger.genesis.master_id
    rig.embedded.save(tmp_path / "chain")
    again = EmbeddedChain.load(emulator, tmp_path / "chain", real_blocks=True)
    assert again.ledger.genesis.master_id == trusted
    async with open_rig(again) as later, open_liteserver(await later.config()) as chain:
        assert (await chain.account(FRIEND)).balance_nanoton == COIN
        found = await chain.transactions(FRIEND)
        assert [record.value_nanoton for record in found] == [COIN]
        assert found == [item.record for item in await later.devnet.transactions(FRIEND)]


async def test_a_chain_without_real_blocks_serves_no_proofs(emulator: Emulator) -> None:
    plain = EmbeddedChain(emulator, unix_s=START_UNIX_S)
    async with open_rig(plain) as rig:
        answer = await LiteApi(rig.devnet).answer(
            encode(lite.Query(encode(lite.GetMasterchainInfo())))
        )
        assert isinstance(answer, lite.Failure)


def test_a_key_block_on_the_way_is_remembered(tmp_path: Path) -> None:
    """Only what is proven moves the trust; `_note` is where it moves."""
    seen: list[lite.BlockId] = []
    start = lite.BlockId(-1, lite.WHOLE_SHARD, 5, bytes(32), bytes(32))
    trust = trusted_chain.TrustedChain(start, seen.append)
    header = proofs.Header(
        id=replace(start, seqno=9), network_id=1, key_block=True, unix_s=1, end_lt=1,
        state_hash=bytes(32),
    )  # fmt: skip
    trust._note(header)
    assert (trust.key_block, trust.newest_seqno, seen) == (header.id, 9, [header.id])
    trust._note(replace(header, id=replace(start, seqno=11), key_block=False))
    assert (trust.key_block, trust.newest_seqno) == (header.id, 11)
    assert recall_trusted  # where the next start reads it
