"""Proofs of the ledger, checked by us and by pytoniq-core; and every way to forge one."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lite_rig import SEED
from nacl.signing import SigningKey
from pytoniq_core.boc.address import Address  # noqa: TID251 - an oracle
from pytoniq_core.boc.cell import Cell as LibraryCell  # noqa: TID251 - an oracle
from pytoniq_core.boc.cell import CellError  # noqa: TID251 - an oracle
from pytoniq_core.proof.check_proof import (  # noqa: TID251 - an oracle
    check_account_proof,
    check_block_signatures,
    check_proof,
    check_shard_proof,
    compute_validator_set,
)
from pytoniq_core.tl.block import BlockIdExt  # noqa: TID251 - an oracle
from pytoniq_core.tlb.config import (  # noqa: TID251 - an oracle
    CatchainConfig,
    ConfigParam34,
)

from contracts import lite_messages as lite
from contracts import proofs
from contracts._merkle import encode_roots, merkle_proof
from contracts._proof_cells import ProofCell, decode_proof, find, proven_root
from contracts.blocks import Block, Moment, Validator, make_block
from contracts.cells import Builder, Cell, encode_boc, join_address
from contracts.config import with_validators
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.errors import ChainUnavailable, InvalidData
from contracts.ledger import Ledger, header_proof
from contracts.tl import encode
from contracts.trusted_chain import TrustedChain
from contracts.units import NanoTon
from contracts.wallet import Transfer, Wallet

COIN = NanoTon(10**9)
WALLET = Wallet(b"\x05" * 32)
FRIEND = join_address(0, b"\x0f" * 32)
NOBODY = join_address(0, b"\xee" * 32)
START_UNIX_S = 1_780_000_000
replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def chain(emulator: Emulator) -> EmbeddedChain:
    made = EmbeddedChain(emulator, unix_s=START_UNIX_S, real_blocks=True)
    made.faucet(WALLET.address, NanoTon(10 * COIN))
    for number in range(12):
        made.faucet(join_address(0, bytes([number * 20]) * 32), COIN)
    transfer = Transfer(destination=FRIEND, value_nanoton=COIN, bounce=False)
    made.send_external(WALLET.transfer_message(0, [transfer], START_UNIX_S + 60))
    made.warp(5)
    return made


@pytest.fixture(scope="module")
def ledger(chain: EmbeddedChain) -> Ledger:
    return chain.ledger


def newest(ledger: Ledger) -> lite.BlockId:
    return ledger.last.master.id


def link_of(ledger: Ledger) -> lite.LinkForward:
    step = ledger.block_proof(ledger.genesis.master_id, None).steps[0]
    assert isinstance(step, lite.LinkForward)
    return step


def of_library(block: lite.BlockId) -> BlockIdExt:
    return BlockIdExt(block.workchain, block.shard, block.seqno, block.root_hash, block.file_hash)


# --- what is true is proven ---


def test_an_account_is_proven_as_the_chain_has_it(chain: EmbeddedChain, ledger: Ledger) -> None:
    for address in (WALLET.address, FRIEND, join_address(0, bytes(32))):
        answer = ledger.account_state(newest(ledger), address)
        proven = proofs.check_account(answer, newest(ledger), address)
        assert proven.info == chain.account_info(address)
        assert proven.unix_s == chain.now_unix_s


def test_an_account_that_is_not_there_is_proven_too(ledger: Ledger) -> None:
    for address in (NOBODY, join_address(-1, b"\x33" * 32)):
        answer = ledger.account_state(newest(ledger), address)
        assert proofs.check_account(answer, newest(ledger), address).info.status == "nonexist"


def test_pytoniq_core_accepts_our_proofs(ledger: Ledger) -> None:
    for address in (WALLET.address, FRIEND):
        answer = ledger.account_state(newest(ledger), address)
        shard = of_library(answer.shard_block)
        check_shard_proof(answer.shard_proof, of_library(answer.id), shard)
        state = LibraryCell.one_from_boc(answer.state)
        check_account_proof(answer.proof, shard, Address(address), state)


def test_pytoniq_core_accepts_the_signatures_of_our_validator(ledger: Ledger) -> None:
    link = link_of(ledger)
    proof = LibraryCell.one_from_boc(link.config_proof)
    check_proof(proof, ledger.genesis.master_id.root_hash)
    config = ledger.genesis.config.inner.begin_parse().load_hashmap(32)
    validators = ConfigParam34.deserialize(config[34].load_ref().begin_parse())
    catchain = CatchainConfig.deserialize(config[28].load_ref().begin_parse())
    block = of_library(link.to)
    nodes = compute_validator_set(catchain, block, validators.cur_validators)
    assert isinstance(link.signatures, lite.OrdinarySignatures)
    signatures = [
        {"node_id_short": each.node.hex(), "signature": each.signature}
        for each in link.signatures.signatures
    ]
    check_block_signatures(nodes, signatures, block)


def test_a_link_leads_from_the_zero_state_to_the_newest_block(
    chain: EmbeddedChain, ledger: Ledger
) -> None:
    header = proofs.check_forward(link_of(ledger), ledger.genesis.master_id)
    assert (header.id, header.network_id) == (newest(ledger), chain.network_id)
    assert (header.unix_s, header.key_block) == (chain.now_unix_s, False)


def test_transactions_follow_from_the_account(chain: EmbeddedChain) -> None:
    stored = chain.stored_transactions(WALLET.address)
    cells = [LibraryCell.one_from_boc(item.boc) for item in reversed(stored)]
    answer = lite.TransactionList((), encode_roots(cells))
    last = stored[-1].record
    page = proofs.check_transactions(answer, 0, last.lt, last.hash)
    assert [linked.record for linked in page] == [item.record for item in reversed(stored)]
    with pytest.raises(InvalidData, match="does not follow"):
        proofs.check_transactions(answer, 0, last.lt, bytes(32))
    shuffled = lite.TransactionList((), encode_roots(cells[::-1]))
    with pytest.raises(InvalidData, match="does not follow"):
        proofs.check_transactions(shuffled, 0, last.lt, last.hash)


# --- what is false is not ---


def old_state(answer: lite.AccountState, ledger: Ledger) -> lite.AccountState:
    """The account as it was, under the name of the newest block."""
    earlier = ledger.by_seqno(newest(ledger).seqno - 2).master.id
    return replace(ledger.account_state(earlier, WALLET.address), id=answer.id)


def other_account(answer: lite.AccountState, ledger: Ledger) -> lite.AccountState:
    return replace(answer, state=ledger.account_state(answer.id, FRIEND).state)


def hidden(answer: lite.AccountState, ledger: Ledger) -> lite.AccountState:
    """Say that there is no account, by a proof that does not go there."""
    return replace(ledger.account_state(answer.id, NOBODY), state=b"")


def emptied(answer: lite.AccountState, _ledger: Ledger) -> lite.AccountState:
    return replace(answer, state=b"")


def pruned_to_the_root(answer: lite.AccountState, ledger: Ledger) -> lite.AccountState:
    base = ledger.pair(answer.id).base
    block = decode_proof(answer.proof, 2)[0]
    state = merkle_proof(base.state.root.inner, {base.state.root.hash})
    return replace(answer, proof=encode_roots([block, state]), state=b"")


def own_block(answer: lite.AccountState, ledger: Ledger) -> lite.AccountState:
    """Prove it by a block of the basechain that the masterchain does not name."""
    earlier = ledger.by_seqno(newest(ledger).seqno - 2)
    old = ledger.account_state(earlier.master.id, WALLET.address)
    return replace(answer, shard_block=old.shard_block, proof=old.proof, state=old.state)


def without_shards(answer: lite.AccountState, _ledger: Ledger) -> lite.AccountState:
    return replace(answer, shard_proof=answer.proof)


def roots_missing(answer: lite.AccountState, _ledger: Ledger) -> lite.AccountState:
    return replace(answer, proof=encode_roots(decode_proof(answer.proof, 2)[:1]))


def of_another_block(answer: lite.AccountState, ledger: Ledger) -> lite.AccountState:
    return replace(answer, id=ledger.by_seqno(1).master.id)


def plain_cells(answer: lite.AccountState, _ledger: Ledger) -> lite.AccountState:
    return replace(answer, proof=encode_boc(Builder().uint(0, 1).end()))


FORGERIES = (
    old_state,
    other_account,
    hidden,
    emptied,
    pruned_to_the_root,
    own_block,
    without_shards,
    roots_missing,
    of_another_block,
    plain_cells,
)


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda each: each.__name__)
def test_a_forged_account_is_refused(
    ledger: Ledger, forge: Callable[[lite.AccountState, Ledger], lite.AccountState]
) -> None:
    answer = ledger.account_state(newest(ledger), WALLET.address)
    with pytest.raises(InvalidData):
        proofs.check_account(forge(answer, ledger), newest(ledger), WALLET.address)


def test_a_state_beyond_what_a_proof_says_is_absent_is_refused(ledger: Ledger) -> None:
    answer = ledger.account_state(newest(ledger), NOBODY)
    state = ledger.account_state(newest(ledger), FRIEND).state
    with pytest.raises(InvalidData, match="not to exist"):
        proofs.check_account(replace(answer, state=state), newest(ledger), NOBODY)


def test_a_workchain_that_the_masterchain_does_not_know_is_refused(ledger: Ledger) -> None:
    answer = ledger.account_state(newest(ledger), FRIEND)
    with pytest.raises(InvalidData, match="no workchain"):
        proofs.check_account(answer, newest(ledger), join_address(5, bytes(32)))


def signed_by(ledger: Ledger, *validators: Validator) -> lite.LinkForward:
    link = link_of(ledger)
    text = bytes.fromhex("706e0bc5") + link.to.root_hash + link.to.file_hash
    signatures = tuple(each.sign(text) for each in validators)
    return replace(link, signatures=lite.OrdinarySignatures(0, 0, signatures))


def test_signatures_of_others_or_of_nobody_are_refused(ledger: Ledger) -> None:
    stranger = Validator(b"\x01" * 32)
    for link in (signed_by(ledger), signed_by(ledger, stranger)):
        with pytest.raises(InvalidData):
            proofs.check_forward(link, ledger.genesis.master_id)


def test_one_signature_twice_counts_once() -> None:
    keys = [SigningKey(bytes([number]) * 32) for number in range(3)]
    validators = [proofs.Validator(bytes(key.verify_key), 1) for key in keys]
    block = lite.BlockId(-1, lite.WHOLE_SHARD, 9, b"r" * 32, b"f" * 32)
    text = bytes.fromhex("706e0bc5") + block.root_hash + block.file_hash
    signed = [
        lite.Signature(proofs.node_id(each.key), key.sign(text).signature)
        for each, key in zip(validators, keys, strict=True)
    ]

    def check(*signatures: lite.Signature) -> None:
        proofs.check_signatures(block, validators, lite.OrdinarySignatures(0, 0, signatures))

    check(*signed)
    with pytest.raises(InvalidData, match="too few"):
        check(*signed[:2])  # exactly two thirds are not more than two thirds
    with pytest.raises(InvalidData, match="twice by one"):
        check(signed[0], signed[0], signed[0])
    with pytest.raises(InvalidData, match="wrong signature"):
        check(*signed[:2], replace(signed[2], signature=bytes(64)))
    with pytest.raises(InvalidData, match="more signatures"):
        check(*signed, signed[0])


def simplex(ledger: Ledger, **changes: object) -> lite.LinkForward:
    """Sign the newest block as the validators of 2026 do: by a vote for a candidate."""
    link, validator = link_of(ledger), ledger.genesis.validator
    block = changes.pop("block", link.to)
    candidate = encode(lite.OrdinaryCandidate(block)) + b"the rest of it"
    voted = lite.FinalizeVote.of(7, proofs.sha256(candidate).digest())
    text = encode(lite.DataToSign(b"s" * 32, encode(voted)))
    made = lite.SimplexSignatures(1, 0, (validator.sign(text),), b"s" * 32, 7, candidate)
    return replace(link, signatures=replace(made, **changes))


def test_blocks_signed_by_simplex_are_accepted(ledger: Ledger) -> None:
    header = proofs.check_forward(simplex(ledger), ledger.genesis.master_id)
    assert header.id == newest(ledger)


@pytest.mark.parametrize(
    "changes",
    [{"slot": 8}, {"session_id": b"t" * 32}, {"candidate": b"?"}, {"candidate": b""}],
    ids=str,
)
def test_a_vote_for_something_else_is_refused(ledger: Ledger, changes: dict) -> None:
    with pytest.raises(InvalidData):
        proofs.check_forward(simplex(ledger, **changes), ledger.genesis.master_id)


def test_a_vote_for_another_block_is_refused(ledger: Ledger) -> None:
    other = ledger.by_seqno(1).master.id
    with pytest.raises(InvalidData, match="another block"):
        proofs.check_forward(simplex(ledger, block=other), ledger.genesis.master_id)


@pytest.mark.parametrize("field", ["to_key_block", "from_block", "dest_proof", "config_proof"])
def test_a_link_with_another_part_is_refused(ledger: Ledger, field: str) -> None:
    link, other = link_of(ledger), ledger.by_seqno(1).master
    changed = {
        "to_key_block": True,
        "from_block": other.id,
        "dest_proof": link.config_proof,
        "config_proof": link.dest_proof,
    }[field]
    with pytest.raises(InvalidData):
        proofs.check_forward(replace(link, **{field: changed}), ledger.genesis.master_id)


def test_a_link_that_names_another_block_is_refused(ledger: Ledger) -> None:
    link = link_of(ledger)
    for to in (
        replace(link.to, seqno=link.to.seqno + 1),
        replace(link.to, root_hash=bytes(32)),
        replace(link.to, file_hash=bytes(32)),
        replace(link.to, workchain=0),
        replace(link.to, seqno=0),
    ):
        with pytest.raises(InvalidData):
            proofs.check_forward(replace(link, to=to), ledger.genesis.master_id)


def key_block(ledger: Ledger, chain: EmbeddedChain, validator: Validator) -> Block:
    """A key block after the newest one, by which *validator* is the next to sign."""
    last = ledger.last.master
    config = with_validators(chain.ledger.genesis.config, validator.as_set())
    moment = Moment(
        network_id=chain.network_id, seqno=last.id.seqno + 1, unix_s=chain.now_unix_s + 1,
        start_lt=last.end_lt, end_lt=last.end_lt + 1,
    )  # fmt: skip
    states = (last.state, last.state)
    by = ledger.genesis.validator
    return make_block(moment, -1, states, (last.ref, None), by, key_config=config)


def forward(from_block: lite.BlockId, proof: bytes, to: Block, by: Validator) -> lite.LinkForward:
    key = proofs.read_header(to.root, to.id).key_block
    dest = encode_roots([header_proof(to)])
    return lite.LinkForward(key, from_block, to.id, dest, proof, by.sign_block(to.id))


def test_trust_goes_on_from_key_block_to_key_block(ledger: Ledger, chain: EmbeddedChain) -> None:
    first, second = ledger.genesis.validator, Validator(b"\x02" * 32)
    zero, key = ledger.genesis.master_id, key_block(ledger, chain, second)
    moment = Moment(
        network_id=chain.network_id, seqno=key.id.seqno + 1, unix_s=chain.now_unix_s + 2,
        start_lt=key.end_lt, end_lt=key.end_lt + 1,
    )  # fmt: skip
    later = make_block(moment, -1, (key.state, key.state), (key.ref, None), second)
    shown = {cell.hash for cell in all_library_cells(key.root)}
    config_proof = encode_roots([merkle_proof(key.root, shown)])
    to_key = forward(zero, link_of(ledger).config_proof, key, first)
    to_later = forward(key.id, config_proof, later, second)
    seen: list[lite.BlockId] = []
    trust = TrustedChain(zero, seen.append)
    proof = lite.BlockProof(True, zero, later.id, (to_key, to_later))
    header = trust.accept(proof, zero)
    assert header is not None
    assert (header.id, trust.key_block, seen) == (later.id, key.id, [key.id])
    assert trust.key_block_before(later.id.seqno) == key.id
    assert trust.key_block_before(key.id.seqno) == zero  # what came before it is still proven
    assert trust.key_block_before(0) is None
    with pytest.raises(InvalidData, match="nobody that we know"):  # the old validators are gone
        proofs.check_forward(forward(key.id, config_proof, later, first), key.id)
    with pytest.raises(InvalidData, match="not a key block"):
        plain = encode_roots([merkle_proof(later.root, {each.hash for each in
                             all_library_cells(later.root)})])  # fmt: skip
        proofs.check_forward(replace(to_later, from_block=later.id, config_proof=plain,
                             to=replace(later.id, seqno=later.id.seqno + 1)), later.id)  # fmt: skip
    with pytest.raises(InvalidData, match="without validators"):
        TrustedChain(zero, seen.append).accept(
            replace(proof, steps=(link_of(ledger), to_later)), zero
        )
    with pytest.raises(InvalidData, match="should"):
        TrustedChain(zero, seen.append).accept(replace(proof, to=key.id), zero)
    back = lite.LinkBack(False, zero, key.id, b"", b"", b"")
    with pytest.raises(InvalidData, match="backward"):
        TrustedChain(zero, seen.append).accept(replace(proof, steps=(back,)), zero)


def all_library_cells(root: LibraryCell) -> list[LibraryCell]:
    return [root, *(cell for ref in root.refs for cell in all_library_cells(ref))]


def test_a_merkle_cell_that_lies_about_what_is_below_is_refused(ledger: Ledger) -> None:
    proof = header_proof(ledger.last.master)
    bits = proof.bits.copy()
    bits.invert(100)
    with pytest.raises(CellError):
        ProofCell(bits, proof.refs, proof.type_)


def test_blocks_that_are_not_kept_are_not_spoken_of(ledger: Ledger) -> None:
    strange = replace(newest(ledger), root_hash=bytes(32))
    with pytest.raises(ChainUnavailable):
        ledger.account_state(strange, FRIEND)
    with pytest.raises(ChainUnavailable):
        ledger.block_proof(strange, None)
    assert ledger.block_proof(newest(ledger), None).steps == ()


def test_a_transaction_is_proven_to_be_in_its_block(chain: EmbeddedChain, ledger: Ledger) -> None:
    stored = chain.stored_transactions(WALLET.address)
    for item in stored:
        block, lt = ledger.by_seqno(item.seqno).base.id, item.record.lt
        listed, more = ledger.block_transactions(block, (b"", 0), 100)
        assert not more
        assert item.record.hash in [hash_ for _, _, hash_ in listed]
        answer = ledger.one_transaction(block, WALLET.address, lt)
        assert proofs.check_transaction(answer, block, WALLET.address, lt).record == item.record
    last, first = stored[-1], stored[0]
    block = ledger.by_seqno(last.seqno).base.id
    answer = ledger.one_transaction(block, WALLET.address, last.record.lt)
    other = ledger.one_transaction(
        ledger.by_seqno(first.seqno).base.id, WALLET.address, first.record.lt
    )
    for forged, where, address, lt in (
        (replace(answer, transaction=other.transaction), block, WALLET.address, last.record.lt),
        (other, block, WALLET.address, last.record.lt),
        (answer, replace(block, root_hash=bytes(32)), WALLET.address, last.record.lt),
        (answer, block, NOBODY, last.record.lt),
        (answer, block, WALLET.address, last.record.lt + 1),
        (replace(answer, proof=b""), block, WALLET.address, last.record.lt),
    ):
        with pytest.raises(InvalidData):
            proofs.check_transaction(forged, where, address, lt)
    with pytest.raises(ChainUnavailable):
        ledger.one_transaction(block, NOBODY, 5)


def test_a_block_names_the_one_before_it(ledger: Ledger) -> None:
    last = ledger.last
    before = ledger.by_seqno(last.base.id.seqno - 1)
    for block, expected in ((last.base, before.base.id), (last.master, before.master.id)):
        (proof,) = decode_proof(encode_roots([header_proof(block)]), 1)
        assert proofs.read_previous(proven_root(proof, block.id.root_hash)) == expected


# --- no bytes do more than be refused ---


def flipped(data: bytes, position: int, value: int) -> bytes:
    changed = bytearray(data)
    changed[position % len(changed)] ^= value
    return bytes(changed)


@settings(max_examples=60)
@given(
    st.sampled_from(["proof", "shard_proof", "state"]), st.integers(0, 5000), st.integers(1, 255)
)
def test_a_changed_byte_is_noticed(ledger: Ledger, field: str, position: int, value: int) -> None:
    answer = ledger.account_state(newest(ledger), WALLET.address)
    true = proofs.check_account(answer, newest(ledger), WALLET.address)
    changed = replace(answer, **{field: flipped(getattr(answer, field), position, value)})
    try:
        proven = proofs.check_account(changed, newest(ledger), WALLET.address)
    except InvalidData:
        return
    assert proven == true  # a byte of the container, such as an index that nobody reads


@settings(max_examples=60)
@given(st.sampled_from(["dest_proof", "config_proof"]), st.integers(0, 5000), st.integers(1, 255))
def test_a_changed_byte_of_a_link_is_noticed(
    ledger: Ledger, field: str, position: int, value: int
) -> None:
    link = link_of(ledger)
    changed = replace(link, **{field: flipped(getattr(link, field), position, value)})
    try:
        header = proofs.check_forward(changed, ledger.genesis.master_id)
    except InvalidData:
        return
    assert header.id == link.to


@given(st.binary(max_size=300), st.integers(1, 2))
def test_no_bag_of_bytes_does_more_than_be_refused(data: bytes, roots: int) -> None:
    for tried in (data, bytes.fromhex("b5ee9c72") + data):
        with pytest.raises(InvalidData):
            proven_root(decode_proof(tried, roots)[0], bytes(32))


def test_a_dictionary_that_shares_its_children_is_walked_along_one_path() -> None:
    leaf = Builder().uint(0, 2).end()
    for _ in range(256):
        leaf = Builder().uint(0, 2).ref(leaf).ref(leaf).end()
    assert find(leaf.inner, 12345, 256) is not None


@pytest.mark.parametrize(
    "edge",
    [
        Builder().uint(0b1, 1).uint(2**64 - 1, 64).end(),
        Builder().end(),
        Builder().uint(0b10, 2).uint(511, 9).end(),
        Builder().uint(0, 2).end(),
    ],
    ids=["no end", "empty", "too long", "no children"],
)
def test_a_hostile_edge_is_refused(edge: Cell) -> None:
    try:
        assert find(edge.inner, 0, 256) is None
    except InvalidData:
        return


def test_the_seed_decides_the_validator_and_the_zero_state(chain: EmbeddedChain) -> None:
    ledger = Ledger(chain.network_id, SEED, chain.ledger.genesis.config)
    assert ledger.genesis.master_id == chain.ledger.genesis.master_id
    other = Ledger(chain.network_id, b"\x01" * 32, chain.ledger.genesis.config)
    assert other.genesis.master_id != chain.ledger.genesis.master_id
