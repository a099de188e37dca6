"""What is said to a liteserver, and what it answers.

Source: TON `tl/generate/scheme/lite_api.tl` and `ton_api.tl`.
"""

from typing import Annotated, ClassVar, Final, Self

from contracts.cells import split_address
from contracts.tl import Bare, Boxed, Data, Flag, Hash, Int, Long, OnlyIf, Text, Unsigned
from contracts.tl import UnsignedLong as Lt

MASTERCHAIN: Final = -1
WHOLE_SHARD: Final = -(1 << 63)
"""The shard that is all of a workchain, as the signed number that TL writes."""


class BlockId(Bare, frozen=True):
    """``tonNode.blockIdExt``: which block, and what is in it."""

    workchain: Int
    shard: Long
    seqno: Unsigned
    root_hash: Hash
    file_hash: Hash

    def __str__(self) -> str:
        return f"({self.workchain},{self.shard % 2**64:016x},{self.seqno})"


class ShortBlockId(Bare, frozen=True):
    """``tonNode.blockId``: which block."""

    workchain: Int
    shard: Long
    seqno: Unsigned


class ZeroState(Bare, frozen=True):
    """``tonNode.zeroStateIdExt``: the state that everything began with."""

    workchain: Int
    root_hash: Hash
    file_hash: Hash

    @property
    def block(self) -> BlockId:
        """The same as a block: the one numbered 0."""
        return BlockId(self.workchain, WHOLE_SHARD, 0, self.root_hash, self.file_hash)


class AccountId(Bare, frozen=True):
    """``liteServer.accountId``: an address."""

    workchain: Int
    account: Hash

    @classmethod
    def of(cls, address: str) -> Self:
        """Return the address given in raw form."""
        return cls(*split_address(address))


# --- ADNL over TCP ---


class AdnlQuery(Boxed, frozen=True):
    """``adnl.message.query``."""

    NUMBER: ClassVar = 0xB48BF97A
    query_id: Hash
    query: Data


class AdnlAnswer(Boxed, frozen=True):
    """``adnl.message.answer``."""

    NUMBER: ClassVar = 0x0FAC8416
    query_id: Hash
    answer: Data


class TcpPing(Boxed, frozen=True):
    """``tcp.ping``."""

    NUMBER: ClassVar = 0x4D082B9A
    random_id: Long


class TcpPong(Boxed, frozen=True):
    """``tcp.pong``."""

    NUMBER: ClassVar = 0xDC69FB03
    random_id: Long


class TcpAuthenticate(Boxed, frozen=True):
    """``tcp.authentificate``: a client's wish to say who it is. A server may ignore it."""

    NUMBER: ClassVar = 0x445BAB12
    nonce: Data


# --- queries ---


class Query(Boxed, frozen=True):
    """``liteServer.query``: around each of the queries below."""

    NUMBER: ClassVar = 0x798C06DF
    data: Data


class WaitMasterchainSeqno(Boxed, frozen=True):
    """``liteServer.waitMasterchainSeqno``: in front of a query, until there is that block."""

    NUMBER: ClassVar = 0xBAEAB892
    seqno: Int
    timeout_ms: Int


class GetMasterchainInfo(Boxed, frozen=True):
    """``liteServer.getMasterchainInfo``: the newest block."""

    NUMBER: ClassVar = 0x89B5E62E


class GetMasterchainInfoExt(Boxed, frozen=True):
    """``liteServer.getMasterchainInfoExt``: the same, and the server's time and version."""

    NUMBER: ClassVar = 0x70A671DF
    mode: Unsigned


class GetTime(Boxed, frozen=True):
    """``liteServer.getTime``."""

    NUMBER: ClassVar = 0x16AD5A34


class GetVersion(Boxed, frozen=True):
    """``liteServer.getVersion``."""

    NUMBER: ClassVar = 0x232B940B


class GetAccountState(Boxed, frozen=True):
    """``liteServer.getAccountState``: with proofs."""

    NUMBER: ClassVar = 0x6B890E25
    id: BlockId
    account: AccountId


class SendMessage(Boxed, frozen=True):
    """``liteServer.sendMessage``: an external message."""

    NUMBER: ClassVar = 0x690AD482
    body: Data


class GetTransactions(Boxed, frozen=True):
    """``liteServer.getTransactions``: from that one backwards."""

    NUMBER: ClassVar = 0x1C40E7A1
    count: Unsigned
    account: AccountId
    lt: Lt
    hash: Hash


class GetBlockProof(Boxed, frozen=True):
    """``liteServer.getBlockProof``: how one follows from another that is known."""

    NUMBER: ClassVar = 0x8AEA9C44
    mode: Unsigned
    known_block: BlockId
    target_block: Annotated[BlockId | None, OnlyIf(0)] = None


class GetOneTransaction(Boxed, frozen=True):
    """``liteServer.getOneTransaction``: with a proof that it is in that block."""

    NUMBER: ClassVar = 0xD40F24EA
    id: BlockId
    account: AccountId
    lt: Lt


class TransactionId3(Bare, frozen=True):
    """``liteServer.transactionId3``: a place in a block's order."""

    account: Hash
    lt: Lt


class ListBlockTransactions(Boxed, frozen=True):
    """``liteServer.listBlockTransactions``: by account and logical time, after a place."""

    NUMBER: ClassVar = 0xADFCC7DA
    id: BlockId
    mode: Unsigned
    count: Unsigned
    after: Annotated[TransactionId3 | None, OnlyIf(7)] = None


class LookupBlock(Boxed, frozen=True):
    """``liteServer.lookupBlock``: by number, logical time or time."""

    NUMBER: ClassVar = 0xFAC8F71E
    mode: Unsigned
    id: ShortBlockId
    lt: Annotated[int | None, Lt.__metadata__[0], OnlyIf(1)] = None
    utime: Annotated[int | None, Int.__metadata__[0], OnlyIf(2)] = None


class GetBlockHeader(Boxed, frozen=True):
    """``liteServer.getBlockHeader``."""

    NUMBER: ClassVar = 0x21EC069E
    id: BlockId
    mode: Unsigned


class GetConfigAll(Boxed, frozen=True):
    """``liteServer.getConfigAll``: the network's parameters."""

    NUMBER: ClassVar = 0x911B26B7
    mode: Unsigned
    id: BlockId


class GetConfigParams(Boxed, frozen=True):
    """``liteServer.getConfigParams``: some of the network's parameters."""

    NUMBER: ClassVar = 0x2A111C19
    mode: Unsigned
    id: BlockId
    param_list: tuple[Int, ...]


class GetLibraries(Boxed, frozen=True):
    """``liteServer.getLibraries``."""

    NUMBER: ClassVar = 0xD122B662
    library_list: tuple[Hash, ...]


# --- answers ---


class Failure(Boxed, frozen=True):
    """``liteServer.error``."""

    NUMBER: ClassVar = 0xBBA9E148
    code: Int
    message: Text


class MasterchainInfo(Boxed, frozen=True):
    """``liteServer.masterchainInfo``."""

    NUMBER: ClassVar = 0x85832881
    last: BlockId
    state_root_hash: Hash
    init: ZeroState


class MasterchainInfoExt(Boxed, frozen=True):
    """``liteServer.masterchainInfoExt``."""

    NUMBER: ClassVar = 0xA8CCE0F5
    mode: Unsigned
    version: Int
    capabilities: Long
    last: BlockId
    last_utime: Int
    now: Int
    state_root_hash: Hash
    init: ZeroState


class CurrentTime(Boxed, frozen=True):
    """``liteServer.currentTime``."""

    NUMBER: ClassVar = 0xE953000D
    now: Int


class Version(Boxed, frozen=True):
    """``liteServer.version``."""

    NUMBER: ClassVar = 0x5A0491E5
    mode: Unsigned
    version: Int
    capabilities: Long
    now: Int


class AccountState(Boxed, frozen=True):
    """``liteServer.accountState``: an account, and why it is that."""

    NUMBER: ClassVar = 0x7079C751
    id: BlockId
    shard_block: BlockId
    shard_proof: Data
    proof: Data
    state: Data


class SendStatus(Boxed, frozen=True):
    """``liteServer.sendMsgStatus``: 1 when it was handed on."""

    NUMBER: ClassVar = 0x3950E597
    status: Int


class TransactionList(Boxed, frozen=True):
    """``liteServer.transactionList``: newest first, each with the block that it is in."""

    NUMBER: ClassVar = 0x6F26C60B
    ids: tuple[BlockId, ...]
    transactions: Data


class TransactionInfo(Boxed, frozen=True):
    """``liteServer.transactionInfo``."""

    NUMBER: ClassVar = 0x0EDEED47
    id: BlockId
    proof: Data
    transaction: Data


class TransactionId(Bare, frozen=True):
    """``liteServer.transactionId``; what of it is there, the mode says."""

    mode: Unsigned
    account: Annotated[bytes | None, Hash.__metadata__[0], OnlyIf(0)] = None
    lt: Annotated[int | None, Lt.__metadata__[0], OnlyIf(1)] = None
    hash: Annotated[bytes | None, Hash.__metadata__[0], OnlyIf(2)] = None


class BlockTransactions(Boxed, frozen=True):
    """``liteServer.blockTransactions``."""

    NUMBER: ClassVar = 0xBD8CAD2B
    id: BlockId
    req_count: Unsigned
    incomplete: Flag
    ids: tuple[TransactionId, ...]
    proof: Data


class BlockHeader(Boxed, frozen=True):
    """``liteServer.blockHeader``."""

    NUMBER: ClassVar = 0x752D8219
    id: BlockId
    mode: Unsigned
    header_proof: Data


class ConfigInfo(Boxed, frozen=True):
    """``liteServer.configInfo``: proofs of a block's state, and of the parameters in it."""

    NUMBER: ClassVar = 0xAE7B272F
    mode: Unsigned
    id: BlockId
    state_proof: Data
    config_proof: Data


class LibraryEntry(Bare, frozen=True):
    """``liteServer.libraryEntry``."""

    hash: Hash
    data: Data


class LibraryResult(Boxed, frozen=True):
    """``liteServer.libraryResult``."""

    NUMBER: ClassVar = 0x117AB96B
    result: tuple[LibraryEntry, ...]


class Signature(Bare, frozen=True):
    """``liteServer.signature``: by the validator with this id."""

    node: Hash
    signature: Data


class OrdinarySignatures(Boxed, frozen=True):
    """``liteServer.signatureSet.ordinary``: over the block's hashes."""

    NUMBER: ClassVar = 0xF644A6E6
    validator_set_hash: Unsigned
    catchain_seqno: Unsigned
    signatures: tuple[Signature, ...]


class SimplexSignatures(Boxed, frozen=True):
    """``liteServer.signatureSet.simplex``: over a vote for a candidate that names the block."""

    NUMBER: ClassVar = 0xAC249800
    catchain_seqno: Unsigned
    validator_set_hash: Unsigned
    signatures: tuple[Signature, ...]
    session_id: Hash
    slot: Int
    candidate: Data


class LinkForward(Boxed, frozen=True):
    """``liteServer.blockLinkForward``: the validators of a key block signed a later block."""

    NUMBER: ClassVar = 0x520FCE1C
    to_key_block: Flag
    from_block: BlockId
    to: BlockId
    dest_proof: Data
    config_proof: Data
    signatures: OrdinarySignatures | SimplexSignatures


class LinkBack(Boxed, frozen=True):
    """``liteServer.blockLinkBack``: a block's state remembers an earlier block."""

    NUMBER: ClassVar = 0xEF7E1BEF
    to_key_block: Flag
    from_block: BlockId
    to: BlockId
    dest_proof: Data
    proof: Data
    state_proof: Data


class BlockProof(Boxed, frozen=True):
    """``liteServer.partialBlockProof``: links from one block to another, or part of the way."""

    NUMBER: ClassVar = 0x8ED0D2C1
    complete: Flag
    from_block: BlockId
    to: BlockId
    steps: tuple[LinkForward | LinkBack, ...]


# --- what simplex validators sign ---


class DataToSign(Boxed, frozen=True):
    """``consensus.dataToSign``."""

    NUMBER: ClassVar = 0xA8E33DF8
    session_id: Hash
    data: Data


class CandidateId(Boxed, frozen=True):
    """``consensus.candidateId``."""

    NUMBER: ClassVar = 0xB691CD3F
    slot: Int
    hash: Hash


class FinalizeVote(Boxed, frozen=True):
    """``consensus.simplex.finalizeVote``; its one field is written with its number."""

    NUMBER: ClassVar = 0x40A7E105
    id_number: Unsigned
    slot: Int
    hash: Hash

    @classmethod
    def of(cls, slot: int, hash_: bytes) -> Self:
        """Return the vote for the candidate of *slot* with that hash."""
        return cls(CandidateId.NUMBER, slot, hash_)


class OrdinaryCandidate(Boxed, frozen=True):
    """``consensus.candidateHashDataOrdinary``, as far as the block that it names."""

    NUMBER: ClassVar = 0xE8F9BCDC
    block: BlockId


class EmptyCandidate(Boxed, frozen=True):
    """``consensus.candidateHashDataEmpty``, as far as the block that it names."""

    NUMBER: ClassVar = 0x72B4D933
    block: BlockId
