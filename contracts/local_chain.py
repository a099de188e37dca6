"""A local network in this very process, as a `Chain`: no server, no port."""

from collections.abc import Sequence

from contracts.address import parse_address
from contracts.cells import decode_boc
from contracts.chain import Account, MethodResult, TransactionRecord
from contracts.devnet_service import Devnet
from contracts.errors import InvalidData, LocalContractError
from contracts.vm_stack import StackValue, decode_stack, encode_stack


class LocalChain:
    """A `Chain` on a devnet.

    Args:
        devnet: made by `contracts.devnet_service.open_devnet`.
    """

    def __init__(self, devnet: Devnet) -> None:
        self._devnet = devnet

    @property
    def network_id(self) -> int:
        """The global id that signatures are bound to."""
        return self._devnet.network_id

    async def now_unix_s(self) -> int:
        """Return the time of the newest block."""
        return (await self._devnet.head()).unix_s

    async def account(self, address: str) -> Account:
        """Return the newest state of *address*.

        Raises:
            InvalidData: *address* is none.
        """
        account, _, _ = await self._devnet.account(parse_address(address))
        return account

    async def send(self, message_boc: bytes) -> bytes:
        """Hand in an external message; return its hash.

        Raises:
            MessageRejected: the contract refused it.
            LocalContractError: it is not a message.
        """
        try:
            decode_boc(message_boc)
        except InvalidData as error:
            raise LocalContractError(f"not a message: {error}") from error
        return await self._devnet.send(message_boc)

    async def transactions(
        self, address: str, *, since_lt: int = 0, limit: int = 100, heir: str = ""
    ) -> list[TransactionRecord]:
        """Return the transactions of *address* with ``lt > since_lt``, oldest first.

        Raises:
            InvalidData: *address* is none.
        """
        del heir  # nothing is forgotten here
        stored = await self._devnet.transactions(parse_address(address))
        return [item.record for item in stored if item.record.lt > since_lt][:limit]

    async def run_get_method(
        self, address: str, method: str | int, arguments: Sequence[StackValue] = ()
    ) -> MethodResult:
        """Run a get-method on the newest state.

        Raises:
            InvalidData: there is no contract, or it takes no such arguments.
        """
        stack = encode_stack(list(arguments))
        result = await self._devnet.run_get_method(parse_address(address), method, stack)
        return MethodResult(tuple(decode_stack(result.stack)), result.exit_code, result.gas_used)
