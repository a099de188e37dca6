"""TON's own C++ client on our liteserver: it accepts our blocks, proofs and signatures.

The library is inside PyPI's `pytonlib`; see requirements/conformance.txt. It runs in a
process of its own, with a deadline.
"""

import base64
import importlib.util
import json
import platform
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio
from lite_rig import LOOPBACK, SEED

from contracts import devnet_liteserver
from contracts import lite_messages as lite
from contracts._merkle import LibraryCell, encode_roots, merkle_proof
from contracts.blocks import Block, BlockRef, Moment, make_block
from contracts.cells import decode_boc, join_address
from contracts.devnet_liteserver import LiteApi, global_config, serve_liteserver
from contracts.devnet_service import Devnet, open_devnet
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.ledger import Ledger, header_proof
from contracts.lite_config import parse_global_config, recall_trusted
from contracts.liteserver import open_liteserver
from contracts.tl import Boxed, Reader, decode, decode_first
from contracts.units import NanoTon
from contracts.wallet import Transfer, Wallet

COIN = NanoTon(10**9)
FRIEND = join_address(0, b"\x0f" * 32)
NOBODY = join_address(0, b"\xee" * 32)
WALLET = Wallet(b"\x05" * 32)
CHILD = Path(__file__).with_name("tonlib_child.py")
RUN_S = 120
LIBRARIES = {
    ("linux", "x86_64"): "linux/libtonlibjson.x86_64.so",
    ("linux", "aarch64"): "linux/libtonlibjson.aarch64.so",
    ("darwin", "x86_64"): "darwin/libtonlibjson.x86_64.dylib",
    ("darwin", "arm64"): "darwin/libtonlibjson.arm64.dylib",
}


def wall_clock() -> int:
    return int(datetime.now(UTC).timestamp())


def library() -> str:
    found = importlib.util.find_spec("pytonlib")
    name = LIBRARIES.get((sys.platform, platform.machine()))
    if found is None or found.origin is None or name is None:
        pytest.skip(
            "no tonlib here: pip install --no-deps --require-hashes -r requirements/conformance.txt"
        )
    return str(Path(found.origin).parent / "distlib" / name)


def gift(amount: int, now: int, seqno: int) -> bytes:
    transfer = Transfer(destination=FRIEND, value_nanoton=NanoTon(amount), bounce=False)
    return WALLET.transfer_message(seqno, [transfer], now + 600)


def cells_of(root: LibraryCell) -> set[bytes]:
    return {root.get_hash(0)}.union(*map(cells_of, root.refs))


class KeyedApi(LiteApi):
    """Proves every block over a key block, as a network does whose validators change."""

    def __init__(self, devnet: Devnet, ledger: Ledger) -> None:
        super().__init__(devnet)
        self.ledger, genesis = ledger, ledger.genesis
        moment = Moment(
            network_id=devnet.network_id, seqno=1, unix_s=ledger.by_seqno(1).unix_s,
            start_lt=1, end_lt=2,
        )  # fmt: skip
        self.key = make_block(
            moment, -1, (genesis.master, genesis.master), (BlockRef.of(genesis.master_id, 0), None),
            genesis.validator, key_config=genesis.config,
        )  # fmt: skip
        self.proven = 0

    async def answer(self, message: bytes) -> Boxed:
        query = decode_first(Reader(decode(message, lite.Query).data), *devnet_liteserver._QUERIES)
        if not isinstance(query, lite.GetBlockProof) or query.known_block == query.target_block:
            return await super().answer(message)
        target = self.ledger.last.master
        if query.target_block is not None and query.target_block.seqno:
            target = self.ledger.by_seqno(query.target_block.seqno).master
        zero = self.ledger.genesis.master_id
        (first,) = self.ledger.block_proof(zero, None).steps
        config = merkle_proof(self.key.root, cells_of(self.key.root))
        steps = [self.link(zero, first.config_proof, self.key)]
        steps.append(self.link(self.key.id, encode_roots([config]), target))
        if query.known_block == self.key.id:
            steps = steps[1:]
        self.proven += 1
        return lite.BlockProof(True, query.known_block, target.id, tuple(steps))

    def link(self, known: lite.BlockId, config_proof: bytes, to: Block) -> lite.LinkForward:
        dest = encode_roots([header_proof(to)])
        signed = self.ledger.genesis.validator.sign_block(to.id)
        return lite.LinkForward(to is self.key, known, to.id, dest, config_proof, signed)


async def test_both_clients_follow_a_key_block(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, start = library(), wall_clock()
    chain = EmbeddedChain(emulator, unix_s=start, real_blocks=True)
    chain.faucet(WALLET.address, NanoTon(5 * COIN))
    chain.send_external(gift(COIN, start, 0))
    async with (
        open_devnet(chain, clock=wall_clock) as devnet,
        trio.open_nursery() as nursery,
    ):
        api = KeyedApi(devnet, chain.ledger)
        monkeypatch.setattr(devnet_liteserver, "LiteApi", lambda _devnet: api)
        port = await nursery.start(partial(serve_liteserver, devnet, LOOPBACK, 0, seed=SEED))
        config = global_config(chain.ledger, SEED, LOOPBACK, port)
        saw = await ask_tonlib(path, config, [WALLET.address], "")
        assert saw["sync"]["@type"] == "ton.blockIdExt", saw["sync"]
        assert saw[WALLET.address]["state"]["@type"] == "raw.fullAccountState", saw
        assert api.proven
        written, trusted = parse_global_config(msgspec.json.encode(config)), tmp_path / "trusted"
        for _ in range(2):  # the second time from the key block that the first remembered
            async with open_liteserver(written, trust_path=trusted) as ours:
                account = await ours.account(WALLET.address)
            theirs = int(saw[WALLET.address]["state"]["balance"])
            assert account.balance_nanoton == theirs
            assert recall_trusted(trusted, written) == api.key.id
        nursery.cancel_scope.cancel()


async def ask_tonlib(path: str, config: dict, addresses: list[str], message: str) -> dict:
    asked = {"library": path, "config": config, "addresses": addresses, "message": message}
    with trio.fail_after(RUN_S):
        done = await trio.run_process(
            [sys.executable, str(CHILD)],
            stdin=json.dumps(asked).encode(),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return json.loads(done.stdout)


async def test_tonlib_sees_what_our_client_sees(emulator: Emulator) -> None:
    path = library()
    start = wall_clock()  # tonlib compares blocks with its own clock
    chain = EmbeddedChain(emulator, unix_s=start, real_blocks=True)
    chain.faucet(WALLET.address, NanoTon(5 * COIN))
    for number in range(3):
        chain.faucet(join_address(0, bytes([number]) * 32), COIN)
    chain.send_external(gift(COIN, start, 0))
    addresses = [WALLET.address, FRIEND, NOBODY]
    async with (
        open_devnet(chain, clock=wall_clock) as devnet,
        trio.open_nursery() as nursery,
    ):
        port = await nursery.start(partial(serve_liteserver, devnet, LOOPBACK, 0, seed=SEED))
        config = global_config(chain.ledger, SEED, LOOPBACK, port)
        message = base64.b64encode(gift(7, start, 1)).decode()
        saw = await ask_tonlib(path, config, addresses, message)
        assert saw["sync"]["@type"] == "ton.blockIdExt", saw["sync"]
        written = parse_global_config(msgspec.json.encode(config))
        async with open_liteserver(written) as ours:
            for address in addresses[1:]:
                account = await ours.account(address)
                theirs = saw[address]["state"]
                assert theirs["@type"] == "raw.fullAccountState", theirs
                sent_since = 7 if address == FRIEND else 0
                rent = max(0, int(theirs["balance"])) + sent_since - account.balance_nanoton
                assert 0 <= rent <= 10  # of the seconds in between
            wallet = saw[WALLET.address]["state"]
            account = await ours.account(WALLET.address)
            assert decode_boc(base64.b64decode(wallet["code"])).hash == account.code_hash
            records = await ours.transactions(WALLET.address)
            theirs = saw[WALLET.address]["transactions"]["transactions"]
            hashes = [base64.b64decode(each["transaction_id"]["hash"]) for each in theirs]
            assert hashes == [record.hash for record in records[:2]][::-1]
            assert saw["seqno"]["exit_code"] == 0, saw["seqno"]
            assert saw["seqno"]["stack"][0]["number"]["number"] == "1"
            assert (await ours.run_get_method(WALLET.address, "seqno")).stack == (2,)
            assert saw["sent"]["@type"] == "ok", saw["sent"]
            assert records[-1].out_messages[0].value_nanoton == 7
        nursery.cancel_scope.cancel()
