"""`kvot backup` and `kvot restore`."""

import asyncio
import gzip
import json
import signal

import pytest

from kvot.core.budget import Rules
from kvot.core.model import NewHold
from kvot.core.window import MS_PER_HOUR as HOUR
from kvot.stores.sqlite import SqliteStore
from tests.cli.support import ACME, NOW_MS, OTHER, signalled
from tests.cli.test_serve import make_key, serving

COMPANIES = (ACME, OTHER)


@pytest.fixture
def filled(kvot):
    """A database with two ledgers, a budget, a correction and a key."""
    for number, company in enumerate(COMPANIES):
        for at_ms in (NOW_MS - 86_400_000, NOW_MS - 5, NOW_MS - 99):
            assert kvot("record", "--company", company, "--tokens", 7 + number, "--at", at_ms).code == 0
    assert kvot("budget", "set", "--company", ACME, "--token-limit", 99, "--reason", "new plan").code == 0
    make_key(kvot, "--company", ACME)
    return kvot


def answers(kvot, database):
    """What a database says of everything in it."""

    def ask(*words):
        document = kvot.bare(*words, "--json", "--database", database).document
        return {name: value for name, value in document.items() if name != "at"}

    asked = [(*words, "--company", company) for company in COMPANIES for words in (("usage",), ("budget", "history"))]
    return [ask(*words) for words in [*asked, ("keys", "list"), ("verify",)]]


def test_what_is_restored_answers_as_what_was_backed_up(filled):
    file, other = filled.folder / "backup.gz", filled.folder / "other.db"
    made = filled("backup", file, "--json").document
    restored = filled.bare("restore", file, "--database", other, "--json")
    assert restored.code == 0
    assert restored.document == {
        "companies": 2, "events": 6, "tokens": 45, "holds": 0, "tokensHeld": 0, "differences": 0
    }  # fmt: skip
    assert made == {**restored.document, "file": str(file), "bytes": file.stat().st_size}
    other.with_name("other.db.secret").write_bytes(filled.database.with_name("kvot.db.secret").read_bytes())
    other.with_name("other.db.secret").chmod(0o600)
    assert answers(filled, other) == answers(filled, filled.database)


def test_a_server_goes_on_while_it_is_backed_up(filled):
    key = make_key(filled, "--company", ACME, "--role", "usage-writer")
    file, other = filled.folder / "backup.gz", filled.folder / "other.db"
    with serving(filled) as server:
        where = ("--url", server.url, "--api-key", key, "--json")
        assert filled.bare("record", "--tokens", 1000, "--id", "a", *where).code == 0
        assert filled("backup", file).code == 0
        assert filled.bare("record", "--tokens", 2000, "--id", "b", *where).code == 0
        assert server.stop()[0] == 0
    assert filled.bare("restore", file, "--database", other, "--json").document["tokens"] == 1045
    assert filled("verify", "--json").document["tokens"] == 3045


async def hold_some(store):
    """A call that was sent and one that was not, whose holds ran out a minute ago, and one that is under way."""
    for hold_id, tokens, ttl_ms, dispatched in (
        ("sent", 80, 1, True),
        ("not sent", 40, 1, False),
        ("open", 5, HOUR, True),
    ):
        hold = NewHold(hold_id, tokens, ttl_ms, dispatched, "openai")
        await store.reserve(ACME, hold, now_ms=NOW_MS - 60_000)
    await store.close()


def used(kvot, database):
    """Used and held at instants before and after holds ran out, now, and what is listed."""
    where = ("--company", ACME, "--json", "--database", database)
    asked = [("--at", NOW_MS - 60_000 + ms) for ms in (-1, 0, 1, 60_000)]
    told = [kvot.bare("usage", *at, *where).document for at in [*asked, ()]]
    listed = kvot.bare("events", *where).document["results"]
    return [(each["tokensUsed"], each["tokensHeld"]) for each in told], listed


def prove_holds_restored(kvot, other):
    """Wherever holds are restored, all that is counted of them is as it was, at every instant and after the next
    write."""
    asyncio.run(hold_some(SqliteStore.open(kvot.database, Rules())))
    file = kvot.folder / "backup.gz"
    counted = [(0, 0), (0, 125), (80, 5), (80, 5), (80, 5)]
    made, before = kvot("backup", file, "--json").document, used(kvot, kvot.database)
    assert (before[0], [each["id"] for each in before[1]]) == (counted, ["hold→sent"])
    restored = kvot.bare("restore", file, "--database", other, "--json").document
    for document in (made, restored):
        summed = [document[name] for name in ("events", "tokens", "holds", "tokensHeld", "differences")]
        assert summed == [0, 0, 3, 5, 0]  # what ran out is held by nobody, and is no event yet
    for database in (kvot.database, other):
        assert used(kvot, database) == before
        assert kvot.bare("record", "--company", ACME, "--tokens", 1, "--database", database).code == 0
        usage, listed = used(kvot, database)
        assert (usage, listed[1:]) == ([*counted[:-1], (81, 5)], before[1])


def test_holds_that_ran_out_are_charged_at_the_same_instant_where_they_are_restored(kvot):
    prove_holds_restored(kvot, kvot.folder / "other.db")


def test_the_secret_and_the_keys_are_not_in_it_and_both_commands_say_so(filled):
    file = filled.folder / "backup.gz"
    secret = filled.database.with_name("kvot.db.secret").read_bytes().strip()
    key = make_key(filled, "--company", ACME).split("_")[2].encode()
    said = [filled("backup", file), filled.bare("restore", file, "--database", filled.folder / "other.db")]
    assert all("The secret" in ran.err and "not in a backup" in ran.err for ran in said)
    content = gzip.decompress(file.read_bytes())
    assert secret not in content
    assert key not in content


def test_a_restore_names_the_secret_that_is_there_or_says_how_to_bring_it(filled, monkeypatch):
    file, place = filled.folder / "backup.gz", "other.db.secret"
    filled("backup", file)

    def said(database):
        return " ".join(filled.bare("restore", file, "--database", filled.folder / database).err.split())

    assert f"copy its file to {filled.folder / place}, or set KVOT_SECRET to it" in said("other.db")
    (filled.folder / "third.db.secret").write_text("s" * 43)
    assert f"only if {filled.folder / 'third.db.secret'} is the one" in said("third.db")
    monkeypatch.setenv("KVOT_SECRET", "s" * 43)
    assert "only if the value of KVOT_SECRET is the one" in said("fourth.db")


def test_only_an_empty_database_is_restored_into(filled):
    file = filled.folder / "backup.gz"
    filled("backup", file)
    ran = filled("restore", file)
    assert (ran.code, "Restore into an empty one" in ran.err) == (1, True)


def test_a_damaged_backup_restores_nothing(filled):
    file, other = filled.folder / "backup.gz", filled.folder / "other.db"
    filled("backup", file)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    file.write_bytes(gzip.compress(b"".join(lines[:-3] + lines[-2:])))
    ran = filled.bare("restore", file, "--database", other, "--json")
    assert (ran.code, ran.document["responseStatus"]["errorCode"]) == (1, "DamagedBackup")
    assert not other.exists()


@pytest.mark.parametrize("cut", [slice(-1), slice(-40, -20)], ids=["of its end", "inside"])
def test_a_refused_restore_leaves_no_new_file(filled, cut):
    file = filled.folder / "backup.gz"
    filled("backup", file)
    file.write_bytes(file.read_bytes()[cut])
    before = set(filled.folder.iterdir())
    assert filled.bare("restore", file, "--database", filled.folder / "new.db").code == 1
    assert set(filled.folder.iterdir()) == before


def test_a_backup_whose_parts_do_not_fit_is_named_as_damaged(filled):
    file = filled.folder / "backup.gz"
    filled("backup", file)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    file.write_bytes(gzip.compress(b"".join([lines[0], *lines[2:]])))  # a ledger without its start
    ran = filled.bare("restore", file, "--database", filled.folder / "new.db")
    said = f"kvot: {file} cannot be restored: line 2 does not fit those before it."
    assert (ran.code, ran.err.splitlines()) == (1, [said])


def test_a_backup_is_of_a_database_not_of_a_server(filled):
    ran = filled.bare("backup", filled.folder / "backup.gz", "--url", "http://127.0.0.1:1")
    assert (ran.code, "--database" in ran.err) == (2, True)


def test_a_backup_names_the_database_that_it_is_of(filled):
    ran = filled.bare("backup", "b.gz")
    assert ran.out.splitlines()[0].split() == ["database", str(filled.database)]


def test_a_database_that_is_not_there_is_not_made_by_backing_it_up(kvot):
    ran = kvot("backup", kvot.folder / "backup.gz")
    assert (ran.code, "does not exist" in ran.err) == (1, True)
    assert list(kvot.folder.iterdir()) == []


def test_a_backup_is_not_written_over(filled):
    file = filled.file("backup.gz", "mine")
    assert filled("backup", file).code == 1
    assert file.read_text() == "mine"


def test_a_file_that_is_not_there_is_said(kvot):
    ran = kvot("restore", kvot.folder / "none.gz")
    assert (ran.code, "none.gz" in ran.err) == (1, True)


def test_a_changed_audit_log_is_told_and_backed_up_all_the_same(filled):
    import apsw

    connection = apsw.Connection(str(filled.database))
    connection.execute("DROP TRIGGER audit_is_never_changed")
    connection.execute("UPDATE audit SET actor = 'somebody else' WHERE seq = 1")
    connection.close()
    ran = filled("backup", filled.folder / "backup.gz", "--json")
    assert (ran.code, json.loads(ran.out)["differences"]) == (1, 1)
    assert "audit log was changed" in ran.err


@pytest.mark.parametrize(
    ("step", "told", "is_there"), [("move", "Nothing is restored.", False), ("differences", "run kvot verify.", True)]
)
def test_a_restore_that_is_interrupted_says_how_far_it_is(filled, step, told, is_there):
    file, other = filled.folder / "backup.gz", filled.folder / "other.db"
    filled("backup", file)
    ran = signalled(step, signal.SIGINT, "restore", file, "--database", other)
    assert (ran.returncode, told in ran.stderr, ran.stderr.count("\n")) == (130, True, 1)
    assert other.exists() is is_there
    assert (filled.bare("verify", "--database", other).code == 0) is is_there


def test_a_backup_that_is_terminated_leaves_no_draft(filled):
    ran = signalled("move", signal.SIGTERM, "backup", filled.folder / "b.gz", "--database", filled.database)
    assert (ran.returncode, ran.stderr) == (-signal.SIGTERM, "")
    assert not [each for each in filled.folder.iterdir() if "b.gz" in each.name]


def test_a_file_may_have_a_name_that_is_not_text(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    assert kvot("backup", kvot.folder / "caf\udce9").code == 0
