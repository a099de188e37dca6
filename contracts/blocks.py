"""Real blocks for a local chain: what a liteserver's client can check.

Every block of an `EmbeddedChain` becomes two of TON's: one of the basechain, whose state
holds the accounts, and one of the masterchain, whose state names it. The one validator
signs the latter; the zero state names the validator. All of it is a function of the chain's
seed and history, so it is the same after a restart.

What a block of a real network has beyond that is left empty here: descriptions of messages,
most of the older blocks in the masterchain's state, and what an update
changed.

Source: TON `crypto/block/block.tlb`.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, Self

import msgspec
from nacl.signing import SigningKey

from contracts._merkle import LibraryCell, encode_roots, merkle_update, put_below
from contracts.augmented import ACCOUNTS, BLOCK_ACCOUNTS, OLD_BLOCKS, Tree, write_label
from contracts.cells import Builder, Cell, encode_boc
from contracts.config import crc32c, with_validators
from contracts.lite_messages import (
    MASTERCHAIN,
    WHOLE_SHARD,
    BlockId,
    OrdinarySignatures,
    Signature,
    ZeroState,
)
from contracts.proofs import node_id

BASECHAIN: Final = 0
CATCHAIN_SEQNO: Final = 1
CONFIG_ADDRESS: Final = b"\x55" * 32
"""Of the contract that holds the parameters; there is none on a local chain."""

_VALIDATOR_WEIGHT: Final = 1
_VALIDATOR_SET_MAGIC: Final = 0x901660ED - (1 << 32)


class BlockRef(msgspec.Struct, frozen=True):
    """``ExtBlkRef``: an earlier block."""

    end_lt: int
    seqno: int
    root_hash: bytes
    file_hash: bytes

    @classmethod
    def of(cls, id_: BlockId, end_lt: int) -> Self:
        """Return the reference to a block."""
        return cls(end_lt, id_.seqno, id_.root_hash, id_.file_hash)

    def write(self, builder: Builder) -> Builder:
        """Append it."""
        builder.uint(self.end_lt, 64).uint(self.seqno, 32)
        return builder.raw(self.root_hash).raw(self.file_hash)


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """When a block is."""

    network_id: int
    seqno: int
    unix_s: int
    start_lt: int
    end_lt: int


class Validator:
    """The one validator of a local chain.

    Args:
        seed: of the chain.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(sha256(b"cocoon devnet validator" + seed).digest())
        self.key = bytes(self._key.verify_key)
        self.set_hash = crc32c(
            b"".join(
                (
                    _VALIDATOR_SET_MAGIC.to_bytes(4, "little", signed=True),
                    CATCHAIN_SEQNO.to_bytes(4, "little"),
                    (1).to_bytes(4, "little"),
                    self.key,
                    _VALIDATOR_WEIGHT.to_bytes(8, "little"),
                    bytes(32),
                )
            )
        )

    def sign(self, text: bytes) -> Signature:
        """Sign anything."""
        return Signature(node_id(self.key), self._key.sign(text).signature)

    def sign_block(self, block: BlockId) -> OrdinarySignatures:
        """Sign a block of the masterchain."""
        text = bytes.fromhex("706e0bc5") + block.root_hash + block.file_hash
        return OrdinarySignatures(self.set_hash, CATCHAIN_SEQNO, (self.sign(text),))

    def as_set(self) -> Cell:
        """Return the ``ValidatorSet`` with this one."""
        who = Builder().uint(0x53, 8).uint(0x8E81278A, 32).raw(self.key).uint(1, 64).end()
        members = write_label(0, 16, 16).inline(who).end()
        written = Builder().uint(0x12, 8).uint(0, 32).uint(2**32 - 1, 32).uint(1, 16).uint(1, 16)
        return written.uint(_VALIDATOR_WEIGHT, 64).maybe_ref(members).end()


NO_ACCOUNTS: Final = Tree(ACCOUNTS)
NO_BLOCKS: Final = Tree(OLD_BLOCKS)
NO_ACCOUNT_BLOCKS: Final = Tree(BLOCK_ACCOUNTS)

OLD_BLOCKS_KEPT: Final = 32
OLD_HUNDREDS_KEPT: Final = 1_700
"""Of older blocks, the masterchain's state keeps these many, and the hundredth of so many:
what the TVM can ask for (``PREVMCBLOCKS``, ``PREVMCBLOCKS_100``), and the zero state."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a shard after a block.

    Attributes:
        root: the ``ShardStateUnsplit``.
        accounts_cell: its ``ShardAccounts``.
        accounts: the same as a tree.
        custom: the masterchain's part.
        shards: the cells of its ``ShardHashes``, from the top.
    """

    root: Cell
    accounts_cell: Cell
    accounts: Tree = NO_ACCOUNTS
    custom: Cell | None = None
    shards: tuple[Cell, ...] = ()

    @property
    def total_nanoton(self) -> int:
        """The sum of all balances."""
        return self.accounts.told


class Block(msgspec.Struct, frozen=True):
    """A block and the state after it.

    Attributes:
        accounts_cell: its ``ShardAccountBlocks``.
    """

    id: BlockId
    root: LibraryCell
    state: State
    end_lt: int
    accounts_cell: Cell

    @property
    def ref(self) -> BlockRef:
        """How later blocks call it."""
        return BlockRef.of(self.id, self.end_lt)


def basechain_state(moment: Moment, accounts: Tree, master: BlockRef | None) -> State:
    """Return the state of the basechain."""
    cell = accounts.write(Builder()).end()
    root = _state(moment, BASECHAIN, cell, accounts.told, master=master)
    return State(root=root, accounts_cell=cell, accounts=accounts)


def masterchain_state(
    moment: Moment,
    config: Cell,
    validator: Validator,
    *,
    key_block: BlockRef | None = None,
    old_blocks: Tree = NO_BLOCKS,
    shard: BlockRef | None = None,
    total_nanoton: int = 0,
) -> State:
    """Return the state of the masterchain.

    Args:
        moment: of its block.
        config: all parameters, a ``Hashmap 32 ^Cell``.
        validator: who signs.
        key_block: the zero state; None in itself.
        old_blocks: those before this one, by number.
        shard: the newest block of the basechain; None before there is one.
        total_nanoton: all coins.
    """
    shards = () if shard is None else _shards(moment, shard)
    info = Builder().uint(0, 16).uint(validator.set_hash, 32).uint(CATCHAIN_SEQNO, 32).uint(0, 1)
    old_blocks.write(info).uint(key_block is None, 1).uint(key_block is not None, 1)
    if key_block is not None:
        key_block.write(info)
    custom = Builder().uint(0xCC26, 16).maybe_ref(shards[0] if shards else None)
    custom.raw(CONFIG_ADDRESS).ref(config).ref(info.end()).coins(total_nanoton).uint(0, 1)
    accounts, written = NO_ACCOUNTS.write(Builder()).end(), custom.end()
    root = _state(moment, MASTERCHAIN, accounts, 0, custom=written)
    return State(root=root, accounts_cell=accounts, custom=written, shards=shards)


def with_old_block(old_blocks: Tree, block: BlockRef) -> Tree:
    """Return *old_blocks* with one more: the newest, which makes some of the others go."""
    key = block.seqno == 0
    leaf = block.write(Builder().uint(key, 1)).end()
    old_blocks = old_blocks.put(block.seqno, leaf, key << 64 | block.end_lt)
    for forgotten in (block.seqno - OLD_BLOCKS_KEPT, block.seqno - OLD_HUNDREDS_KEPT):
        if forgotten > 0 and (forgotten % 100 or forgotten == block.seqno - OLD_HUNDREDS_KEPT):
            old_blocks = old_blocks.drop(forgotten)
    return old_blocks


def _shards(moment: Moment, shard: BlockRef) -> tuple[Cell, ...]:
    """Return ``ShardHashes`` with one shard: the dictionary's edge, and the cells below."""
    fees = Builder().uint(0, 2 * 5).end()
    tree = Builder().uint(0, 1).uint(0xA, 4).uint(shard.seqno, 32).uint(moment.seqno, 32)
    tree.uint(moment.start_lt, 64).uint(shard.end_lt, 64).raw(shard.root_hash).raw(shard.file_hash)
    tree.uint(0, 5 + 3).uint(CATCHAIN_SEQNO, 32).uint(1 << 63, 64)
    tree.uint(max(0, moment.seqno - 1), 32).uint(moment.unix_s, 32).uint(0, 1).ref(fees)
    leaf = tree.end()
    return write_label(BASECHAIN, 32, 32).ref(leaf).end(), leaf, fees


def _state(
    moment: Moment,
    workchain: int,
    accounts: Cell,
    total_nanoton: int,
    *,
    master: BlockRef | None = None,
    custom: Cell | None = None,
) -> Cell:
    queue = Builder().uint(0, 1 + 64 + 1 + 1).end()
    sums = Builder().uint(0, 128).coins(total_nanoton).uint(0, 1).uint(0, 5).uint(0, 1)
    sums = sums.uint(0, 1) if master is None else master.write(sums.uint(1, 1))
    state = Builder().uint(0x9023AFE2, 32).sint(moment.network_id, 32)
    _write_shard(state, workchain).uint(moment.seqno, 32).uint(0, 32)
    state.uint(moment.unix_s, 32).uint(moment.end_lt, 64).uint(max(0, moment.seqno - 1), 32)
    return state.ref(queue).uint(0, 1).ref(accounts).ref(sums.end()).maybe_ref(custom).end()


def _write_shard(builder: Builder, workchain: int) -> Builder:
    return builder.uint(0, 2 + 6).sint(workchain, 32).uint(0, 64)


def make_block(
    moment: Moment,
    workchain: int,
    states: tuple[State, State],
    refs: tuple[BlockRef, BlockRef | None],
    validator: Validator,
    *,
    key_config: Cell | None = None,
    accounts: Tree = NO_ACCOUNT_BLOCKS,
) -> Block:
    """Return a block.

    Args:
        moment: when it is.
        workchain: basechain or masterchain.
        states: before it and after it.
        refs: the block before it, and for the basechain the newest of the masterchain.
        validator: whose set made it.
        key_config: the parameters, which make it a key block of the masterchain.
        accounts: its transactions, see `account_block`.
    """
    accounts_cell = accounts.write(Builder()).end()
    before, after = states
    previous, master = refs
    top = Builder().uint(0x11EF55AA, 32).sint(moment.network_id, 32).end()
    root = put_below(
        top,
        (
            _info(moment, previous, master, validator, key=key_config is not None).inner,
            _value_flow(before.total_nanoton, after.total_nanoton).inner,
            merkle_update(before.root, after.root),
            _extra(moment, workchain, (after, accounts_cell), key_config).inner,
        ),
    )
    file_hash = sha256(encode_roots([root])).digest()
    id_ = BlockId(workchain, WHOLE_SHARD, moment.seqno, root.get_hash(0), file_hash)
    return Block(id_, root, after, moment.end_lt, accounts_cell)


def _info(
    moment: Moment, previous: BlockRef, master: BlockRef | None, by: Validator, *, key: bool
) -> Cell:
    workchain = MASTERCHAIN if master is None else BASECHAIN
    info = Builder().uint(0x9BC7A987, 32).uint(0, 32).uint(master is not None, 1)
    info.uint(0, 5).uint(key, 1).uint(0, 1 + 8).uint(moment.seqno, 32).uint(0, 32)
    _write_shard(info, workchain).uint(moment.unix_s, 32)
    info.uint(moment.start_lt, 64).uint(moment.end_lt, 64)
    info.uint(by.set_hash, 32).uint(CATCHAIN_SEQNO, 32)
    info.uint(max(0, moment.seqno - 1), 32).uint(0, 32)
    if master is not None:
        info.ref(master.write(Builder()).end())
    return info.ref(previous.write(Builder()).end()).end()


def _value_flow(before_nanoton: int, after_nanoton: int) -> Cell:
    """Return a ``ValueFlow``: what came or went beside the accounts counts as (un)ported."""
    came, went = max(0, after_nanoton - before_nanoton), max(0, before_nanoton - after_nanoton)
    first = Builder()
    for amount in (before_nanoton, after_nanoton, came, went):
        first.coins(amount).uint(0, 1)
    flow = Builder().uint(0xB8E48DFB, 32).ref(first.end()).uint(0, 5)
    return flow.ref(Builder().uint(0, 4 * 5).end()).end()


def _extra(
    moment: Moment, workchain: int, parts: tuple[State, Cell], key_config: Cell | None
) -> Cell:
    after, accounts = parts
    messages_in = Builder().uint(0, 1 + 4 + 5).end()
    messages_out = Builder().uint(0, 1 + 5).end()
    seed = sha256(b"seed" + moment.seqno.to_bytes(4, "big")).digest()
    extra = Builder().uint(0x4A33F6FD, 32).ref(messages_in).ref(messages_out).ref(accounts)
    extra.raw(seed).raw(bytes(32))
    if workchain != MASTERCHAIN:
        return extra.uint(0, 1).end()
    custom = Builder().uint(0xCCA5, 16).uint(key_config is not None, 1)
    custom.maybe_ref(after.shards[0] if after.shards else None)
    custom.uint(0, 1 + 5 + 5).ref(Builder().uint(0, 3).end())
    if key_config is not None:
        custom.raw(CONFIG_ADDRESS).ref(key_config)
    return extra.maybe_ref(custom.end()).end()


def account_block(account: bytes, transactions: Tree, cells: Sequence[Cell]) -> Cell:
    """Return the ``AccountBlock`` of an account.

    Args:
        account: 32 bytes.
        transactions: by logical time; at least one.
        cells: the same in order, as ``Transaction`` cells.
    """
    assert transactions.root is not None  # noqa: S101 - there is at least one
    before, after = cells[0].refs[1].parse(), cells[-1].refs[1].parse()
    update = Builder().uint(before.uint(8), 8).raw(before.raw(32))
    after.uint(8 + 256)
    update.raw(after.raw(32))
    block = Builder().uint(5, 4).raw(account).inline(transactions.root.cell)
    return block.ref(update.end()).end()


def zero_id(workchain: int, state: State) -> BlockId:
    """Return the name of a zero state."""
    file_hash = sha256(encode_boc(state.root)).digest()
    return BlockId(workchain, WHOLE_SHARD, 0, state.root.hash, file_hash)


class Genesis(msgspec.Struct, frozen=True):
    """What everything began with; a function of the network's id and the chain's seed."""

    validator: Validator
    config: Cell
    master: State
    base: State
    master_id: BlockId
    base_id: BlockId

    @classmethod
    def of(cls, network_id: int, seed: bytes, config: Cell) -> Self:
        """Return the zero states of a chain."""
        validator = Validator(seed)
        config = with_validators(config, validator.as_set())
        moment = Moment(network_id=network_id, seqno=0, unix_s=0, start_lt=0, end_lt=0)
        master = masterchain_state(moment, config, validator)
        base = basechain_state(moment, NO_ACCOUNTS, None)
        ids = zero_id(MASTERCHAIN, master), zero_id(BASECHAIN, base)
        return cls(validator, config, master, base, *ids)

    @property
    def zero_state(self) -> ZeroState:
        """The masterchain's, as liteservers call it."""
        return ZeroState(MASTERCHAIN, self.master_id.root_hash, self.master_id.file_hash)
