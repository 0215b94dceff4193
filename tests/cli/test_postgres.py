"""The commands on a ledger in PostgreSQL, and several workers on one."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from hashlib import sha256
from http.client import HTTPConnection

import asyncpg
import pytest

from tests.cli.support import ACME, copy_until_killed, said_of_a_part, said_of_unfinished, start
from tests.cli.test_backup import COMPANIES, answers, filled, prove_holds_restored
from tests.cli.test_serve import Server
from tests.postgres.databases import DATABASES, run, shared_server
from tests.postgres.needed import needed

__all__ = ["filled"]


@pytest.fixture
def postgres(tmp_path):
    """The URL of an empty, migrated database."""
    needed(shared_server)
    yield asyncio.run(DATABASES.url(tmp_path))
    DATABASES.discard(tmp_path)


@pytest.fixture
def bare(postgres, tmp_path):
    """The URL of a database that nothing has migrated."""
    name = f"bare_{sha256(str(tmp_path).encode()).hexdigest()[:8]}"
    asyncio.run(run("postgres", f"CREATE DATABASE {name}"))
    return shared_server().url(name)


@pytest.fixture
def filled_with_secret(filled, monkeypatch):
    """Everywhere the secret that the keys of the embedded database were made under."""
    secret = filled.database.with_name("kvot.db.secret").read_text().strip()
    monkeypatch.setenv("KVOT_SECRET", secret)
    return filled


def test_a_database_is_migrated_once(kvot, bare):
    ran = kvot.bare("migrate", "--database", bare, "--json")
    assert (ran.code, ran.document["applied"][0]) == (0, "0001_tables")
    assert kvot.bare("migrate", "--database", bare, "--json").document["applied"] == []
    assert "is up to date" in kvot.bare("migrate", "--database", bare).out


@pytest.mark.parametrize("command", [("backup", "b.gz"), ("restore", "b.gz"), ("copy",)])
def test_an_unmigrated_database_is_said_to_be_one(filled_with_secret, bare, command):
    kvot = filled_with_secret
    if command[0] == "restore":
        kvot("backup", "b.gz")
    where = ("--from", kvot.database, "--to", bare) if command == ("copy",) else ("--database", bare)
    ran = kvot.bare(*command, *where)
    assert (ran.code, "kvot migrate" in ran.err) == (1, True)


def test_a_ledger_goes_to_postgres_and_back(filled_with_secret, postgres):
    kvot, back = filled_with_secret, filled_with_secret.folder / "back.db"
    for source, target in ((kvot.database, postgres), (postgres, back)):
        ran = kvot.bare("copy", "--from", source, "--to", target, "--json")
        assert (ran.code, ran.document["differences"], ran.document["companies"]) == (0, 0, 2)
    expected = answers(kvot, kvot.database)
    assert answers(kvot, postgres) == expected
    assert answers(kvot, back) == expected
    assert kvot.bare("copy", "--from", kvot.database, "--to", postgres, "--json").document["companiesThereAlready"] == 2


def test_holds_that_ran_out_are_charged_at_the_same_instant_in_postgres(kvot, postgres):
    prove_holds_restored(kvot, postgres)


def test_a_copy_to_postgres_that_was_killed_is_no_database_to_serve(filled_with_secret, postgres):
    kvot = filled_with_secret
    copy_until_killed(f"sqlite:///{kvot.database}", postgres)
    assert said_of_unfinished(kvot, postgres) == [(1, True), (1, True)]
    assert said_of_a_part(kvot, postgres) == [(1, True, False), (1, True, False)]
    assert kvot.bare("copy", "--from", kvot.database, "--to", postgres).code == 0
    assert kvot.bare("doctor", "--database", postgres).code == 0


def test_a_backup_of_either_engine_is_restored_into_the_other(filled_with_secret, postgres):
    kvot, back = filled_with_secret, filled_with_secret.folder / "back.db"
    assert kvot("backup", "one.gz").code == kvot.bare("restore", "one.gz", "--database", postgres).code == 0
    assert kvot.bare("backup", "two.gz", "--database", postgres).code == 0
    assert kvot.bare("restore", "two.gz", "--database", back).code == 0
    assert answers(kvot, back) == answers(kvot, postgres) == answers(kvot, kvot.database)
    ran = kvot.bare("restore", "one.gz", "--database", postgres)
    assert (ran.code, "Restore into an empty one" in ran.err) == (1, True)


class Workers(Server):
    """Two workers and a key of the first company."""

    def __init__(self, kvot, database):
        self.where = ("--database", database)
        self.key = json.loads(kvot.bare("keys", "create", "--company", ACME, *self.where, "--json").out)
        environment = {"KVOT_SECRET": os.environ["KVOT_SECRET"]}
        super().__init__(start("serve", "--port", 0, "--workers", 2, *self.where, environment=environment))

    def ask(self, key=None):
        """The status, on a connection of its own, which the kernel gives to whichever worker."""
        connection = HTTPConnection(self.address, timeout=10)
        connection.request("GET", "/assistant/ai-chat/usage", headers={"x-api-key": key or self.key["key"]})
        status = connection.getresponse().status
        connection.close()
        return status

    def readiness(self):
        """The status, and the reason where there is one."""
        connection = HTTPConnection(self.address, timeout=10)
        connection.request("GET", "/readyz")
        reply = connection.getresponse()
        said = json.loads(reply.read())
        connection.close()
        return reply.status, said.get("reason")


@pytest.fixture
def workers(filled_with_secret, postgres):
    server = Workers(filled_with_secret, postgres)
    yield server
    if server.process.poll() is None:
        server.process.kill()
    server.process.communicate()


def test_a_revoked_key_is_refused_by_every_worker_within_a_second(filled_with_secret, workers):
    kvot = filled_with_secret
    live = kvot.bare("keys", "create", "--company", ACME, *workers.where, "--json").document["key"]
    assert {workers.ask() for _ in range(30)} == {200}, "both have seen it"
    assert kvot.bare("keys", "revoke", workers.key["result"]["id"], "--yes", *workers.where).code == 0
    revoked_s = time.monotonic()
    while time.monotonic() - revoked_s < 1:
        assert workers.ask(live) == 200
    # More failures than these would be refused for their number, by either worker.
    assert Counter(workers.ask() for _ in range(10)) == {401: 10}


def test_workers_whose_secret_was_replaced_say_so_and_make_no_keys(filled_with_secret, workers, monkeypatch):
    kvot = filled_with_secret
    root = kvot.bare("keys", "create", "--role", "superadmin", *workers.where, "--json").document["key"]
    at_server = ("keys", "create", "--company", ACME, "--url", workers.url, "--api-key", root)
    assert (kvot.bare(*at_server).code, workers.readiness()) == (0, (200, None))
    monkeypatch.setenv("KVOT_SECRET", "another secret, of thirty-two bytes or more")
    accepted = kvot.bare("keys", "accept-secret", "--yes", *workers.where)
    assert "Every server that uses the database must be started again with this secret." in accepted.out
    assert {workers.readiness()[0] for _ in range(10)} == {503}
    assert "secret of this server is not the one that the keys" in workers.readiness()[1]
    made = kvot.bare(*at_server)
    assert (made.code, "The secret of this server is not the one" in made.err) == (1, True)
    assert kvot.bare("keys", "create", "--company", ACME, *workers.where).code == 0


def test_what_one_worker_records_all_workers_know(filled_with_secret, workers):
    kvot = filled_with_secret
    writer = kvot.bare("keys", "create", "--company", COMPANIES[1], "--role", "usage-writer", *workers.where, "--json")
    where = ("--url", workers.url, "--api-key", writer.document["key"], "--json")
    told = [kvot.bare("record", "--tokens", 1, *where).document["tokensUsed"] for _ in range(30)]
    assert told == list(range(1, 31))


def test_workers_end_with_0(workers):
    code, _, err = workers.stop()
    assert (code, err) == (0, "")


async def until_asleep(url):
    connection = await asyncpg.connect(url)
    try:
        while not await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
            await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def execute(url, sql):
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def test_ctrl_c_ends_a_copy_with_how_far_it_came(filled, postgres):
    second = max(COMPANIES)
    held = f"""CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
        CREATE TRIGGER hold_up BEFORE INSERT ON kvot.company FOR EACH ROW WHEN (NEW.company_id = '{second}')
        EXECUTE FUNCTION hold_up()"""
    asyncio.run(execute(postgres, held))
    process = start("copy", "--from", filled.database, "--to", postgres)
    asyncio.run(until_asleep(postgres))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    said = "kvot: Interrupted after 1 of 2 companies; run it again to go on.\n"
    assert (process.returncode, out, err) == (130, "", said)
