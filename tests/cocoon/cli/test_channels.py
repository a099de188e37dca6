"""Backups from the command line."""

import json

from cocoon.cli.main import run
from cocoon.payments.channel import Payee
from cocoon.payments.journal import Journal, read_records
from cocoon.payments.payee_book import Held, PayeeBook, PayeeRecord


def test_journals_are_copied_to_a_folder_and_fill_a_new_home(tmp_path, capsys) -> None:
    old, new, copies = tmp_path / "old", tmp_path / "new", tmp_path / "copies"
    old.mkdir()
    held = Held(address="0:" + "1" * 64, payer_key=bytes(32), payer_address="0:0", state=Payee())
    with Journal(old / "payee.journal", PayeeRecord) as journal:
        journal.append(held)
    assert run(["channels", "backup", str(copies), "--home", str(old), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["records"].keys() == {"payee"}
    assert run(["channels", "restore", str(copies), "--home", str(new), "--json"]) == 0
    restored = PayeeBook(read_records(new / "payee.journal", PayeeRecord))
    assert restored.channels.keys() == {held.address}
    assert restored.channels[held.address].state.restored


def test_a_backup_says_what_it_lacks(tmp_path, capsys) -> None:
    assert run(["channels", "backup", "--home", str(tmp_path)]) == 2
    assert run(["channels", "backup", str(tmp_path / "c"), "--home", str(tmp_path)]) == 5
    assert "nothing to back up" in capsys.readouterr().err
