"""What a person sees at the command line when the database cannot be used: one line that says what to do."""

import asyncio

import asyncpg
import pytest

from tests.cli.support import ACME, Ran, start
from tests.cli.test_backup import filled
from tests.cli.test_postgres import bare, postgres
from tests.postgres.databases import DATABASES, run, shared_server

__all__ = ["bare", "filled", "postgres"]

COMMANDS = [
    ("usage", "--company", ACME),
    ("record", "--company", ACME, "--tokens", "1"),
    ("budget", "set", "--company", ACME, "--token-limit", "9"),
    ("keys", "list"),
    ("keys", "create", "--company", ACME),
    ("verify",),
]
IDS = [" ".join(words[:2]) for words in COMMANDS]


@pytest.fixture
def no_such_user(postgres):
    return postgres.replace("postgres@", "nobody:hunter2@")


@pytest.fixture
def no_such_database(postgres):
    return shared_server().url("nowhere")


@pytest.fixture
def no_server(tmp_path):
    return f"postgresql://nobody:hunter2@/d?host={tmp_path}"


@pytest.fixture
def no_such_option(postgres):
    return postgres.replace("postgres@", "nobody:hunter2@") + ("&" if "?" in postgres else "?") + "sslmode=odd"


@pytest.fixture
def newer(postgres, tmp_path):
    asyncio.run(run(DATABASES.name(tmp_path), "INSERT INTO kvot.schema_version VALUES (9999, '9999_later', 'x')"))
    yield postgres
    asyncio.run(run(DATABASES.name(tmp_path), "DELETE FROM kvot.schema_version WHERE version = 9999"))


@pytest.fixture
def replica(postgres, tmp_path):
    name = DATABASES.name(tmp_path)
    asyncio.run(run("postgres", f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    yield postgres
    asyncio.run(run("postgres", f"ALTER DATABASE {name} RESET default_transaction_read_only"))


TROUBLES = {
    "no_such_user": "refuses the user or the password of the URL. Check both",
    "no_such_database": "/nowhere does not exist. Make it (createdb), then run: kvot migrate --database",
    "no_server": "cannot be reached",
    "no_such_option": "with these options in its URL: `sslmode` parameter must be one of",
    "bare": "has no ledger yet. Run: kvot migrate --database",
    "newer": "was made by a newer Kvot (schema 9999_later). Upgrade Kvot",
    "replica": "is read-only: a replica, most likely. Name the primary",
}


@pytest.fixture(params=TROUBLES)
def trouble(request):
    """The URL of a database in trouble, and what is said of it."""
    return request.getfixturevalue(request.param), TROUBLES[request.param]


SECRET = {"environment": {"KVOT_SECRET": "of this test alone, and of no other database"}}


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("KVOT_SECRET", SECRET["environment"]["KVOT_SECRET"])


def is_told(ran, words):
    assert (ran.code, ran.out) == (1, ""), ran
    assert words in ran.err
    assert len(ran.err.splitlines()) == 1, ran.err
    assert "hunter2" not in ran.err


@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_a_command_says_what_to_do(kvot, trouble, command):
    url, words = trouble
    ran = kvot.bare(*command, "--database", url)
    is_told(ran, words)
    assert "carried out" not in ran.err  # each of them keeps anything from being done


def test_so_does_a_server_that_starts_with_workers_or_without(trouble):
    url, words = trouble
    started = [start("serve", "--port", 0, "--workers", count, "--database", url, **SECRET) for count in (1, 2)]
    for process in started:
        out, err = process.communicate(timeout=60)
        is_told(Ran(process.returncode, out, err), words)


@pytest.mark.parametrize(
    "name", ["no_such_user", "no_such_database", "no_server", "no_such_option", "newer", "replica"]
)
def test_so_does_migrate(kvot, name, request):
    is_told(kvot.bare("migrate", "--database", request.getfixturevalue(name)), TROUBLES[name])


@pytest.mark.parametrize("name", ["no_such_user", "no_such_database", "no_server", "no_such_option", "bare", "newer"])
def test_so_do_backup_and_copy(filled, name, request):
    url, kvot = request.getfixturevalue(name), filled
    is_told(kvot.bare("backup", kvot.folder / "b.gz", "--database", url), TROUBLES[name])
    is_told(kvot.bare("copy", "--from", kvot.database, "--to", url), TROUBLES[name])


def test_doctor_finds_it(kvot, trouble):
    url, words = trouble
    ran = kvot.bare("doctor", "--database", url)
    assert (ran.code, ran.err) == (1, "")
    assert words in ran.out
    assert "hunter2" not in ran.out


def test_doctor_finds_nothing_wrong_with_a_database_that_can_be_used(kvot, postgres):
    ran = kvot.bare("doctor", "--database", postgres)
    assert (ran.code, "answers, current, 0 companies" in ran.out) == (0, True)


async def version_of(url):
    connection = await asyncpg.connect(url)
    try:
        return (await connection.fetchval("SHOW server_version")).split()[0]
    finally:
        await connection.close()


def test_doctor_names_the_engine_that_keeps_the_ledger_and_no_other(kvot, postgres):
    findings = kvot.bare("doctor", "--database", postgres, "--json").document["findings"]
    found = {each["name"]: (each["grade"], each["detail"]) for each in findings}
    # The server of the tests puts nothing on the disk before it answers.
    assert found["postgresql"] == ("warn", f"{asyncio.run(version_of(postgres))}, fsync is off")
    assert "sqlite" not in found
