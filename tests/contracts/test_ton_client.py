"""A client of toncenter that we did not write, on our devnet: @ton/ton's TonClient from npm.

Needs Node.js and npm. The first run installs the pinned packages into the cache, by a lock
file whose SHA-512 sums npm checks; no script of a package is run.
"""

import json
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
import trio

from contracts.assets import assets_directory
from contracts.cells import join_address
from contracts.embedded import EmbeddedChain
from contracts.emulator import DEVNET_NETWORK_ID
from contracts.mnemonic import create_mnemonic, seed_of_mnemonic
from contracts.units import NanoTon
from contracts.wallet import Wallet

HERE = Path(__file__).parent / "ton_client"
COIN = NanoTon(10**9)
FRIEND = join_address(0, b"\x0f" * 32)
INSTALL_S = 180
RUN_S = 120


def installed() -> Path:
    """Install the packages once; the directory's name says which."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    lock = HERE / "package-lock.json"
    assert all(
        "integrity" in each
        for name, each in json.loads(lock.read_bytes())["packages"].items()
        if name
    )
    directory = assets_directory() / "test-clients" / sha256(lock.read_bytes()).hexdigest()[:16]
    if not (directory / "installed").exists():
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, directory / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
        if done.returncode:
            pytest.skip(f"npm could not install @ton/ton: {done.stderr[-300:]}")
        (directory / "installed").touch()
    shutil.copy(HERE / "client.mjs", directory / "client.mjs")
    return directory


async def test_tonclient_reads_sends_and_runs_get_methods(
    chain: EmbeddedChain, devnet_url: str
) -> None:
    directory = await trio.to_thread.run_sync(installed)
    words = create_mnemonic()
    seed = seed_of_mnemonic(words)
    v4, v5 = Wallet(seed, "v4r2"), Wallet(seed, "v5r1", DEVNET_NETWORK_ID)
    for wallet in (v4, v5):
        chain.faucet(wallet.address, NanoTon(5 * COIN))
    command = ["node", "client.mjs", devnet_url, " ".join(words), FRIEND, str(DEVNET_NETWORK_ID)]
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    with trio.fail_after(RUN_S):
        done = await trio.run_process(
            command, cwd=directory, env=environment, capture_stdout=True, capture_stderr=True,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    saw = json.loads(done.stdout)
    for name, wallet, sent in (("v4", v4, COIN), ("v5", v5, 2 * COIN)):
        one = saw[name]
        assert one["address"] == wallet.address
        assert one["public_key"] == wallet.public_key.hex()
        assert (one["before"], one["deployed_before"], one["seqno"]) == (str(5 * COIN), False, 1)
        assert one["after"] == str(chain.account(wallet.address).balance_nanoton)
        (record,) = chain.transactions(wallet.address)[1:]
        assert (one["lt"], one["sent"], one["paid"]) == (
            str(record.lt), str(sent), str(record.fees_nanoton),
        )  # fmt: skip
        assert 0 < one["gas_fee"] < int(one["paid"])
    assert saw["received"] == [str(2 * COIN), str(COIN)]
    assert saw["friend"] == str(chain.account(FRIEND).balance_nanoton)
    assert saw["friend_state"] == "uninitialized"
    assert saw["located"] == saw["v5"]["lt"]
    assert saw["shards"] == [[0, "-9223372036854775808", saw["seqno"]]]
    assert saw["block_transactions"] == 6
    assert saw["nobody_deployed"] is False
