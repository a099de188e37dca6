"""What has been proven of the masterchain, and how to prove more of it."""

from collections.abc import Callable
from typing import Final

from contracts.errors import ChainUnavailable, InvalidData
from contracts.lite_connection import LiteConnection
from contracts.lite_messages import BlockId, BlockProof, GetBlockProof, LinkForward
from contracts.proofs import Header, check_forward

PROOFS_MAX: Final = 4_096
"""Answers on the way from the trusted key block to the newest block."""

HEADERS_KEPT: Final = 64
KEY_BLOCKS_KEPT: Final = 64


class TrustedChain:
    """What has been proven of the masterchain so far, by whatever server.

    Args:
        trusted: a key block or the zero state.
        remember: is told each newer key block.
    """

    def __init__(self, trusted: BlockId, remember: Callable[[BlockId], None]) -> None:
        self._key_blocks = [trusted]
        self.newest_seqno = trusted.seqno
        self._remember = remember
        self._headers: dict[BlockId, Header] = {}

    @property
    def key_block(self) -> BlockId:
        """The newest key block that has been proven, or what was trusted from the beginning."""
        return self._key_blocks[-1]

    @property
    def oldest_seqno(self) -> int:
        """The number of the oldest block from which anything can be proven."""
        return self._key_blocks[0].seqno

    def key_block_before(self, seqno: int) -> BlockId | None:
        """Return the newest proven key block before the block numbered *seqno*."""
        return next((each for each in reversed(self._key_blocks) if each.seqno < seqno), None)

    def header(self, block: BlockId) -> Header | None:
        """Return the header of a block that has been proven, if it is remembered."""
        return self._headers.get(block)

    def accept(self, proof: BlockProof, known: BlockId) -> Header | None:
        """Follow the links of an answer; return the last header.

        Raises:
            InvalidData: they do not lead from *known* anywhere.
        """
        header: Header | None = None
        at = known
        for link in proof.steps:
            if not isinstance(link, LinkForward):
                raise InvalidData(f"a backward link, though {known} is a key block")
            if header is not None and not header.key_block:
                raise InvalidData("links that go on from a block without validators")
            header = check_forward(link, at)
            at = link.to
            self._note(header)
        if header is None or at != proof.to:
            raise InvalidData("links that do not lead to where they should")
        return header

    def _note(self, header: Header) -> None:
        self._headers[header.id] = header
        while len(self._headers) > HEADERS_KEPT:
            del self._headers[next(iter(self._headers))]
        self.newest_seqno = max(self.newest_seqno, header.id.seqno)
        if header.key_block and header.id.seqno > self.key_block.seqno:
            self._key_blocks = [*self._key_blocks, header.id][-KEY_BLOCKS_KEPT:]
            self._remember(header.id)


async def prove(trust: TrustedChain, connection: LiteConnection, block: BlockId) -> Header:
    """Return the header of *block* when it follows from what is trusted.

    Raises:
        ChainUnavailable: the server can not show that.
        InvalidData: it shows something else.
    """
    for _ in range(PROOFS_MAX):
        header = trust.header(block)
        if header is not None:
            return header
        known = trust.key_block_before(block.seqno)
        if known is None:
            raise ChainUnavailable(f"the server tells of {block}, before all that is trusted")
        proof = await connection.ask(GetBlockProof(1, known, block), BlockProof)
        last = trust.accept(proof, known)
        if last is None or (last.id != block and trust.key_block_before(block.seqno) == known):
            raise InvalidData(f"a proof that does not get any closer to {block}")
    raise ChainUnavailable(f"the way to {block} is too long")
