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

from contracts.cells import decode_boc, join_address
from contracts.devnet_liteserver import global_config, serve_liteserver
from contracts.devnet_service import open_devnet
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.lite_config import parse_global_config
from contracts.liteserver import open_liteserver
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
        asked = {
            "library": path,
            "config": config,
            "addresses": addresses,
            "message": base64.b64encode(gift(7, start, 1)).decode(),
        }
        with trio.fail_after(RUN_S):
            done = await trio.run_process(
                [sys.executable, str(CHILD)],
                stdin=json.dumps(asked).encode(),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
        saw = json.loads(done.stdout)
        assert saw["sync"]["@type"] == "ton.blockIdExt", saw["sync"]
        written = parse_global_config(msgspec.json.encode(config))
        async with open_liteserver(written) as ours:
            for address in addresses[1:]:
                account = await ours.account(address)
                theirs = saw[address]["state"]
                assert theirs["@type"] == "raw.fullAccountState", theirs
                sent_since = 7 if address == FRIEND else 0
                assert max(0, int(theirs["balance"])) == account.balance_nanoton - sent_since
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
