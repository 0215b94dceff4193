"""When the database is in trouble: clear errors, nothing acknowledged is lost, and no restart of ours is needed."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from kvot.core.budget import Budget, Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.model import EventColumns, NewEvent, NewHold, Settlement, Status
from kvot.stores.postgres import PostgresStore, Time, migrate
from kvot.stores.postgres import connection as connection_module
from kvot.stores.postgres import pool as pool_module
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.archive import PostgresSource
from kvot.stores.postgres.errors import told
from kvot.stores.postgres.pool import Pool
from kvot.stores.postgres.restore import PostgresSink
from kvot.stores.postgres.rights import NEEDED
from kvot.stores.postgres.schema import server_version
from tests.conformance.scene import COMPANY, OTHER, T0
from tests.postgres.databases import run
from tests.postgres.server import PORT, PrivateServer

TERMINATE = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'kvot' AND datname = current_database()"""


async def until_one_waits_for_a_lock(connection: asyncpg.Connection) -> None:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while not await connection.fetchval(waits):
        await asyncio.sleep(0.01)
        await connection.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees the same for ever


def database_of(url: str) -> str:
    return url.split("/")[3].partition("?")[0]


async def refusal(url: str) -> str:
    store = PostgresStore.open(url, Rules())
    with pytest.raises(StoreUnavailable) as raised:
        await store.record(COMPANY, NewEvent("e", 1), now_ms=T0)
    await store.close()
    assert raised.value.retry_after_ms > 0
    shown = Address.parse(url).shown
    assert raised.value.in_public == raised.value.message.replace(shown, "The database")
    assert shown in raised.value.message
    return raised.value.message


# -- refused from the start ------------------------------------------------------------------------------------------


async def test_a_missing_database_is_named(server: PrivateServer):
    assert "/nowhere does not exist. Make it (createdb)" in await refusal(server.url("nowhere"))


async def test_wrong_credentials_are_told_without_the_password(server: PrivateServer):
    message = await refusal(server.url("postgres", user="nobody:hunter2"))
    assert "refuses the user or the password" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("u:hunter2@/d?host={folder}", "there is no such socket"),
        ("u:hunter2@127.0.0.1:1/d", "the connection was refused"),
        ("u:hunter2@nowhere.invalid/d", "the host's name is not known"),
    ],
)
async def test_a_server_that_is_not_there_is_told_and_that_nothing_was_done(tmp_path: Path, where: str, reason: str):
    message = await refusal("postgresql://" + where.format(folder=tmp_path))
    assert message.endswith(f"cannot be reached: {reason}. Nothing was done; try again.")
    assert "hunter2" not in message


def test_words_of_the_server_that_nobody_foresaw_are_not_for_everybody():
    error = told("postgresql://u@h/d", asyncpg.PostgresError.new({"C": "22000", "M": 'no "u" at 10.0.0.1'}))
    assert isinstance(error, StoreUnavailable)
    assert error.message == 'postgresql://u@h/d could not be used: no "u" at 10.0.0.1 (SQLSTATE 22000)'
    assert error.in_public == "The database could not be used (SQLSTATE 22000)."


async def test_a_replica_is_refused_with_what_to_do(url: str):
    name = database_of(url)
    await run("postgres", f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        assert "is read-only: a replica, most likely. Name the primary" in await refusal(url)
    finally:
        await run("postgres", f"ALTER DATABASE {name} RESET default_transaction_read_only")


async def test_a_database_that_may_lose_what_it_acknowledged_is_refused(url: str):
    name = database_of(url)
    await run("postgres", f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        assert "may lose what it has acknowledged. Set synchronous_commit to on" in await refusal(url)
    finally:
        await run("postgres", f"ALTER DATABASE {name} RESET synchronous_commit")


@pytest.mark.parametrize(
    ("url", "shown", "dsn"),
    [
        ("postgresql://u:pw@h:5/d", "postgresql://u@h:5/d", "postgresql://u:pw@h:5/d"),
        ("postgresql://h/d?connections=3&sslmode=require", "postgresql://h/d", "postgresql://h/d?sslmode=require"),
        ("postgresql://u@/d?host=/run/pg", "postgresql://u@/run/pg/d", "postgresql://u@/d?host=%2Frun%2Fpg"),
        ("postgresql://a:1,b:2/d?target_session_attrs=primary", "postgresql://a:1,b:2/d", None),
    ],
)
def test_a_url_is_shown_without_its_password_and_given_to_the_driver_without_our_options(url, shown, dsn):
    address = Address.parse(url)
    assert (address.shown, address.dsn) == (shown, dsn or url)


@pytest.mark.parametrize("option", ["connections=0", "connections=x", "pooler=session"])
def test_an_option_that_cannot_be_meant_is_named(option: str):
    with pytest.raises(StoreUnavailable, match=option.split("=", maxsplit=1)[0]):
        PostgresStore.open(f"postgresql://u:secret@h/d?{option}", Rules())


# -- later on ------------------------------------------------------------------------------------------------------


async def test_terminated_backends_are_replaced(store: PostgresStore, url: str):
    for number in range(5):
        event = NewEvent(f"e{number}", 1)
        answer = await eventually(partial(store.record, COMPANY, event, now_ms=T0))
        assert answer.status in (Status.DONE, Status.REPLAYED)
        await run(database_of(url), TERMINATE)
    assert (await eventually(partial(store.usage, COMPANY, now_ms=T0))).tokens_used == 5


async def eventually(ask, tries: int = 200):
    """The first answer that is no StoreUnavailable, as a client that repeats gets it."""
    for _ in range(tries):
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(0.01)
    return await ask()


async def test_what_was_cut_off_in_the_middle_is_unknown_and_may_be_repeated(store: PostgresStore, url: str):
    blocker = await asyncpg.connect(url)
    await store.record(COMPANY, NewEvent("first", 1), now_ms=T0)
    await blocker.execute("BEGIN; SELECT FROM kvot.company FOR UPDATE")
    cut_off = asyncio.ensure_future(store.record(COMPANY, NewEvent("e", 10), now_ms=T0))
    await until_one_waits_for_a_lock(blocker)
    await blocker.execute(TERMINATE)
    with pytest.raises(StoreUnavailable, match="unknown: repeat it with the same id"):
        await cut_off
    await blocker.close()
    answer = await eventually(partial(store.record, COMPANY, NewEvent("e", 10), now_ms=T0))
    assert answer.usage.tokens_used == 11


@pytest.mark.parametrize("lock", ["LOCK TABLE kvot.company", "SELECT FROM kvot.company FOR UPDATE"])
async def test_operations_that_were_cut_off_together_are_not_sent_again(store: PostgresStore, url: str, lock: str):
    """A call shared with others waits for the table alone, one of the company's own for its row."""
    await store.record(COMPANY, NewEvent("first", 1), now_ms=T0)
    blocker, observer = await asyncpg.connect(url), await asyncpg.connect(url)
    await blocker.execute(f"BEGIN; {lock}")
    cut_off = [asyncio.ensure_future(store.record(COMPANY, NewEvent(each, 10), now_ms=T0)) for each in ("e1", "e2")]
    await until_one_waits_for_a_lock(observer)
    await observer.execute(TERMINATE)
    await blocker.close()
    answers = await asyncio.gather(*cut_off, return_exceptions=True)
    assert ["unknown: repeat it with the same id" in str(answer) for answer in answers] == [True, True]
    assert (await store.usage(COMPANY, now_ms=T0)).tokens_used == 1
    await observer.close()


async def test_a_call_that_waits_too_long_for_a_lock_is_stopped(store: PostgresStore, url: str, monkeypatch):
    await store.record(COMPANY, NewEvent("first", 1), now_ms=T0)
    blocker = await asyncpg.connect(url)
    await blocker.execute("BEGIN; SELECT FROM kvot.company FOR UPDATE")
    monkeypatch.setattr(connection_module, "STATEMENT_TIMEOUT_MS", 50)
    impatient = PostgresStore.open(url, Rules(), time=Time.GIVEN)
    with pytest.raises(StoreUnavailable, match=r"took too long and was stopped. Nothing was done"):
        await impatient.record(COMPANY, NewEvent("e", 1), now_ms=T0)
    await blocker.close()
    answer = await eventually(partial(impatient.record, COMPANY, NewEvent("e", 1), now_ms=T0))
    assert answer.usage.tokens_used == 2
    await impatient.close()


async def test_a_company_that_is_locked_keeps_no_other_waiting(store: PostgresStore, url: str):
    for company in (COMPANY, OTHER):
        await store.record(company, NewEvent("first", 1), now_ms=T0)
    blocker = await asyncpg.connect(url)
    await blocker.execute(f"BEGIN; SELECT FROM kvot.company WHERE company_id = '{COMPANY}' FOR UPDATE")
    locked = [asyncio.ensure_future(store.record(COMPANY, NewEvent(f"e{n}", 1), now_ms=T0)) for n in range(20)]
    others = [store.record(OTHER, NewEvent(f"e{n}", 1), now_ms=T0) for n in range(20)]
    assert {answer.status for answer in await asyncio.gather(*others)} == {Status.DONE}
    assert not any(each.done() for each in locked)
    await blocker.close()
    assert {answer.status for answer in await asyncio.gather(*locked)} == {Status.DONE}


async def test_an_operation_that_the_server_refuses_takes_no_other_company_with_it(store: PostgresStore):
    for number in range(20):
        await store.record(company_of(number), NewEvent("first", 1), now_ms=T0)
    tokens = [2**70 if number == 10 else 1 for number in range(20)]  # no ledger lets it come this far
    tries = [store.record(company_of(n), NewEvent("e", each), now_ms=T0) for n, each in enumerate(tokens)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(answer).__name__ == "Recorded" for answer in answers] == [each == 1 for each in tokens]
    assert (await store.usage(company_of(11), now_ms=T0)).tokens_used == 2


def company_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


async def test_a_pool_without_a_free_connection_refuses_fast(url: str, monkeypatch):
    monkeypatch.setattr(pool_module, "PATIENCE_S", 0.05)
    store = PostgresStore.open(f"{url}&connections=1", Rules(), time=Time.GIVEN)
    await store.record(COMPANY, NewEvent("first", 1), now_ms=T0)
    blocker = await asyncpg.connect(url)
    await blocker.execute("BEGIN; SELECT FROM kvot.company FOR UPDATE")
    waiting = asyncio.ensure_future(store.record(COMPANY, NewEvent("e", 1), now_ms=T0))
    await until_one_waits_for_a_lock(blocker)
    with pytest.raises(StoreUnavailable, match=r"all 1 connections are. Nothing was done"):
        await store.usage(COMPANY, now_ms=T0)
    await blocker.close()
    assert (await waiting).status is Status.DONE
    await store.close()


async def test_where_others_have_all_connections_our_own_is_shared(of_another: str):
    await run(database_of(of_another), "ALTER ROLE guest CONNECTION LIMIT 1")
    store = PostgresStore.open(of_another, Rules(), time=Time.GIVEN)
    usages = await asyncio.gather(*(store.usage(company_of(number), now_ms=T0) for number in range(12)))
    assert [usage.tokens_used for usage in usages] == [0] * 12
    assert "takes no more connections" in await refusal(of_another)
    await store.close()


async def test_a_full_disk_is_told_and_ends_when_there_is_room(store: PostgresStore, url: str):
    name = database_of(url)
    await run(
        name,
        "CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE TRIGGER disk BEFORE INSERT ON kvot.event FOR EACH ROW EXECUTE FUNCTION public.full()",
    )
    with pytest.raises(StoreUnavailable, match=r"its disk is full. Make room; nothing that was acknowledged is lost"):
        await store.record(COMPANY, NewEvent("e", 1), now_ms=T0)
    await run(name, "DROP FUNCTION public.full() CASCADE")
    assert (await store.record(COMPANY, NewEvent("e", 1), now_ms=T0)).usage.tokens_used == 1


_FULL = """CREATE FUNCTION public.full_{kind}() RETURNS {kind} LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;"""


async def test_a_disk_that_was_full_is_not_ready_until_there_is_room(store: PostgresStore, url: str):
    name = database_of(url)
    await run(name, _FULL.format(kind="trigger") + _FULL.format(kind="event_trigger"))
    await run(name, "CREATE TRIGGER disk BEFORE INSERT ON kvot.event EXECUTE FUNCTION public.full_trigger()")
    await run(name, "CREATE EVENT TRIGGER disk ON ddl_command_start EXECUTE FUNCTION public.full_event_trigger()")
    await store.ready()  # nobody was refused anything
    with pytest.raises(StoreUnavailable):
        await store.record(COMPANY, NewEvent("e", 1), now_ms=T0)
    await store.set_budget(COMPANY, Budget(9, 9), actor="ann", reason=None, now_ms=T0)  # which goes through
    with pytest.raises(StoreUnavailable, match="its disk is full"):
        await store.ready()
    await run(name, "DROP EVENT TRIGGER disk")
    await run(name, "DROP FUNCTION public.full_trigger(), public.full_event_trigger() CASCADE")
    await store.ready()


async def refused_for_a_full_disk(url: str) -> Pool:
    """A pool that had a write refused so. What its database says next is the test's own."""
    pool = Pool(Address.parse(url))
    with pytest.raises(StoreUnavailable, match="its disk is full"):
        await pool.run("DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$")
    return pool


@pytest.fixture
async def still_full(url: str) -> AsyncIterator[Pool]:
    name = database_of(url)
    await run(name, _FULL.format(kind="event_trigger"))
    await run(name, "CREATE EVENT TRIGGER disk ON ddl_command_start EXECUTE FUNCTION public.full_event_trigger()")
    pool = await refused_for_a_full_disk(url)
    yield pool
    await pool.close()
    await run(name, "DROP EVENT TRIGGER disk")
    await run(name, "DROP FUNCTION public.full_event_trigger()")


async def test_of_two_that_ask_for_room_at_once_neither_is_told_that_there_is(still_full: Pool):
    answers = await asyncio.gather(still_full.need_room(), still_full.need_room(), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 2


async def test_a_full_disk_is_not_forgotten_with_one_who_stops_waiting(still_full: Pool):
    impatient = asyncio.ensure_future(still_full.need_room())
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(StoreUnavailable, match="its disk is full"):
        await still_full.need_room()
    assert impatient.cancelled()


@pytest.fixture
async def without_temporary_tables(url: str) -> AsyncIterator[str]:
    """The database's URL for a role that has all rights on the schema and no others."""
    name = database_of(url)
    await run(name, f"""CREATE ROLE teller LOGIN; REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC;
        GRANT USAGE ON SCHEMA kvot TO teller; GRANT ALL ON ALL TABLES IN SCHEMA kvot TO teller""")  # fmt: skip
    yield url.replace("postgres@", "teller@")
    await run(name, f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC; DROP OWNED BY teller; DROP ROLE teller")


async def test_a_role_that_may_not_try_for_room_is_not_kept_from_being_ready(without_temporary_tables: str):
    pool = await refused_for_a_full_disk(without_temporary_tables)
    with pytest.raises(StoreUnavailable, match="forbids"):
        await pool.run("CREATE TEMPORARY TABLE any_at_all ()")
    await pool.need_room()
    await pool.close()


async def test_one_operation_that_the_server_refuses_takes_no_other_with_it(store: PostgresStore):
    first = asyncio.ensure_future(store.record(COMPANY, NewEvent("first", 1), now_ms=T0))
    await asyncio.sleep(0)
    too_large = store.record(COMPANY, NewEvent("e1", 2**70), now_ms=T0)  # no ledger lets it come this far
    answers = await asyncio.gather(
        first, too_large, store.record(COMPANY, NewEvent("e2", 1), now_ms=T0), return_exceptions=True
    )
    assert [type(answer).__name__ for answer in answers] == ["Recorded", "StoreUnavailable", "Recorded"]
    assert (await store.usage(COMPANY, now_ms=T0)).tokens_used == 2


@pytest.fixture(params=["repeatable read", "serializable"])
async def otherwise_isolated(url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    name = database_of(url)
    await run("postgres", f"ALTER DATABASE {name} SET default_transaction_isolation = '{request.param}'")
    yield url
    await run("postgres", f"ALTER DATABASE {name} RESET default_transaction_isolation")


async def test_a_database_that_runs_in_another_isolation_is_written_in_read_committed(otherwise_isolated: str):
    store = PostgresStore.open(otherwise_isolated, Rules(), time=Time.GIVEN)
    await store.ready()
    batch = EventColumns.of((COMPANY, NewEvent(f"e{number}", 1)) for number in range(3))
    assert set(await store.record_many(batch, now_ms=T0)) == {Status.DONE}
    assert (await store.record(COMPANY, NewEvent("e", 1), now_ms=T0)).usage.tokens_used == 4
    await store.close()


@pytest.fixture
async def of_another(url: str) -> AsyncIterator[str]:
    """The database's URL for a role to which its owner has granted what it needs, and no more."""
    name = database_of(url)
    await run(name, "CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA kvot TO guest")
    await run(name, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA kvot TO guest")
    yield url.replace("postgres@", "guest@")
    await run(name, "DROP OWNED BY guest; DROP ROLE guest")


@pytest.mark.parametrize(
    ("withheld", "said"),
    [
        ("UPDATE ON kvot.company", "forbids Kvot's user UPDATE on kvot.company. Grant it"),
        ("INSERT ON kvot.hold", "forbids Kvot's user INSERT on kvot.hold. Grant it"),
        ("SELECT, UPDATE ON kvot.rollup", "SELECT on kvot.rollup, UPDATE on kvot.rollup"),
    ],
)
async def test_a_right_that_calls_need_and_lack_is_named_before_one_fails(of_another: str, withheld: str, said: str):
    store = PostgresStore.open(of_another, Rules(), time=Time.GIVEN)
    await store.ready()
    await run(database_of(of_another), f"REVOKE {withheld} FROM guest")
    with pytest.raises(StoreUnavailable, match=re.escape(said)):
        await store.ready()
    await store.close()


async def test_what_is_needed_is_enough_for_calls(of_another: str):
    store = PostgresStore.open(of_another, Rules(), time=Time.GIVEN)
    name = database_of(of_another)
    await run(
        name, "REVOKE ALL ON ALL TABLES IN SCHEMA kvot FROM guest; GRANT SELECT ON ALL TABLES IN SCHEMA kvot TO guest"
    )
    for table, rights in NEEDED.items():
        await run(name, f"GRANT {', '.join(rights.split())} ON kvot.{table} TO guest")
    for hold_id in ("h", "i"):
        await store.reserve(COMPANY, NewHold(hold_id, 2, 9, dispatched=True, model="m"), now_ms=T0)
    await store.renew(COMPANY, "h", 20, now_ms=T0)
    await store.settle(COMPANY, "h", Settlement(1), now_ms=T0 + 10)
    await store.remember_reply(COMPANY, "openai", "r", now_ms=T0 + 10)
    assert (await store.settle(COMPANY, "i", Settlement(1), now_ms=T0 + 10)).usage.tokens_used == 2
    await store.close()


TERMINATION = b"X"
"""How a client's message begins that ends its connection."""


class Hole:
    """Stands before a server's socket and passes all on, until it is to swallow all that comes."""

    def __init__(self) -> None:
        self.swallows = False
        self._known: set[asyncio.StreamReader] = set()
        self._forgotten: set[asyncio.StreamReader] = set()
        self.asked_by: set[asyncio.StreamReader] = set()
        self._server: asyncio.Server | None = None

    async def open(self, before: Path) -> str:
        """Host and port to ask instead."""
        self._server = await asyncio.start_server(partial(self._join, before), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    def forget(self) -> None:
        """Swallow what comes on the connections that there are, as a firewall does that was restarted."""
        self._forgotten |= self._known

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _join(self, before: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_unix_connection(before)
        await asyncio.gather(self._pass(reader, there), self._pass(back, writer), return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._known.add(reader)
        while data := await reader.read(65_536):
            if not (self.swallows or reader in self._forgotten):
                writer.write(data)
            elif not data.startswith(TERMINATION):
                self.asked_by.add(reader)
        writer.close()


async def test_where_nothing_answers_one_time_out_is_enough(server: PrivateServer, url: str, monkeypatch):
    """Of eight idle connections one is tried, and then a new one: that each kept its caller waiting was a minute."""
    monkeypatch.setattr(connection_module, "STATEMENT_TIMEOUT_MS", 1_000)
    monkeypatch.setattr(connection_module, "ANSWER_GRACE_S", 0.1)
    monkeypatch.setattr(pool_module, "BELIEVED_S", -1.0)
    hole = Hole()
    where = await hole.open(server.folder / f".s.PGSQL.{PORT}")
    store = PostgresStore.open(f"postgresql://postgres@{where}/{database_of(url)}", Rules(), time=Time.GIVEN)
    await asyncio.gather(*(store.usage(company_of(number), now_ms=T0) for number in range(8)))
    hole.swallows = True
    monkeypatch.setattr(connection_module, "CONNECT_TIMEOUT_S", 0.1)
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        await store.usage(COMPANY, now_ms=T0)
    assert len(hole.asked_by) == 2
    hole.swallows = False
    monkeypatch.undo()
    assert (await store.usage(COMPANY, now_ms=T0)).tokens_used == 0
    await store.close()
    await hole.close()


async def test_a_connection_that_is_lost_without_a_word_costs_no_statements_time(
    server: PrivateServer, url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pool_module, "BELIEVED_S", -1.0)
    monkeypatch.setattr(pool_module, "CHECK_TIMEOUT_S", 0.1)
    hole = Hole()
    where = await hole.open(server.folder / f".s.PGSQL.{PORT}")
    store = PostgresStore.open(f"postgresql://postgres@{where}/{database_of(url)}", Rules(), time=Time.GIVEN)
    await asyncio.gather(*(store.usage(company_of(number), now_ms=T0) for number in range(8)))
    hole.forget()
    async with asyncio.timeout(connection_module.STATEMENT_TIMEOUT_MS / 1000):
        assert (await store.usage(COMPANY, now_ms=T0)).tokens_used == 0
    assert len(hole.asked_by) == 1
    await store.close()
    await hole.close()


@pytest.mark.parametrize(("idle_max_s", "is_kept"), [(3_600.0, True), (-1.0, False)])
async def test_a_connection_that_was_long_idle_is_replaced(url: str, monkeypatch, idle_max_s: float, is_kept: bool):
    monkeypatch.setattr(pool_module, "BELIEVED_S", -2.0)
    monkeypatch.setattr(pool_module, "IDLE_MAX_S", idle_max_s)
    pool = Pool(Address.parse(url))
    first, second = [(await pool.run("SELECT pg_backend_pid()"))[0][0] for _ in range(2)]
    assert (first == second) is is_kept
    await pool.close()


# -- restarts ------------------------------------------------------------------------------------------------------


@pytest.fixture
def durable_server(server: PrivateServer) -> Iterator[PrivateServer]:
    own = PrivateServer.make()
    yield own
    own.remove()


async def test_a_server_that_puts_nothing_on_the_disk_is_told_from_one_that_does(
    durable_server: PrivateServer, server: PrivateServer
):
    versions = [await server_version(each.url("postgres")) for each in (durable_server, server)]
    assert [syncs for _, syncs in versions] == [True, False]


@pytest.fixture
async def durable(durable_server: PrivateServer) -> AsyncIterator[PostgresStore]:
    await migrate(durable_server.url("postgres"))
    store = PostgresStore.open(durable_server.url("postgres"), Rules(), time=Time.GIVEN)
    yield store
    await store.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_restarts_under_load_loses_and_doubles_nothing(
    durable: PostgresStore, durable_server: PrivateServer, mode: str
):
    await durable.set_budget(COMPANY, Budget(1_000, 30), actor="ann", reason=None, now_ms=T0)
    acknowledged: set[str] = set()
    stopped, restarted = asyncio.Event(), asyncio.Event()

    async def client(number: int) -> None:
        for turn in range(15):
            hold_id = f"h{number}-{turn}"
            answer = await eventually(partial(durable.reserve, COMPANY, NewHold(hold_id, 10, 60_000), now_ms=T0))
            if answer.status in (Status.DONE, Status.REPLAYED):
                acknowledged.add(hold_id)
            if turn == 3 and number == 0:
                stopped.set()
                await restarted.wait()

    clients = [asyncio.ensure_future(client(number)) for number in range(8)]
    await stopped.wait()
    await asyncio.to_thread(durable_server.stop, mode=mode)
    await asyncio.to_thread(durable_server.start)
    restarted.set()
    await asyncio.gather(*clients)
    usage = await durable.usage(COMPANY, now_ms=T0)
    assert usage.tokens_held == 10 * len(acknowledged) == 1_000
    assert (await durable.verify(COMPANY, now_ms=T0)).differences == ()


async def test_what_moves_a_database_may_wait_in_its_transactions(url: str):
    """Each waits while the other is read or written, whatever the database allows its sessions."""
    name = database_of(url)
    await run("postgres", f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = 1")
    try:
        source, sink = await PostgresSource.open(url, Rules()), await PostgresSink.open(url, Rules())
        for _ in range(5):
            await run(name, "SELECT")  # takes milliseconds: a connection of its own
        assert await source.companies() == []
        await sink.mark_unfinished()
        await sink.commit()
        await sink.mark_finished()  # in the next transaction
        await run(name, "SELECT")
        await sink.commit()
        await sink.close()
        await source.close()
    finally:
        await run("postgres", f"ALTER DATABASE {name} RESET idle_in_transaction_session_timeout")
