"""The history of an account that is gone.

A chain forgets an account that destroyed itself: its state no longer says which transaction
was its last. But the blocks have it. Here is found, by halving, the last block of the
masterchain in which the account was, and then the transactions after that, each proven to
be in a block of the shard.
"""

from collections.abc import Iterable
from typing import Final

from contracts._proof_cells import decode_proof, proven_root
from contracts.cells import split_address
from contracts.errors import ChainUnavailable, InvalidData
from contracts.lite_connection import LiteConnection
from contracts.lite_messages import (
    MASTERCHAIN,
    WHOLE_SHARD,
    AccountId,
    AccountState,
    BlockHeader,
    BlockId,
    BlockTransactions,
    GetAccountState,
    GetBlockHeader,
    GetOneTransaction,
    ListBlockTransactions,
    LookupBlock,
    ShortBlockId,
    TransactionId3,
    TransactionInfo,
)
from contracts.proofs import (
    ProvenAccount,
    check_account,
    check_transaction,
    read_previous,
)
from contracts.records import Linked
from contracts.trusted_chain import TrustedChain, prove

LOOK_BACK_BLOCKS: Final = 1 << 20
SHARD_BLOCKS_MAX: Final = 64
LIST_MAX: Final = 64
_BY_SEQNO: Final = 1
_IDS_AFTER: Final = 0x87


class LastSeen:
    """Looks for the last block in which an account was.

    Args:
        trust: what is proven of the masterchain.
        connection: to a server.
        address: of the account, raw form.
    """

    def __init__(self, trust: TrustedChain, connection: LiteConnection, address: str) -> None:
        self._trust = trust
        self._connection = connection
        self._address = address
        self._account = AccountId.of(address)

    async def at(self, seqno: int) -> ProvenAccount:
        """Return the account as of a block of the masterchain.

        Raises:
            ChainUnavailable: the server has no such block any more, or can not prove it.
            InvalidData: it lies.
        """
        name = ShortBlockId(MASTERCHAIN, WHOLE_SHARD, seqno)
        found = await self._connection.ask(LookupBlock(_BY_SEQNO, name), BlockHeader)
        if (found.id.workchain, found.id.seqno) != (MASTERCHAIN, seqno):
            raise InvalidData(f"block {found.id} instead of {seqno}")
        header = await prove(self._trust, self._connection, found.id)
        query = GetAccountState(header.id, self._account)
        answer = await self._connection.ask(query, AccountState)
        return check_account(answer, header.id, self._address)

    async def before(self, seqno: int) -> tuple[int, ProvenAccount] | None:
        """Look for the account 1, 2, 4, ... blocks before *seqno*, where it is not.

        Returns:
            The number of a block in which it was, and what it was; None when it is not found
            as far back as the server goes, or the oldest trusted key block.
        """
        step = 1
        while step <= LOOK_BACK_BLOCKS and seqno - step > self._trust.oldest_seqno:
            try:
                account = await self.at(seqno - step)
            except ChainUnavailable:
                return None
            if account.info.last_transaction_lt:
                return seqno - step, account
            step *= 2
        return None

    async def between(
        self, alive: tuple[int, ProvenAccount], gone: tuple[int, ProvenAccount]
    ) -> tuple[ProvenAccount, ProvenAccount]:
        """Return the account in the last block in which it was, and in the one after."""
        while gone[0] - alive[0] > 1:
            middle = (alive[0] + gone[0]) // 2
            account = await self.at(middle)
            if account.info.last_transaction_lt:
                alive = middle, account
            else:
                gone = middle, account
        return alive[1], gone[1]

    async def last_transactions(self, alive: ProvenAccount, gone: ProvenAccount) -> list[Linked]:
        """Return the transactions from *alive* to the end, oldest first.

        Raises:
            ChainUnavailable: the server does not have the blocks in between.
            InvalidData: it lies.
        """
        last_lt, later = alive.info.last_transaction_lt, list[Linked]()
        for block in await self._shard_blocks(alive.shard_block, gone.shard_block):
            for lt in await self._listed(block, later[-1].record.lt if later else last_lt):
                query = GetOneTransaction(block, self._account, lt)
                answer = await self._connection.ask(query, TransactionInfo)
                later.append(check_transaction(answer, block, self._address, lt))
        return to_the_end(last_lt, alive.info.last_transaction_hash, later)

    async def _listed(self, block: BlockId, lt: int) -> list[int]:
        """Return when the account had transactions in *block*; a hint, not yet proven."""
        account = split_address(self._address)[1]
        after = TransactionId3(account, lt)
        query = ListBlockTransactions(block, _IDS_AFTER, LIST_MAX, after)
        listed = await self._connection.ask(query, BlockTransactions)
        if len(listed.ids) > LIST_MAX:
            raise InvalidData(f"{len(listed.ids)} transactions listed, not {LIST_MAX}")
        return sorted(each.lt for each in listed.ids if each.account == account and each.lt)

    async def _shard_blocks(self, after: BlockId, until: BlockId) -> list[BlockId]:
        blocks = [until]
        while blocks[-1].seqno > after.seqno + 1:
            if len(blocks) >= SHARD_BLOCKS_MAX:
                raise ChainUnavailable("too many blocks of the shard in between")
            query = GetBlockHeader(blocks[-1], 0)
            (proof,) = decode_proof(
                (await self._connection.ask(query, BlockHeader)).header_proof, roots=1
            )
            blocks.append(read_previous(proven_root(proof, blocks[-1].root_hash)))
        return blocks[::-1]


def to_the_end(lt: int, hash_: bytes, later: Iterable[Linked]) -> list[Linked]:
    """Return what of *later* follows from the transaction at *lt*, up to the account's end.

    What came to the address after that, in a later block, begins anew. It is left out: anybody
    can send something there.

    Raises:
        InvalidData: a transaction is missing, in between or at the end.
    """
    found: list[Linked] = []
    for linked in later:
        if found and found[-1].ended and not linked.before_lt:
            break
        if (linked.before_lt, linked.before_hash) != (lt, hash_):
            raise InvalidData("a transaction is missing in between")
        found.append(linked)
        lt, hash_ = linked.record.lt, linked.record.hash
    if not found or not found[-1].ended:
        raise InvalidData("an account that is gone without a last transaction")
    return found
