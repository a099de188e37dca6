"""The real blocks of a local chain, and the proofs that a liteserver gives from them.

An `EmbeddedChain` with a `Ledger` asks it for every block (`add`), and takes its hashes. The
ledger keeps as many blocks as the chain, each with its state; states share what is equal.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from contracts import tlb
from contracts._merkle import LibraryCell, encode_roots, merkle_proof
from contracts.augmented import BLOCK_TRANSACTIONS, Tree
from contracts.blocks import (
    BASECHAIN,
    NO_ACCOUNT_BLOCKS,
    NO_ACCOUNTS,
    NO_BLOCKS,
    Block,
    BlockRef,
    Genesis,
    Moment,
    State,
    account_block,
    basechain_state,
    make_block,
    masterchain_state,
    with_old_block,
)
from contracts.cells import Builder, Cell, decode_boc, encode_boc, split_address
from contracts.errors import ChainUnavailable, InvalidData
from contracts.lite_messages import (
    MASTERCHAIN,
    AccountState,
    BlockId,
    BlockProof,
    ConfigInfo,
    LinkForward,
    MasterchainInfo,
    TransactionInfo,
)

BLOCKS_KEPT: Final = 1024


class Done(NamedTuple):
    """A transaction of a block: whose, when, for how much, and its cell."""

    account: bytes
    lt: int
    fees_nanoton: int
    cell: Cell


class Pair(msgspec.Struct, frozen=True):
    """A block of the masterchain, and the basechain's that it names.

    Attributes:
        accounts: ``ShardAccountBlocks`` of the latter.
        transactions: of each account in it, by logical time.
    """

    master: Block
    base: Block
    unix_s: int
    accounts: Tree
    transactions: dict[bytes, Tree]


class Ledger:
    """Makes and keeps real blocks.

    Args:
        network_id: the global id.
        seed: of the chain.
        config: the network's parameters.
    """

    def __init__(self, network_id: int, seed: bytes, config: Cell) -> None:
        self.genesis = Genesis.of(network_id, seed, config)
        self._network_id = network_id
        self._pairs: dict[int, Pair] = {}
        self._accounts = NO_ACCOUNTS
        self._old_blocks: Tree = NO_BLOCKS
        self._last: Pair | None = None
        self._base: tuple[State, BlockRef] = (
            self.genesis.base,
            BlockRef.of(self.genesis.base_id, 0),
        )
        self._master: tuple[State, BlockRef] = (
            self.genesis.master,
            BlockRef.of(self.genesis.master_id, 0),
        )

    @property
    def last(self) -> Pair:
        """The newest blocks.

        Raises:
            ChainUnavailable: there are none yet.
        """
        if self._last is None:
            raise ChainUnavailable("there is no block yet")
        return self._last

    def start_from(
        self,
        moment: Moment,
        shards: Mapping[str, str],
        master: BlockRef,
        base: BlockRef,
        old_blocks: Iterable[BlockRef] = (),
    ) -> None:
        """Go on from a chain whose earlier blocks are not kept here.

        Args:
            moment: of its newest block.
            shards: its accounts, by address, as ``ShardAccount`` BoCs in base64.
            master: what its newest block of the masterchain is called.
            base: and that of the basechain.
            old_blocks: earlier blocks of the masterchain, oldest first.
        """
        self._pairs.clear()
        self._last = None
        self._accounts = NO_ACCOUNTS
        self._update(shards)
        self._base = basechain_state(moment, self._accounts, None), base
        self._old_blocks = with_old_block(NO_BLOCKS, BlockRef.of(self.genesis.master_id, 0))
        for ref in (*old_blocks, master):
            self._old_blocks = with_old_block(self._old_blocks, ref)
        self._master = self._master_state(moment, base), master

    def add(self, moment: Moment, changed: Mapping[str, str], done: Sequence[Done] = ()) -> Pair:
        """Make the next blocks.

        Args:
            moment: of the blocks.
            changed: accounts that are new or other than before, as ``ShardAccount`` BoCs.
            done: the transactions, by logical time.
        """
        self._update(changed)
        (base_before, base_ref), (master_before, master_ref) = self._base, self._master
        self._old_blocks = with_old_block(self._old_blocks, master_ref)
        base_state = basechain_state(moment, self._accounts, master_ref)
        accounts, transactions = _account_blocks(done)
        base = make_block(
            moment,
            BASECHAIN,
            (base_before, base_state),
            (base_ref, master_ref),
            self.genesis.validator,
            accounts=accounts,
        )
        master_state = self._master_state(moment, base.ref)
        master = make_block(
            moment,
            MASTERCHAIN,
            (master_before, master_state),
            (master_ref, None),
            self.genesis.validator,
        )
        self._base, self._master = (base_state, base.ref), (master_state, master.ref)
        self._last = pair = Pair(master, base, moment.unix_s, accounts, transactions)
        self._pairs[moment.seqno] = pair
        self._pairs.pop(moment.seqno - BLOCKS_KEPT, None)
        return pair

    def masterchain_info(self) -> MasterchainInfo:
        """Return what the newest block is."""
        master = self.last.master
        return MasterchainInfo(master.id, master.state.root.hash, self.genesis.zero_state)

    def pair(self, id_: BlockId) -> Pair:
        """Return the blocks of which one is called *id_*.

        Raises:
            ChainUnavailable: there is no such block, or it is too old.
        """
        pair = self._pairs.get(id_.seqno)
        if pair is None or id_ not in (pair.master.id, pair.base.id):
            raise ChainUnavailable(f"block {id_} is not in db")
        return pair

    def by_seqno(self, seqno: int) -> Pair:
        """Return the blocks numbered *seqno*.

        Raises:
            ChainUnavailable: there are none, or they are too old.
        """
        pair = self._pairs.get(seqno)
        if pair is None:
            raise ChainUnavailable(f"block {seqno} is not in db")
        return pair

    def first_where(self, after: int, *, lt: bool) -> Pair:
        """Return the first blocks that end at *after* or later, by logical time or by time.

        Raises:
            ChainUnavailable: there are none, or they are too old.
        """
        for pair in self._pairs.values():
            if (pair.master.end_lt if lt else pair.unix_s) >= after:
                return pair
        raise ChainUnavailable("block is not in db")

    def account_state(self, id_: BlockId, address: str) -> AccountState:
        """Return an account as of a block of the masterchain, with the proofs.

        Raises:
            ChainUnavailable: that block is not kept.
            InvalidData: there can be no such account here.
        """
        pair = self.pair(id_)
        workchain, account = split_address(address)
        if workchain == MASTERCHAIN:
            return _absent(pair.master, id_)
        if workchain != BASECHAIN:
            raise InvalidData(f"there is no workchain {workchain} here")
        key = int.from_bytes(account, "big")
        base, accounts = pair.base, pair.base.state.accounts
        leaf = accounts.find(key)
        return AccountState(
            id=pair.master.id,
            shard_block=base.id,
            shard_proof=encode_roots(
                [header_proof(pair.master), _state_proof(pair.master, pair.master.state.shards)]
            ),
            proof=encode_roots([header_proof(base), _state_proof(base, accounts.path(key))]),
            state=b"" if leaf is None else encode_boc(leaf.refs[0]),
        )

    def one_transaction(self, id_: BlockId, address: str, lt: int) -> TransactionInfo:
        """Return a transaction, with the proof that it is in a block.

        Raises:
            ChainUnavailable: that block is not kept, or the transaction is not in it.
        """
        pair, key = self.pair(id_), int.from_bytes(split_address(address)[1], "big")
        found = pair.transactions.get(split_address(address)[1])
        leaf = None if found is None else found.find(lt)
        if id_ != pair.base.id or found is None or leaf is None:
            raise ChainUnavailable("the transaction is not in the block")
        extra = pair.base.root.refs[3]
        shown = {pair.base.root.get_hash(0), extra.get_hash(0), pair.base.accounts_cell.hash}
        shown |= {cell.hash for cell in (*pair.accounts.path(key), *found.path(lt))}
        proof = encode_roots([merkle_proof(pair.base.root, shown)])
        return TransactionInfo(id_, proof, encode_boc(leaf.refs[0]))

    def block_transactions(
        self, id_: BlockId, after: tuple[bytes, int], count: int
    ) -> tuple[list[tuple[bytes, int, bytes]], bool]:
        """Return account, logical time and hash of a block's transactions after a place.

        Returns:
            At most *count* of them, by account and logical time, and whether there are more.

        Raises:
            ChainUnavailable: that block is not kept.
        """
        pair = self.pair(id_)
        found = [
            (account, lt, leaf.refs[0].hash)
            for account, tree in sorted(pair.transactions.items())
            for lt, leaf in tree.items()
            if id_ == pair.base.id and (account, lt) > after
        ]
        return found[:count], len(found) > count

    def block_proof(self, known: BlockId, target: BlockId | None) -> BlockProof:
        """Return how a block follows from the zero state.

        Raises:
            ChainUnavailable: *known* is not the zero state, or *target* is not kept.
        """
        goal = self.last.master.id if target is None else target
        if known == goal:
            return BlockProof(complete=True, from_block=known, to=known, steps=())
        master = self.pair(goal).master
        if known != self.genesis.master_id:
            raise ChainUnavailable(f"the only key block of this chain is not {known}")
        link = LinkForward(
            to_key_block=False,
            from_block=known,
            to=master.id,
            dest_proof=encode_roots([header_proof(master)]),
            config_proof=encode_roots([_config_proof(self.genesis.master)]),
            signatures=self.genesis.validator.sign_block(master.id),
        )
        return BlockProof(complete=True, from_block=known, to=master.id, steps=(link,))

    def config(self, id_: BlockId, mode: int) -> ConfigInfo:
        """Return all parameters as of a block of the masterchain, with the proofs.

        Raises:
            ChainUnavailable: that block is not kept.
        """
        master = self.pair(id_).master
        state_proof, config_proof = header_proof(master), _config_proof(master.state)
        return ConfigInfo(mode, id_, encode_roots([state_proof]), encode_roots([config_proof]))

    def _master_state(self, moment: Moment, base: BlockRef) -> State:
        return masterchain_state(
            moment,
            self.genesis.config,
            self.genesis.validator,
            key_block=BlockRef.of(self.genesis.master_id, 0),
            old_blocks=self._old_blocks,
            shard=base,
            total_nanoton=self._accounts.told,
        )

    def _update(self, changed: Mapping[str, str]) -> None:
        for address, boc in changed.items():
            workchain, account = split_address(address)
            if workchain != BASECHAIN:
                continue
            cell = decode_boc(base64.b64decode(boc), check_sum=False)
            info, key = tlb.parse_shard_account(cell), int.from_bytes(account, "big")
            if info.status == "nonexist":
                self._accounts = self._accounts.drop(key)
            else:
                self._accounts = self._accounts.put(key, cell, info.balance_nanoton)


def _account_blocks(done: Sequence[Done]) -> tuple[Tree, dict[bytes, Tree]]:
    accounts, transactions = NO_ACCOUNT_BLOCKS, dict[bytes, Tree]()
    cells: dict[bytes, list[Cell]] = {}
    for account, lt, fees_nanoton, cell in done:
        tree = transactions.get(account, Tree(BLOCK_TRANSACTIONS))
        transactions[account] = tree.put(lt, Builder().ref(cell).end(), fees_nanoton)
        cells.setdefault(account, []).append(cell)
    for account, tree in transactions.items():
        block = account_block(account, tree, cells[account])
        accounts = accounts.put(int.from_bytes(account, "big"), block, tree.told)
    return accounts, transactions


def all_cells(root: Cell) -> list[Cell]:
    """Return every distinct cell below *root*, and itself."""
    found: dict[bytes, Cell] = {}
    stack = [root]
    while stack:
        cell = stack.pop()
        if cell.hash not in found:
            found[cell.hash] = cell
            stack.extend(cell.refs)
    return list(found.values())


def _config_proof(state: State) -> LibraryCell:
    """Return the proof of the whole of the masterchain's part of its state."""
    assert state.custom is not None  # noqa: S101 - a masterchain's state has it
    sums = state.root.refs[2]
    shown = {state.root.hash, sums.hash, *(cell.hash for cell in all_cells(state.custom))}
    return merkle_proof(state.root.inner, shown)


def header_proof(block: Block) -> LibraryCell:
    """Return the proof of what a block says about itself."""
    info, _, update, _ = block.root.refs
    shown = {block.root.get_hash(0), info.hash, update.get_hash(0)}
    return merkle_proof(block.root, shown | {ref.hash for ref in info.refs})


def _state_proof(block: Block, below: tuple[Cell, ...] | list[Cell]) -> LibraryCell:
    """Return the proof of a part of the state after *block*."""
    state = block.state
    sums = state.root.refs[2]  # readers of a state read it with the state's own cell
    shown = {state.root.hash, state.accounts_cell.hash, sums.hash, *(cell.hash for cell in below)}
    if state.custom is not None:
        shown |= {state.custom.hash, state.custom.refs[-1].hash}
    return merkle_proof(state.root.inner, shown)


def _absent(master: Block, id_: BlockId) -> AccountState:
    proof = encode_roots([header_proof(master), _state_proof(master, ())])
    return AccountState(id_, id_, b"", proof, b"")
