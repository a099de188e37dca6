"""Every error of ours has an exit code that is explained; a bug has 70."""

import errno

import pytest

from cocoon import errors
from cocoon.errors import EXIT_CODES, EXIT_MEANINGS, CocoonError, Refused, exit_code
from contracts.errors import ChainUnavailable, ContractError, MessageRejected
from overlay.errors import PeerUnavailable, RemoteProtocolError, StreamClosed


def test_every_exit_code_is_explained():
    assert {code for _, code in EXIT_CODES} <= set(EXIT_MEANINGS)


@pytest.mark.parametrize(
    "kind",
    [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, CocoonError) and each is not CocoonError
    ],
)
def test_every_error_of_ours_has_its_own_code(kind):
    assert exit_code(kind("because")) not in (0, 70)


def test_a_more_special_error_is_matched_before_its_base():
    assert exit_code(ChainUnavailable("x")) == 6 != exit_code(ContractError("x"))
    assert exit_code(MessageRejected("x")) == 5
    assert exit_code(StreamClosed("x")) == exit_code(PeerUnavailable("x")) == 6
    assert exit_code(RemoteProtocolError("x")) == 9
    assert exit_code(ZeroDivisionError()) == 70
    assert exit_code(OSError(errno.ENOSPC, "no space left")) == 2, "a full disk is no bug"
    assert exit_code(OSError(errno.EBADF, "bad descriptor")) == 70
    assert exit_code(KeyboardInterrupt()) == 130


def test_a_refusal_tells_code_and_words():
    assert str(Refused("busy", "all slots taken")) == "busy: all slots taken"
    assert str(Refused("busy")) == "busy"
