import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core.tl.generator import TlGenerator  # noqa: TID251 - an oracle

from contracts import lite_messages as lite
from contracts.errors import InvalidData, LocalContractError
from contracts.tl import VECTOR_MAX, Boxed, Reader, decode, encode, write_data

SCHEMAS = TlGenerator.with_default_schemas().generate()
HASH = bytes(range(32))
BLOCK = lite.BlockId(-1, lite.WHOLE_SHARD, 7, HASH, HASH[::-1])
NAMES = {
    "adnl.message.query": lite.AdnlQuery,
    "adnl.message.answer": lite.AdnlAnswer,
    "tcp.ping": lite.TcpPing,
    "tcp.pong": lite.TcpPong,
    "tcp.authentificate": lite.TcpAuthenticate,
    "liteServer.query": lite.Query,
    "liteServer.error": lite.Failure,
    "liteServer.waitMasterchainSeqno": lite.WaitMasterchainSeqno,
    "liteServer.getMasterchainInfo": lite.GetMasterchainInfo,
    "liteServer.getMasterchainInfoExt": lite.GetMasterchainInfoExt,
    "liteServer.getTime": lite.GetTime,
    "liteServer.getVersion": lite.GetVersion,
    "liteServer.getAccountState": lite.GetAccountState,
    "liteServer.sendMessage": lite.SendMessage,
    "liteServer.getTransactions": lite.GetTransactions,
    "liteServer.getBlockProof": lite.GetBlockProof,
    "liteServer.getOneTransaction": lite.GetOneTransaction,
    "liteServer.listBlockTransactions": lite.ListBlockTransactions,
    "liteServer.transactionInfo": lite.TransactionInfo,
    "liteServer.blockTransactions": lite.BlockTransactions,
    "liteServer.lookupBlock": lite.LookupBlock,
    "liteServer.getBlockHeader": lite.GetBlockHeader,
    "liteServer.getConfigAll": lite.GetConfigAll,
    "liteServer.getConfigParams": lite.GetConfigParams,
    "liteServer.getLibraries": lite.GetLibraries,
    "liteServer.masterchainInfo": lite.MasterchainInfo,
    "liteServer.masterchainInfoExt": lite.MasterchainInfoExt,
    "liteServer.currentTime": lite.CurrentTime,
    "liteServer.version": lite.Version,
    "liteServer.accountState": lite.AccountState,
    "liteServer.sendMsgStatus": lite.SendStatus,
    "liteServer.transactionList": lite.TransactionList,
    "liteServer.blockHeader": lite.BlockHeader,
    "liteServer.configInfo": lite.ConfigInfo,
    "liteServer.libraryResult": lite.LibraryResult,
    "liteServer.signatureSet.ordinary": lite.OrdinarySignatures,
    "liteServer.signatureSet.simplex": lite.SimplexSignatures,
    "liteServer.blockLinkForward": lite.LinkForward,
    "liteServer.blockLinkBack": lite.LinkBack,
    "liteServer.partialBlockProof": lite.BlockProof,
    "consensus.dataToSign": lite.DataToSign,
    "consensus.candidateId": lite.CandidateId,
    "consensus.simplex.finalizeVote": lite.FinalizeVote,
    "consensus.candidateHashDataOrdinary": lite.OrdinaryCandidate,
    "consensus.candidateHashDataEmpty": lite.EmptyCandidate,
}
SIGNED = lite.OrdinarySignatures(1, 2, (lite.Signature(HASH, b"s" * 64),))
SIMPLEX = lite.SimplexSignatures(3, 4, (), HASH, 5, b"candidate")
MESSAGES: list[Boxed] = [
    lite.GetMasterchainInfo(),
    lite.GetAccountState(BLOCK, lite.AccountId(0, HASH)),
    lite.GetTransactions(16, lite.AccountId(0, HASH), 2**64 - 1, HASH),
    lite.GetBlockProof(0, BLOCK),
    lite.GetBlockProof(1, BLOCK, BLOCK),
    lite.GetOneTransaction(BLOCK, lite.AccountId(0, HASH), 5),
    lite.ListBlockTransactions(BLOCK, 0x87, 9, lite.TransactionId3(HASH, 7)),
    lite.ListBlockTransactions(BLOCK, 7, 9),
    lite.BlockTransactions(BLOCK, 3, True, (lite.TransactionId(7, HASH, 8, HASH),), b""),
    lite.TransactionInfo(BLOCK, b"proof", b"transaction"),
    lite.LookupBlock(2, lite.ShortBlockId(-1, 5, 6), lt=7),
    lite.LookupBlock(4, lite.ShortBlockId(-1, 5, 6), utime=8),
    lite.GetConfigParams(0, BLOCK, (1, -2, 3)),
    lite.MasterchainInfo(BLOCK, HASH, lite.ZeroState(-1, HASH, HASH)),
    lite.AccountState(BLOCK, BLOCK, b"p" * 253, b"q" * 254, b""),
    lite.TransactionList((BLOCK, BLOCK), b"x"),
    lite.Failure(-400, "nein, geht nicht: \u2026"),
    lite.LibraryResult((lite.LibraryEntry(HASH, b"code"),)),
    lite.BlockProof(
        complete=True,
        from_block=BLOCK,
        to=BLOCK,
        steps=(
            lite.LinkForward(False, BLOCK, BLOCK, b"d", b"c", SIGNED),
            lite.LinkBack(True, BLOCK, BLOCK, b"d", b"p", b"s"),
            lite.LinkForward(True, BLOCK, BLOCK, b"", b"", SIMPLEX),
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), NAMES.items(), ids=NAMES)
def test_constructor_numbers_are_those_of_the_schemas(name: str, kind: type[Boxed]) -> None:
    assert SCHEMAS.get_by_name(name).id == kind.NUMBER.to_bytes(4, "big")


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
def test_what_is_written_is_read_again(message: Boxed) -> None:
    assert decode(encode(message), type(message)) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
def test_the_library_reads_what_we_write(message: Boxed) -> None:
    if isinstance(message, lite.GetConfigParams):
        pytest.skip("the library does not read vectors of plain numbers")
    read, size = SCHEMAS.deserialize(encode(message))
    assert size == len(encode(message))
    assert NAMES[read["@type"]] is type(message)


def test_the_library_writes_what_we_write() -> None:
    block = {
        "workchain": -1,
        "shard": lite.WHOLE_SHARD,
        "seqno": 7,
        "root_hash": HASH.hex(),
        "file_hash": HASH[::-1].hex(),
    }
    account = {"workchain": 0, "id": HASH.hex()}
    theirs = SCHEMAS.serialize("liteServer.getAccountState", {"id": block, "account": account})
    assert theirs == encode(lite.GetAccountState(BLOCK, lite.AccountId(0, HASH)))
    proof = {"mode": 1, "known_block": block, "target_block": block}
    theirs = SCHEMAS.serialize("liteServer.getBlockProof", proof)
    assert theirs == encode(lite.GetBlockProof(1, BLOCK, BLOCK))


def test_another_kind_and_what_comes_after_are_refused() -> None:
    data = encode(lite.GetTime())
    with pytest.raises(InvalidData, match="unexpected kind"):
        decode(data, lite.GetVersion)
    with pytest.raises(InvalidData, match="4 bytes after"):
        decode(data + bytes(4), lite.GetTime)
    with pytest.raises(InvalidData):
        decode(b"", lite.GetTime)


def test_a_count_is_compared_with_what_is_there_before_it_is_believed() -> None:
    number = lite.TransactionList.NUMBER.to_bytes(4, "little")
    with pytest.raises(InvalidData, match="longer than its message"):
        decode(number + b"\xff\xff\xff\x7f" + bytes(40), lite.TransactionList)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 253, 254, 255, 256, 70_000])
def test_bytes_of_any_size_are_padded_to_words(size: int) -> None:
    written = write_data(b"a" * size)
    assert len(written) % 4 == 0
    assert Reader(written).data() == b"a" * size


@pytest.mark.parametrize("data", [b"\xff\x00\x00\x00", b"\x01aXX", b"\xfe\xff\xff\xff", b"\x05abc"])
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidData):
        Reader(data).data()


def test_values_that_do_not_fit_are_our_own_fault() -> None:
    with pytest.raises(LocalContractError):
        encode(lite.TcpPing(1 << 63))
    with pytest.raises(LocalContractError):
        encode(lite.GetAccountState(BLOCK, lite.AccountId(0, b"short")))


@given(st.binary(max_size=400), st.sampled_from(list(NAMES.values())))
def test_no_bytes_do_more_than_be_refused(data: bytes, kind: type[Boxed]) -> None:
    for framed in (data, kind.NUMBER.to_bytes(4, "little") + data):
        try:
            message = decode(framed, *NAMES.values())
        except InvalidData:
            continue
        assert decode(encode(message), type(message)) == message


@given(st.sampled_from(MESSAGES), st.data())
def test_no_change_of_a_message_does_more_than_be_refused(message: Boxed, data) -> None:
    written = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(written[: data.draw(st.integers(0, len(written)))])
    try:
        decode(cut, *NAMES.values())
    except InvalidData:
        return


def test_a_vector_of_more_than_anybody_needs_is_refused_before_it_is_made() -> None:
    """Each element may take four bytes of the message, and a hundred of ours."""
    empty = lite.TransactionId(0)
    listed = lite.BlockTransactions(BLOCK, 3, False, (empty,) * VECTOR_MAX, b"")
    assert decode(encode(listed), lite.BlockTransactions) == listed
    more = msgspec.structs.replace(listed, ids=(empty,) * (VECTOR_MAX + 1))
    with pytest.raises(InvalidData, match="vector"):
        decode(encode(more), lite.BlockTransactions)
