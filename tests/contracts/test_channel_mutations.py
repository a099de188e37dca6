"""Bugs planted in the contract's source: the model must find each of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts import channel, check, compiler
from contracts.cells import Cell, decode_boc
from contracts.emulator import Emulator

GAMES = 60

MUTATIONS = {
    "vouchers survive a new deployment": (
        "payment_channel.tolk",
        "        .storeUint(st.openedLt, 64)\n        .hash()",
        "        .hash()",
    ),
    "it throws after ACCEPT": (
        "payment_channel.tolk",
        "    acceptExternalMessage();\n    contract.setData(Claiming",
        "    acceptExternalMessage();\n    assert (out != amount - fee) throw 99;\n"
        "    contract.setData(Claiming",
    ),
    "it accepts before it has checked": (
        "payment_channel.tolk",
        "fun startClose(fields: slice) {\n",
        "fun startClose(fields: slice) {\n    acceptExternalMessage();\n",
    ),
    "payouts bounce": (
        "payment_channel.tolk",
        "BounceMode.NoBounce",
        "BounceMode.Only256BitsOfBody",
    ),
    "a claim forgets what was paid": (
        "payment_channel.tolk",
        "paid: paid + amount, settled",
        "paid: amount, settled",
    ),
    "the network is not signed": (
        "payment_channel.tolk",
        "        .storeInt(globalId(), 32)\n",
        "        .storeInt(-239, 32)\n",
    ),
    "anyone starts to close": (
        "payment_channel.tolk",
        "digest(domain, TAG_START_CLOSE, fields), payerSignature, payerKey)",
        "digest(domain, TAG_START_CLOSE, fields), payerSignature, payerKey) | true",
    ),
    "closing does not need the payee": (
        "payment_channel.tolk",
        "release.loadBits(512), terms.payeeKey)",
        "release.loadBits(512), terms.payeeKey) | true",
    ),
    "finishing does not wait": (
        "payment_channel.tolk",
        "blockchain.now() > st.deadlineUnixS",
        "(blockchain.now() > st.deadlineUnixS) | (st.deadlineUnixS != NEVER)",
    ),
    "claims reach the reserve": (
        "payment_channel.tolk",
        "fields, RESERVE, whole",
        "fields, 0, whole",
    ),
    "the channel pays for the import": ("payment_channel.tolk", "amount - fee;", "amount;"),
    "locks do not expire": ("locks.tolk", "blockchain.now() <= deadlineUnixS", "true"),
    "a lock is forgotten": ("locks.tolk", "            settled.set(key, worth);\n", ""),
    "a preimage is not compared": (
        "locks.tolk",
        "witness.loadBits(256).bitsHash() == key",
        "witness.loadBits(256).bitsHash() != 0",
    ),
    "a lock pays more than its amount": (
        "locks.tolk",
        "total += min(worth, amount)",
        "total += worth",
    ),
}

FIRST_SEED = {
    "vouchers survive a new deployment": 6,
    "it accepts before it has checked": 2,
    "the network is not signed": 6,
    "anyone starts to close": 2,
    "closing does not need the payee": 10,
    "finishing does not wait": 12,
    "locks do not expire": 53,
    "a lock is forgotten": 3,
    "a preimage is not compared": 5,
    "a lock pays more than its amount": 38,
}
"""Where a game that finds the bug has been seen; the search begins there, to be quick."""


def compiled(into: Path, file: str, old: str, new: str) -> Cell:
    shutil.copytree(compiler.SOURCES, into, dirs_exist_ok=True)
    source = (into / file).read_text()
    assert old in source, "the mutation no longer fits the source"
    (into / file).write_text(source.replace(old, new))
    return decode_boc(compiler.compile_tolk(compiler.ENTRY, into))


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_model_finds_a_planted_bug(
    name: str,
    emulator: Emulator,
    require_asset: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    require_asset(compiler.ASSET)
    code = compiled(tmp_path, *MUTATIONS[name])
    monkeypatch.setattr(channel, "channel_code", lambda: code)
    first = FIRST_SEED.get(name, 0)
    assert any(check.play(emulator, seed) for seed in range(first, first + GAMES))


def test_the_contract_itself_passes_the_same_games(emulator: Emulator) -> None:
    assert not any(check.play(emulator, seed) for seed in {0, *FIRST_SEED.values()})
