"""`kvot copy`. What it refuses and how it goes on: tests/stores/test_transfer.py."""

import signal
import socket

import pytest

from tests.cli.support import ACME, copy_until_killed, said_of_a_part, said_of_unfinished, start
from tests.cli.test_backup import answers, filled

__all__ = ["filled"]


@pytest.fixture
def other(filled):
    filled.database.with_name("other.db.secret").write_text("x" * 32)
    filled.database.with_name("other.db.secret").chmod(0o600)
    return filled.folder / "other.db"


def copy(kvot, source, target):
    return kvot.bare("copy", "--from", source, "--to", f"sqlite:///{target}", "--json")


def test_a_copy_answers_as_what_it_was_made_of(filled, other):
    ran = copy(filled, filled.database, other)
    assert (ran.code, ran.document["companiesThereAlready"], ran.document["differences"]) == (0, 0, 0)
    assert answers(filled, other) == answers(filled, filled.database)


def test_a_copy_says_where_the_secret_has_to_be(filled, other):
    said = [filled.bare("copy", "--from", filled.database, "--to", to).err for to in (other, "third.db")]
    assert f"The secret is not in a copy: API keys work only if {other}.secret is the one" in said[0]
    assert "Take that of the database which was copied: copy its file to third.db.secret" in said[1]


def test_a_second_copy_finds_all_there(filled, other):
    copy(filled, filled.database, other)
    ran = copy(filled, filled.database, other)
    assert (ran.code, ran.document["companiesThereAlready"], ran.document["companies"]) == (0, 2, 2)


def test_there_and_back_is_the_same(filled, other):
    back = filled.folder / "back.db"
    assert copy(filled, filled.database, other).code == copy(filled, other, back).code == 0
    backups = [filled.folder / name for name in ("one.gz", "two.gz")]
    for file, database in zip(backups, (filled.database, back), strict=True):
        filled.bare("backup", file, "--database", database)
    assert backups[0].read_bytes() == backups[1].read_bytes()


def test_another_ledger_in_the_target_is_refused(filled, other):
    copy(filled, filled.database, other)
    assert filled.bare("record", "--company", ACME, "--tokens", 1, "--database", other).code == 0
    ran = copy(filled, filled.database, other)
    assert (ran.code, ran.document["responseStatus"]["errorCode"]) == (1, "Conflict")


def test_keys_in_the_target_are_refused_with_what_to_do(filled, other):
    assert filled.bare("keys", "create", "--role", "superadmin", "--database", other).code == 0
    ran = copy(filled, filled.database, other)
    message = ran.document["responseStatus"]["message"]
    assert (ran.code, "right after kvot migrate, before keys are made there" in message) == (1, True)


def test_a_ledger_that_does_not_verify_is_told(filled, other):
    import apsw

    connection = apsw.Connection(str(filled.database))
    connection.execute("UPDATE point SET cum = cum + 1")
    connection.close()
    ran = copy(filled, filled.database, other)
    assert (ran.code, ran.document["differences"] > 0) == (1, True)
    assert "Source: Company" in ran.err


def test_a_copy_that_was_killed_passes_for_whole_nowhere_until_it_is_run_again(filled, other):
    other.with_name("other.db.secret").write_bytes(filled.database.with_name("kvot.db.secret").read_bytes())
    copy_until_killed(f"sqlite:///{filled.database}", f"sqlite:///{other}")
    assert said_of_unfinished(filled, other) == [(1, True), (1, True)]
    assert said_of_a_part(filled, other) == [(1, True, False), (1, True, False)]
    assert copy(filled, filled.database, other).document["companiesThereAlready"] == 1
    assert filled.bare("doctor", "--database", other).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--from", "kvot.db", "--to", "kvot.db"), 2, "one database"),
        (("--from", "none.db", "--to", "other.db"), 1, "does not exist"),
        (("--from", "mysql://x/y", "--to", "other.db"), 2, "--from"),
        (("--from", "kvot.db", "--to", ""), 2, "--to"),
        (("--from", "kvot.db"), 2, ""),
    ],
)
def test_what_cannot_be_copied_is_said(filled, arguments, code, word):
    ran = filled.bare("copy", *arguments)
    assert (ran.code, word in ran.err) == (code, True)


@pytest.mark.parametrize("command", ["copy", "backup"])
def test_ctrl_c_is_told_in_one_line(filled, other, command):
    """A database server that takes the connection and says nothing keeps a command waiting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://u@127.0.0.1:{server.getsockname()[1]}/d?sslmode=disable"
        words = ("copy", "--from", url, "--to", other) if command == "copy" else ("backup", "b.gz", "--database", url)
        process = start(*words, cwd=filled.folder)
        with server.accept()[0]:
            process.send_signal(signal.SIGINT)
            assert (*process.communicate(timeout=60), process.returncode) == ("", "kvot: Interrupted.\n", 130)
