"""The official TON transaction emulator, in process.

The same C++ that validators run, compiled to WebAssembly for the npm package
``@ton/sandbox``; version and hashes are pinned in `assets.json`. `extract` takes it
out of the package, `open_emulator` starts it (the first start compiles for some
seconds, later ones load the compiled module).

Everything is a function of its arguments: time, logical time and randomness are
given, the module's own clock stands still.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts import assets
from contracts._emscripten import FAILURES, Instance, compiled_path, default_cache
from contracts.cells import Cell, decode_boc, encode_boc
from contracts.config import with_network_id
from contracts.errors import ChainUnavailable, InvalidData, MessageRejected

ASSET: Final = "ton-emulator"
GET_METHOD_GAS_MAX: Final = 10_000_000

DEVNET_NETWORK_ID: Final = 0x434F434E
"""Global id of our local networks ("COCN"): no mainnet or testnet signature is good there."""


class Emulated(msgspec.Struct, frozen=True):
    """What a transaction did.

    Attributes:
        transaction: the ``Transaction`` cell.
        shard_account: the ``ShardAccount`` afterwards, as a BoC in base64.
    """

    transaction: Cell
    shard_account: str


class GetMethodResult(msgspec.Struct, frozen=True):
    """What a get-method returned: a serialised ``VmStack``, exit code, gas used."""

    stack: Cell
    exit_code: int
    gas_used: int


def extract(package_tgz: Path, into: Path) -> None:
    """Take the emulator out of the tarball of the pinned ``@ton/sandbox``.

    Raises:
        InvalidData: it is not the pinned package.
    """
    assets.extract(ASSET, package_tgz, into)


def open_emulator(
    directory: Path | None = None,
    cache: Path | None = None,
    *,
    network_id: int = DEVNET_NETWORK_ID,
) -> "Emulator":
    """Start the emulator.

    Args:
        directory: where `extract` put it; the project's default when None.
        cache: where compiled modules are kept; beside the assets when None.
        network_id: the global id that contracts see.

    Raises:
        LocalContractError: it is not installed.
        InvalidData: the files are not the pinned ones.
    """
    directory = directory or assets.assets_directory() / ASSET
    pinned = assets.pinned(ASSET)
    wasm, glue, config = (
        assets.read_asset(pinned, directory, name)
        for name in ("emulator.wasm", "emulator.js", "config.boc")
    )
    boc = encode_boc(with_network_id(decode_boc(config), network_id))
    compiled = cache or default_cache(directory.parent)
    return Emulator(
        lambda: Instance(wasm, glue.decode(), compiled), base64.b64encode(boc), network_id
    )


def is_compiled(directory: Path | None = None, cache: Path | None = None) -> bool:
    """Tell whether `open_emulator`, with the same arguments, will start at once.

    Raises:
        LocalContractError: it is not installed.
    """
    directory = directory or assets.assets_directory() / ASSET
    wasm = assets.read_asset(assets.pinned(ASSET), directory, "emulator.wasm")
    return compiled_path(wasm, cache or default_cache(directory.parent)).exists()


class Emulator:
    """A running emulator; made by `open_emulator`. Not for use by several threads at once.

    Attributes:
        network_id: the global id that contracts see.
    """

    def __init__(
        self, new_instance: Callable[[], Instance], config: bytes, network_id: int
    ) -> None:
        self.network_id = network_id
        self._new_instance = new_instance
        self._config_boc = config
        self._start()

    @property
    def config(self) -> Cell:
        """The network's parameters, a ``Hashmap 32 ^Cell``."""
        return decode_boc(base64.b64decode(self._config_boc))

    def _start(self) -> None:
        self._instance = self._new_instance()
        self._config = self._instance.new_string(self._config_boc)
        self._emulator = self._instance.call("_create_emulator", self._config, 0)
        if not self._emulator:
            raise InvalidData("the emulator refuses its configuration")

    def run_transaction(
        self,
        shard_account: str,
        message: Cell,
        *,
        now_unix_s: int,
        lt: int,
        seed: bytes,
        ignore_signatures: bool = False,
    ) -> Emulated:
        """Run one message on one account.

        Args:
            shard_account: the account before, as a BoC in base64.
            message: the ``Message``, internal or external.
            now_unix_s: time of the block.
            lt: the least logical time that the transaction may have.
            seed: the block's randomness, 32 bytes.
            ignore_signatures: take every signature for a good one: for estimates only.

        Raises:
            MessageRejected: the account did not accept an external message.
            ChainUnavailable: the emulator failed.
        """
        params = {
            "utime": now_unix_s,
            "lt": str(lt),
            "rand_seed": seed.hex(),
            "ignore_chksig": ignore_signatures,
            "debug_enabled": False,
        }
        output = self._ask(
            "_emulate_with_emulator",
            (self._emulator, 0),
            (shard_account.encode(), _to_base64(message), json.dumps(params).encode()),
        )
        if not output.get("success"):
            code = output.get("vm_exit_code")
            raise MessageRejected(f"not accepted: {output.get('error')}", exit_code=code)
        transaction = decode_boc(base64.b64decode(output["transaction"]), check_sum=False)
        return Emulated(transaction, output["shard_account"])

    def run_get_method(
        self,
        *,
        code: Cell,
        data: Cell,
        address: str,
        balance_nanoton: int,
        now_unix_s: int,
        method_id: int,
        stack: Cell,
    ) -> GetMethodResult:
        """Run a get-method; changes nothing.

        Raises:
            ChainUnavailable: the emulator failed.
        """
        params = {
            "code": _to_base64(code).decode(),
            "data": _to_base64(data).decode(),
            "verbosity": 0,
            "libs": "",
            "address": address,
            "unixtime": now_unix_s,
            "balance": str(balance_nanoton),
            "rand_seed": "00" * 32,
            "gas_limit": str(GET_METHOD_GAS_MAX),
            "method_id": method_id,
            "debug_enabled": False,
        }
        texts = (json.dumps(params).encode(), _to_base64(stack))
        output = self._ask("_run_get_method", (), texts, (self._config,))
        if not output.get("success"):
            raise InvalidData(f"get-method: {output.get('error')}")
        returned = decode_boc(base64.b64decode(output["stack"]), check_sum=False)
        return GetMethodResult(returned, int(output["vm_exit_code"]), int(output["gas_used"]))

    def _ask(
        self,
        function: str,
        before: tuple[int, ...],
        texts: tuple[bytes, ...],
        after: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        try:
            pointers = self._instance.place(texts)
            answer = self._instance.call(function, *before, *pointers, *after)
            reply = json.loads(self._instance.take_string(answer))
        except FAILURES as error:
            self._start()  # a trapped instance is in no defined state
            raise ChainUnavailable(f"the emulator trapped: {error}") from error
        if reply.get("fail") or "output" not in reply:
            raise InvalidData(f"the emulator refuses its input: {reply.get('message')}")
        output: dict[str, Any] = reply["output"]
        return output


def _to_base64(cell: Cell) -> bytes:
    return base64.b64encode(encode_boc(cell))
