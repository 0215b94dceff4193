"""Migration applies what is missing, once; a database that is otherwise than this version knows is refused."""

import asyncio
import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.model import NewEvent, NewHold, Settlement, Status
from kvot.stores.postgres import PostgresStore, Time, migrate
from kvot.stores.postgres import pool as pool_module
from kvot.stores.postgres.schema import citus_sql, known_steps
from tests.conformance.scene import COMPANY, OTHER, T0
from tests.postgres.server import PrivateServer

from .test_trouble import database_of

GLOBAL = {"api_key", "keys_version", "key_audit", "schema_version", "secret_check", "unfinished_copy"}
FIRST_KEY_COLUMNS = """SELECT c.relname, a.attname FROM pg_class c
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    WHERE c.relnamespace = 'kvot'::regnamespace AND c.relkind IN ('r', 'p')"""
UNIQUE_WITHOUT_COMPANY = """SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    WHERE c.relnamespace = 'kvot'::regnamespace AND a.attname <> 'company_id' AND NOT c.relname = ANY ($1::text[])"""
TABLES = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'kvot'"
STUB = """
CREATE TABLE public.asked(what text, name text, argument text, colocated text);
CREATE FUNCTION create_distributed_table(t regclass, c text, colocate_with text DEFAULT 'default') RETURNS void
LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM pg_attribute WHERE attrelid = t AND attname = c AND attnotnull;
    IF NOT FOUND THEN RAISE EXCEPTION '% has no column %', t, c; END IF;
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t) THEN RAISE EXCEPTION '% has a trigger', t; END IF;
    IF colocate_with <> 'none' THEN PERFORM colocate_with::regclass; END IF;
    INSERT INTO public.asked VALUES ('table', t::text, c, colocate_with);
END $$;
CREATE FUNCTION create_reference_table(t regclass) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t) THEN RAISE EXCEPTION '% has a trigger', t; END IF;
    INSERT INTO public.asked VALUES ('reference', t::text, NULL, NULL);
END $$;
CREATE FUNCTION create_distributed_function(f regprocedure, argument text DEFAULT NULL,
    colocate_with text DEFAULT 'default') RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    IF argument IS NOT NULL AND (SELECT proargtypes[0] FROM pg_proc WHERE oid = f) <> 'uuid'::regtype THEN
        RAISE EXCEPTION '% does not begin with a company', f;
    END IF;
    INSERT INTO public.asked VALUES ('function', f::oid::regproc::text, argument, colocate_with);
END $$;
"""


@pytest.fixture
def bare(server: PrivateServer, tmp_path: Path) -> str:
    """A database with nothing in it."""
    name = "bare_" + re.sub(r"\W", "_", tmp_path.name.lower())[:50]
    server.run(f'CREATE DATABASE "{name}"')
    return server.url(name)


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def rows_of(url: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def refused(url: str, match: str) -> None:
    store = PostgresStore.open(url, Rules())
    with pytest.raises(StoreUnavailable, match=match):
        await store.ready()
    await store.close()


async def test_migration_says_what_it_did_and_does_it_once(bare: str):
    assert await migrate(bare) == [step.name for step in known_steps()]
    assert await migrate(bare) == []


async def test_migrations_that_start_at_once_follow_one_another(bare: str):
    done = await asyncio.gather(*(migrate(bare) for _ in range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, len(known_steps())]


async def test_they_do_so_in_every_isolation(bare: str):
    await execute(bare, f"ALTER DATABASE {database_of(bare)} SET default_transaction_isolation = 'repeatable read'")
    done = await asyncio.gather(*(migrate(bare) for _ in range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, len(known_steps())]


async def test_a_step_that_fails_leaves_nothing_behind(bare: str):
    first = known_steps()[0]
    with pytest.raises(StoreUnavailable):
        await migrate(bare, steps=[first, first._replace(version=2, name="0002_bad", sql="SELECT nonsense")])
    assert await rows_of(bare, "SELECT to_regnamespace('kvot')::text") == [(None,)]


async def test_an_unmigrated_database_is_refused_with_what_to_do(bare: str):
    await refused(bare, "has no ledger yet. Run: kvot migrate --database")


async def test_a_database_that_lacks_a_step_is_refused_with_what_to_do(bare: str):
    await migrate(bare, steps=known_steps()[:-1])
    await refused(bare, f"lacks {known_steps()[-1].name}. Run: kvot migrate --database")


async def test_a_database_of_a_newer_kvot_is_refused(url: str):
    await execute(url, "INSERT INTO kvot.schema_version VALUES (9999, '9999_later', 'x')")
    await refused(url, "made by a newer Kvot .schema 9999_later.")
    with pytest.raises(StoreUnavailable, match="newer Kvot"):
        await migrate(url)
    await execute(url, "DELETE FROM kvot.schema_version WHERE version = 9999")


async def test_a_database_that_a_later_kvot_migrates_is_refused_on_open_connections_too(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
):
    await store.ready()
    monkeypatch.setattr(pool_module, "BELIEVED_S", -1)
    await execute(url, "INSERT INTO kvot.schema_version VALUES (9999, '9999_later', 'x')")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"made by a newer Kvot .schema 9999_later."):
            await store.reserve(COMPANY, NewHold("h", 1, 1_000), now_ms=T0)
    await execute(url, "DELETE FROM kvot.schema_version WHERE version = 9999")
    assert (await store.reserve(COMPANY, NewHold("h", 1, 1_000), now_ms=T0)).status is Status.DONE


async def test_calls_that_are_under_way_are_ended_on_a_database_that_a_later_kvot_migrates(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
):
    await asyncio.gather(*(store.reserve(COMPANY, NewHold(f"h{n}", 1, 1_000), now_ms=T0) for n in range(4)))
    monkeypatch.setattr(pool_module, "BELIEVED_S", -1)
    await execute(url, "INSERT INTO kvot.schema_version VALUES (9999, '9999_later', 'x')")
    refused, *ended = await asyncio.gather(
        store.reserve(COMPANY, NewHold("i", 1, 1_000), now_ms=T0),
        store.dispatch(COMPANY, "h1", now_ms=T0),
        store.renew(COMPANY, "h1", 9_000, now_ms=T0),
        store.settle(COMPANY, "h2", Settlement(1), now_ms=T0),
        store.release(COMPANY, "h3", now_ms=T0),
        store.record(COMPANY, NewEvent("e", 1), now_ms=T0),
        return_exceptions=True,
    )
    await execute(url, "DELETE FROM kvot.schema_version WHERE version = 9999")
    assert "made by a newer Kvot (schema 9999_later). Upgrade Kvot" in str(refused)
    assert [getattr(each, "status", each) for each in ended] == [Status.DONE] * 5


async def test_a_connection_that_was_checked_a_moment_ago_is_believed(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pool_module, "BELIEVED_S", 3_600)
    await store.ready()
    await execute(url, "INSERT INTO kvot.schema_version VALUES (9999, '9999_later', 'x')")
    await store.ready()
    await execute(url, "DELETE FROM kvot.schema_version WHERE version = 9999")


async def test_a_database_whose_steps_are_others_is_refused(bare: str):
    await migrate(bare)
    await execute(bare, "UPDATE kvot.schema_version SET checksum = 'x' WHERE version = 3")
    await refused(bare, "another schema step 0003_chain")


async def test_a_schema_that_another_program_made_is_left_alone(bare: str):
    await execute(bare, "CREATE SCHEMA kvot; CREATE TABLE kvot.company(id integer)")
    with pytest.raises(StoreUnavailable, match="another program made"):
        await migrate(bare)


async def test_a_database_that_cannot_hold_every_text_is_refused(server: PrivateServer):
    server.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(StoreUnavailable, match="encoded in LATIN1"):
        await migrate(server.url("latin"))


# -- for Citus -----------------------------------------------------------------------------------------------------
#
# None of the registries that the tests install from has Citus: what follows is tried against STUB and on no cluster. It
# shows that every table and function is named to Citus rightly, and nothing of what Citus then does.


async def test_company_id_leads_the_key_of_every_table_that_is_not_global(url: str):
    first = dict(await rows_of(url, FIRST_KEY_COLUMNS))
    assert {name for name, column in first.items() if column != "company_id"} == GLOBAL


async def test_no_index_of_a_table_of_companies_begins_with_anything_else(url: str):
    connection = await asyncpg.connect(url)
    assert await connection.fetchval(UNIQUE_WITHOUT_COMPANY, sorted(GLOBAL)) == 0
    await connection.close()


async def test_citus_is_told_of_every_table_and_of_every_function_that_an_operation_calls(bare: str):
    await execute(bare, STUB)
    await migrate(bare, citus=True)
    asked = await rows_of(bare, "SELECT what, name, argument, colocated FROM public.asked")
    tables = {name for (name,) in await rows_of(bare, TABLES)}
    distributed = {name.removeprefix("kvot.") for what, name, *_ in asked if what == "table"}
    assert {name.removeprefix("kvot.") for what, name, *_ in asked if what == "reference"} == GLOBAL
    assert distributed == tables - GLOBAL
    assert {row[2:] for row in asked if row[0] == "table"} == {("company_id", "none"), ("company_id", "kvot.company")}
    by_company = {name for what, name, *where in asked if [what, *where] == ["function", "$1", "kvot.company"]}
    store = Path(__file__).parents[3] / "src/kvot/stores/postgres"
    called = {name for file in store.glob("*.py") for name in re.findall(r"kvot\.\w+(?=\(\$1)", file.read_text())}
    elsewhere = {"kvot.companies_with_due_holds", "kvot.revoke_key", "kvot.remove_provider_key", "kvot.write_free"}
    elsewhere |= {"kvot.verify_shared", "kvot.bind_secret", "kvot.replace_secret"}
    inside = {"kvot.first_audit_break"}  # called for each row of a statement, where the row is
    assert by_company == called - elsewhere | inside


async def test_a_distributed_ledger_never_writes_two_companies_in_one_transaction(bare: str):
    await execute(bare, STUB)
    await migrate(bare, citus=True)
    assert await rows_of(bare, "SELECT to_regproc('kvot.write_free')::text") == [(None,)]
    store = PostgresStore.open(bare, Rules(), time=Time.GIVEN)
    companies = [COMPANY, OTHER] * 8
    answers = [store.record(each, NewEvent(f"e{number}", 1), now_ms=T0) for number, each in enumerate(companies)]
    assert sorted(answer.usage.tokens_used for answer in await asyncio.gather(*answers)) == sorted([*range(1, 9)] * 2)
    await store.close()


async def test_no_other_file_knows_citus(bare: str):
    assert "create_distributed_table" in citus_sql()
    assert not any("create_distributed" in step.sql or "create_reference" in step.sql for step in known_steps())


async def test_a_server_without_citus_is_told_so_and_left_as_it_is(bare: str, url: str):
    for each in (bare, url):  # nothing in it, and migrated already
        with pytest.raises(StoreUnavailable, match="is no Citus coordinator: run CREATE EXTENSION citus there"):
            await migrate(each, citus=True)
    assert await rows_of(bare, "SELECT to_regnamespace('kvot')::text") == [(None,)]
