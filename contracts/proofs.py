"""Why to believe a liteserver: block headers, accounts and signatures, checked.

The chain of reasons, from what the user trusts to what was asked:

    a key block (or zero state) that is trusted, which names the validators
      -> `check_forward`: two thirds of them, by weight, signed a later block
      -> `check_account`: that block's state names a block of the account's shard,
         whose state has this account, or shows that it does not exist

Pure and synchronous. Everything that does not follow raises InvalidData.

Sources: TON `crypto/block/check-proof.cpp`, `crypto/block/block.tlb`;
`validator/consensus/simplex` for what is signed since 2026.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final, TypeVar

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from contracts import tlb
from contracts._proof_cells import (
    LibraryCell,
    ProofSlice,
    decode_as_far_as_read,
    decode_proof,
    find,
    find_from,
    first_hash,
    proven_root,
    state_hash_of,
)
from contracts.cells import BOC_BYTES_MAX, Builder, Cell, decode_boc, split_address
from contracts.errors import InvalidData
from contracts.lite_messages import (
    MASTERCHAIN,
    WHOLE_SHARD,
    AccountState,
    BlockId,
    DataToSign,
    EmptyCandidate,
    FinalizeVote,
    LinkForward,
    OrdinaryCandidate,
    OrdinarySignatures,
    Signature,
    SimplexSignatures,
    TransactionInfo,
    TransactionList,
)
from contracts.records import Linked, read_transaction
from contracts.tl import Reader, decode_first, encode

T = TypeVar("T")

TRANSACTIONS_MAX: Final = 16
"""What a liteserver gives at once."""

VALIDATORS_MAX: Final = 1000
SHARD_DEPTH_MAX: Final = 60

_ACCOUNT_BLOCK: Final = 5
_BLOCK: Final = 0x11EF55AA
_BLOCK_INFO: Final = 0x9BC7A987
_STATE: Final = 0x9023AFE2
_EXTRA: Final = 0x4A33F6FD
_MC_STATE: Final = 0xCC26
_MC_BLOCK: Final = 0xCCA5
_SHARD_TAGS: Final = (0xA, 0xB)
_VALIDATOR: Final = 0x53
_VALIDATOR_WITH_ADDRESS: Final = 0x73
_VALIDATOR_SET: Final = 0x11
_VALIDATOR_SET_WITH_WEIGHT: Final = 0x12
_ED25519: Final = 0x8E81278A
_NODE_ID: Final = bytes.fromhex("c6b41348")
_SIGNED_BLOCK: Final = bytes.fromhex("706e0bc5")
_CURRENT_VALIDATORS: Final = (35, 34)
"""Configuration parameters: temporary ones first, if any."""


class Unreadable(InvalidData):
    """It is proven, but of a kind or size that we do not read: nobody's lie."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a proven block says about itself.

    Attributes:
        network_id: the global id of the network.
        state_hash: of the state after it.
    """

    id: BlockId
    network_id: int
    key_block: bool
    unix_s: int
    end_lt: int
    state_hash: bytes


class Validator(msgspec.Struct, frozen=True):
    """Who may sign masterchain blocks: Ed25519 key, and how much the signature counts."""

    key: bytes
    weight: int


class ProvenAccount(msgspec.Struct, frozen=True):
    """An account that a trusted block vouches for.

    Attributes:
        unix_s: the time of the shard's block that it is of.
        shard_block: that block.
        master_seqno: the masterchain's block that was asked for.
    """

    info: tlb.AccountInfo
    unix_s: int
    shard_block: BlockId
    master_seqno: int


def read_header(block: LibraryCell, expected: BlockId) -> Header:
    """Read the header of a block, whose hash was checked, and compare it with its name."""
    reader = ProofSlice(block)
    if reader.uint(32) != _BLOCK:
        raise InvalidData("not a block")
    network_id = reader.sint(32)
    info = ProofSlice(reader.below())
    if info.uint(32) != _BLOCK_INFO:
        raise InvalidData("not a block")
    info.uint(32)
    not_master = info.flag()
    info.uint(5)
    key_block = info.flag()
    info.uint(1 + 8)
    seqno, _ = info.uint(32), info.uint(32)
    workchain, shard = _shard(info)
    unix_s, _, end_lt = info.uint(32), info.uint(64), info.uint(64)
    named = (expected.workchain, expected.shard, expected.seqno)
    if (workchain, shard, seqno) != named or not_master != (workchain != MASTERCHAIN):
        raise InvalidData(f"{expected} is called something else by itself")
    return Header(
        id=expected,
        network_id=network_id,
        key_block=key_block,
        unix_s=unix_s,
        end_lt=end_lt,
        state_hash=state_hash_of(block),
    )


def read_previous(block: LibraryCell) -> BlockId:
    """Return the block before a proven one of a shard that was neither split nor merged then.

    Raises:
        InvalidData: it was, or the proof does not show.
    """
    top = ProofSlice(block)
    top.uint(64)
    info = ProofSlice(top.below())
    info.uint(64)
    not_master, after_merge, _, after_split = (info.flag() for _ in range(4))
    info.uint(4 + 8 + 64)
    workchain, shard = _shard(info)
    if not_master:
        info.below()
    previous = ProofSlice(info.below())
    previous.uint(64)
    if after_merge or after_split:
        raise InvalidData("a shard that was split or merged")
    return BlockId(workchain, shard, previous.uint(32), previous.raw(32), previous.raw(32))


def _shard(reader: ProofSlice) -> tuple[int, int]:
    """Read a ``ShardIdent``; return workchain and shard as the signed number of TL."""
    size = reader.uint(2 + 6)
    workchain, prefix = reader.sint(32), reader.uint(64)
    if size > SHARD_DEPTH_MAX:
        raise InvalidData("not a shard")
    shard = prefix | 1 << (63 - size)
    return workchain, shard - (1 << 64) if shard >> 63 else shard


# --- accounts ---


def check_account(answer: AccountState, trusted: BlockId, address: str) -> ProvenAccount:
    """Return the account that *answer* proves, absent ones included.

    Args:
        answer: of a liteserver.
        trusted: the masterchain block that was asked for.
        address: raw form.

    Raises:
        InvalidData: it proves nothing, or something else.
        Unreadable: the account is of a kind or size that we do not read.
    """
    if answer.id != trusted:
        raise InvalidData(f"an account as of {answer.id}, not {trusted}")
    workchain, account = split_address(address)
    if workchain == MASTERCHAIN:
        if answer.shard_block != trusted:
            raise InvalidData("an account of the masterchain from another block")
    else:
        found = _shard_block(answer.shard_proof, trusted, workchain, account)
        if found != answer.shard_block:
            raise InvalidData(f"{answer.shard_block} is not the newest block of the shard")
    block, state = decode_proof(answer.proof, roots=2)
    header = read_header(
        proven_root(block, answer.shard_block.root_hash), expected=answer.shard_block
    )
    leaf = _find_account(proven_root(state, header.state_hash), account)
    info = _open_account(leaf, answer.state)
    return ProvenAccount(info, header.unix_s, answer.shard_block, trusted.seqno)


def _shard_block(proof: bytes, trusted: BlockId, workchain: int, account: bytes) -> BlockId:
    """Return the newest block of an account's shard, as the masterchain knows it."""
    block, state = decode_proof(proof, roots=2)
    header = read_header(proven_root(block, trusted.root_hash), trusted)
    shards = _mc_extra(proven_root(state, header.state_hash)).maybe_below()
    leaf = None if shards is None else find(shards, workchain % 2**32, 32)
    if leaf is None:
        raise InvalidData(f"no workchain {workchain}")
    tree, prefix = ProofSlice(leaf.below()), int.from_bytes(account[:8], "big")
    depth = 0
    while tree.flag():
        depth += 1
        first, second = tree.below(), tree.below()
        tree = ProofSlice(second if prefix >> (64 - depth) & 1 else first)
        if depth > SHARD_DEPTH_MAX:
            raise InvalidData("shards nest too deeply")
    if tree.uint(4) not in _SHARD_TAGS:
        raise InvalidData("not a shard")
    seqno = tree.uint(32)
    tree.uint(32 + 64 + 64)
    marker = 1 << (63 - depth)
    shard = prefix & ~((marker << 1) - 1) | marker
    signed = shard - (1 << 64) if shard >> 63 else shard
    return BlockId(workchain, signed, seqno, tree.raw(32), tree.raw(32))


def _state_fields(state: LibraryCell) -> tuple[LibraryCell, LibraryCell | None]:
    """Return ``accounts`` and ``custom`` of a ``ShardStateUnsplit``."""
    reader = ProofSlice(state)
    if reader.uint(32) != _STATE:
        raise InvalidData("not a state")
    reader.uint(32 + 104 + 32 + 32)
    reader.uint(32 + 64 + 32)
    reader.below()
    reader.uint(1)
    accounts = reader.below()
    reader.below()
    return accounts, reader.maybe_below()


def _mc_extra(state: LibraryCell) -> ProofSlice:
    """Return the masterchain's part of its state, from ``shard_hashes`` on."""
    custom = _state_fields(state)[1]
    if custom is None:
        raise InvalidData("not the state of the masterchain")
    reader = ProofSlice(custom)
    if reader.uint(16) != _MC_STATE:
        raise InvalidData("not the state of the masterchain")
    return reader


def _find_account(state: LibraryCell, account: bytes) -> ProofSlice | None:
    accounts = ProofSlice(_state_fields(state)[0]).maybe_below()
    return None if accounts is None else find(accounts, int.from_bytes(account, "big"), 256)


def _open_account(leaf: ProofSlice | None, state: bytes) -> tlb.AccountInfo:
    if leaf is None:
        if state:
            raise InvalidData("an account that the proof shows not to exist")
        return tlb.AccountInfo()
    leaf.uint(5)
    leaf.skip_currencies()
    account, last_hash, last_lt = leaf.below(), leaf.raw(32), leaf.uint(64)
    root = _blaming(decode_boc, state, account.get_hash(0)) if state else _NO_ACCOUNT
    if root.hash != account.get_hash(0):
        raise InvalidData("an account that is not the proven one")
    shard_account = Builder().ref(root).raw(last_hash).uint(last_lt, 64).end()
    try:
        return tlb.parse_shard_account(shard_account)
    except InvalidData as error:
        raise Unreadable(str(error)) from error


def _blaming(read: Callable[[bytes], T], data: bytes, hash_: bytes) -> T:
    """Read cells; when that fails, say whether they are what was promised all the same.

    Contracts may hold cells of kinds, and in numbers, that we refuse. Whoever passes them on
    has done nothing wrong, and whoever names such an account must not turn us against the
    servers that tell of it.

    Raises:
        Unreadable: the first root has the promised hash, or is too large to tell.
        InvalidData: it has another.
    """
    try:
        return read(data)
    except InvalidData as error:
        if len(data) > BOC_BYTES_MAX or first_hash(data) == hash_:
            raise Unreadable(str(error)) from error
        raise


_NO_ACCOUNT: Final[Cell] = Builder().uint(0, 1).end()


def check_transactions(
    answer: TransactionList, workchain: int, lt: int, hash_: bytes
) -> list[Linked]:
    """Return transactions, newest first, of which the first is the one with *hash_*.

    Raises:
        InvalidData: one is not what the one after it says came before.
        Unreadable: one is of a kind that we do not read.
    """
    page: list[Linked] = []
    for found, cell in _blaming(_decode_page, answer.transactions, hash_):
        if found != hash_:
            raise InvalidData("a transaction that does not follow from the one after it")
        try:
            linked = read_transaction(workchain, cell, found)
        except InvalidData as error:
            raise Unreadable(str(error)) from error
        if linked.record.lt != lt:
            raise InvalidData("a transaction that does not follow from the one after it")
        page.append(linked)
        lt, hash_ = linked.before_lt, linked.before_hash
    return page


def check_transaction(answer: TransactionInfo, block: BlockId, address: str, lt: int) -> Linked:
    """Return the transaction that *answer* proves to be in a block.

    Args:
        answer: of a liteserver.
        block: of the account's shard, proven.
        address: raw form.
        lt: of the transaction.

    Raises:
        InvalidData: it is not in that block.
        Unreadable: it is of a kind that we do not read.
    """
    workchain, account = split_address(address)
    (proof,) = decode_proof(answer.proof, roots=1)
    extra = ProofSlice(proven_root(proof, block.root_hash).refs[3])
    if extra.uint(32) != _EXTRA:
        raise InvalidData("not a block")
    extra.below()
    extra.below()
    accounts = ProofSlice(extra.below()).maybe_below()
    leaf = None if accounts is None else find(accounts, int.from_bytes(account, "big"), 256)
    if leaf is not None:
        leaf.skip_currencies()
        if leaf.uint(4) != _ACCOUNT_BLOCK or leaf.raw(32) != account:
            raise InvalidData("not an account's part of a block")
        leaf = find_from(leaf, lt, 64)
    if leaf is None:
        raise InvalidData(f"no transaction {lt} of {address} in {block}")
    leaf.skip_currencies()
    hash_ = leaf.below().get_hash(0)
    cells = _blaming(_decode_page, answer.transaction, hash_)
    if [found for found, _ in cells] != [hash_]:
        raise InvalidData("a transaction that is not the proven one")
    try:
        return read_transaction(workchain, cells[0][1], hash_)
    except InvalidData as error:
        raise Unreadable(str(error)) from error


def _decode_page(data: bytes) -> list[tuple[bytes, Cell]]:
    return decode_as_far_as_read(data, size_bytes_max=BOC_BYTES_MAX, roots_max=TRANSACTIONS_MAX)


# --- masterchain blocks ---


def check_forward(link: LinkForward, trusted: BlockId) -> Header:
    """Return the header of the block that a link leads to, which may then be trusted.

    Args:
        link: of a liteserver.
        trusted: a key block, or the zero state.

    Raises:
        InvalidData: the link does not begin there, or is not signed by its validators.
    """
    if link.from_block != trusted:
        raise InvalidData(f"a link from {link.from_block}, not {trusted}")
    if (link.to.workchain, link.to.shard) != (MASTERCHAIN, WHOLE_SHARD):
        raise InvalidData("a link out of the masterchain")
    if link.to.seqno <= trusted.seqno:
        raise InvalidData("a forward link that does not lead forward")
    (proof,) = decode_proof(link.config_proof, roots=1)
    validators = _validators(proven_root(proof, trusted.root_hash), trusted)
    (destination,) = decode_proof(link.dest_proof, roots=1)
    header = read_header(proven_root(destination, link.to.root_hash), link.to)
    if header.key_block != link.to_key_block:
        raise InvalidData("a link that is wrong about where it leads")
    check_signatures(link.to, validators, link.signatures)
    return header


def check_signatures(
    block: BlockId,
    validators: list[Validator],
    signed: OrdinarySignatures | SimplexSignatures,
) -> None:
    """Check that more than two thirds of the validators, by weight, signed *block*.

    Each counts once: pytoniq-core's own check counts a repeated signature again.

    Raises:
        InvalidData: they did not.
    """
    text = _signed_text(block, signed)
    weights = {node_id(each.key): each for each in validators}
    if len(signed.signatures) > len(validators):
        raise InvalidData("more signatures than validators")
    weight = sum(_weight(weights.pop(each.node, None), each, text) for each in signed.signatures)
    if 3 * weight <= 2 * sum(each.weight for each in validators):
        raise InvalidData(f"{block} is signed by too few validators")


def node_id(key: bytes) -> bytes:
    """Return the short id of a node with this Ed25519 key."""
    return sha256(_NODE_ID + key).digest()


def _weight(validator: Validator | None, signature: Signature, text: bytes) -> int:
    if validator is None:
        raise InvalidData("a signature by nobody that we know, or twice by one")
    try:
        VerifyKey(validator.key).verify(text, signature.signature)
    except (BadSignatureError, ValueError) as error:
        raise InvalidData("a wrong signature under a block") from error
    return validator.weight


def _signed_text(block: BlockId, signed: OrdinarySignatures | SimplexSignatures) -> bytes:
    if isinstance(signed, OrdinarySignatures):
        return _SIGNED_BLOCK + block.root_hash + block.file_hash
    candidate = decode_first(Reader(signed.candidate), OrdinaryCandidate, EmptyCandidate)
    if candidate.block != block:  # type: ignore[attr-defined]  # both have it
        raise InvalidData("signatures under another block")
    vote = FinalizeVote.of(signed.slot, sha256(signed.candidate).digest())
    return encode(DataToSign(signed.session_id, encode(vote)))


def _validators(root: LibraryCell, trusted: BlockId) -> list[Validator]:
    """Return the validators of the masterchain that a key block or zero state names."""
    config = _config_of_block(root, trusted) if trusted.seqno else _config_of_state(root)
    for number in _CURRENT_VALIDATORS:
        leaf = find(config, number, 32)
        if leaf is not None:
            return _read_validators(ProofSlice(leaf.below()))
    raise InvalidData("a configuration without validators")


def _config_of_state(state: LibraryCell) -> LibraryCell:
    extra = _mc_extra(state)
    extra.maybe_below()
    extra.raw(32)
    return extra.below()


def _config_of_block(block: LibraryCell, trusted: BlockId) -> LibraryCell:
    if not read_header(block, trusted).key_block:
        raise InvalidData(f"{trusted} is not a key block")
    extra = ProofSlice(block.refs[3])
    if extra.uint(32) != _EXTRA:
        raise InvalidData("not a block")
    for _ in range(3):
        extra.below()
    extra.raw(64)
    custom = extra.maybe_below()
    reader = ProofSlice(custom) if custom is not None else None
    if reader is None or reader.uint(16) != _MC_BLOCK or not reader.flag():
        raise InvalidData("not a key block")
    reader.maybe_below()  # shard_hashes
    reader.maybe_below()  # shard_fees, and its two sums
    reader.skip_currencies()
    reader.skip_currencies()
    reader.below()
    reader.raw(32)
    return reader.below()


def _read_validators(reader: ProofSlice) -> list[Validator]:
    tag = reader.uint(8)
    reader.uint(64)
    total, main = reader.uint(16), reader.uint(16)
    if tag == _VALIDATOR_SET_WITH_WEIGHT:
        reader.uint(64)
        root = reader.maybe_below()
    elif tag == _VALIDATOR_SET:
        raise InvalidData("a set of validators in the form of 2019")
    else:
        raise InvalidData("not a set of validators")
    if root is None or not 1 <= main <= min(total, VALIDATORS_MAX):
        raise InvalidData("not a set of validators")
    return [_read_validator(find(root, number, 16)) for number in range(main)]


def _read_validator(reader: ProofSlice | None) -> Validator:
    if reader is None or reader.uint(8) not in (_VALIDATOR, _VALIDATOR_WITH_ADDRESS):
        raise InvalidData("not a validator")
    if reader.uint(32) != _ED25519:
        raise InvalidData("a validator with a key of an unknown kind")
    return Validator(reader.raw(32), reader.uint(64))
