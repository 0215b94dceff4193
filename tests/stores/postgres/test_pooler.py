"""By way of PgBouncer in transaction mode: each statement may go to another connection of the server than the last."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.model import NewEvent, Status
from kvot.stores.backup_file import BackupReader, BackupWriter
from kvot.stores.postgres import PostgresStore, Time, migrate
from kvot.stores.postgres.archive import PostgresSource
from kvot.stores.postgres.restore import PostgresSink
from kvot.stores.postgres.schema import known_steps
from kvot.stores.transfer import differences, move, whole
from tests.conformance.checks import LAYERS, Check
from tests.conformance.conftest import ENGINES
from tests.conformance.scene import COMPANY, OTHER, T0, Engine, FullStore, Scene
from tests.postgres.databases import DATABASES, run, shared_pooler
from tests.postgres.pooler import SERVER_CONNECTIONS, Pooler
from tests.postgres.server import PrivateServer

from .crowd import Crowd
from .test_trouble import TERMINATE, database_of, eventually

CHECKS = LAYERS["sentences"] | LAYERS["races"]
SHARE = 3
"""One check of so many is played in every run of the tests, all of them by `make deep`: none is about the way there."""


async def open_pooled(folder: Path, rules: Rules) -> FullStore:
    return PostgresStore.open(shared_pooler().before(await DATABASES.url(folder)), rules, time=Time.GIVEN)


async def open_pooled_crowd(folder: Path, rules: Rules) -> FullStore:
    return await Crowd.open(shared_pooler().before(await DATABASES.url(folder)), rules)


def opened(open_: Callable[..., object]) -> Engine:
    archive = ENGINES["postgres"].archive
    return Engine(open_, is_durable=True, discard=DATABASES.discard, archive=archive)  # type: ignore[arg-type]


@pytest.fixture(params=[open_pooled])
async def scene(pooler: Pooler, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    scene = await Scene.open(opened(request.param), tmp_path)
    yield scene
    await scene.close()


@pytest.fixture
def pooled(pooler: Pooler, url: str) -> str:
    return pooler.before(url)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=name, marks=[pytest.mark.deep] if number % SHARE else [])
        for number, (name, check) in enumerate(CHECKS.items())
    ],
)
async def test_what_every_engine_promises_holds(check: Check, scene: Scene):
    await check(scene)


async def test_another_isolation_is_no_hindrance(pooled: str):
    name = database_of(pooled)
    await run("postgres", f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    await run(name, TERMINATE)
    store = PostgresStore.open(pooled, Rules(), time=Time.GIVEN)
    await eventually(store.ready)
    assert (await store.record(COMPANY, NewEvent("e", 1), now_ms=T0)).status is Status.DONE
    await store.close()
    await run("postgres", f"ALTER DATABASE {name} RESET default_transaction_isolation")
    await run(name, TERMINATE)


@pytest.mark.parametrize("scene", [open_pooled_crowd], indirect=True)
@pytest.mark.parametrize("race", LAYERS["races"].values(), ids=list(LAYERS["races"]))
async def test_a_race_of_four_stores(race: Check, scene: Scene):
    await race(scene)


async def test_more_clients_than_the_server_has_connections_share_them(pooled: str, url: str):
    stores = [PostgresStore.open(pooled, Rules(), time=Time.GIVEN) for _ in range(3)]
    companies = [f"00000000-0000-4000-8000-{number:012x}" for number in range(4 * SERVER_CONNECTIONS)]
    asked = [store.record(each, NewEvent("e", 1), now_ms=T0) for each in companies for store in stores]
    statuses = [answer.status for answer in await asyncio.gather(*asked)]
    assert (statuses.count(Status.DONE), statuses.count(Status.REPLAYED)) == (len(companies), 2 * len(companies))
    for store in stores:
        await store.close()


async def test_backends_that_are_terminated_behind_it_are_replaced(pooled: str, url: str):
    store = PostgresStore.open(pooled, Rules(), time=Time.GIVEN)
    for number in range(5):
        answer = await eventually(partial(store.record, COMPANY, NewEvent(f"e{number}", 1), now_ms=T0))
        assert answer.status in (Status.DONE, Status.REPLAYED)
        await run(database_of(url), TERMINATE)
    assert (await eventually(partial(store.usage, COMPANY, now_ms=T0))).tokens_used == 5
    await store.close()


# -- what is one long transaction ------------------------------------------------------------------------------------


async def test_a_database_is_migrated_through_it(server: PrivateServer, pooler: Pooler, tmp_path: Path):
    name = "pooled_" + re.sub(r"\W", "_", tmp_path.name.lower())[:50]
    server.run(f'CREATE DATABASE "{name}"')
    url = pooler.before(server.url(name))
    done = await asyncio.gather(*(migrate(url) for _ in range(3)))
    assert sorted(map(len, done)) == [0, 0, len(known_steps())]


async def test_a_backup_is_made_and_restored_through_it(pooled: str, pooler: Pooler, tmp_path: Path):
    store = PostgresStore.open(pooled, Rules(), time=Time.GIVEN)
    for number, company in enumerate([COMPANY, OTHER] * 50):
        await store.record(company, NewEvent(f"e{number}", number + 1), now_ms=T0)
    await store.close()
    source, file = await PostgresSource.open(pooled, Rules()), BackupWriter(tmp_path / "backup.gz")
    await move(whole(source), file, lambda part: None)
    await file.close()
    await source.close()
    target = pooler.before(await DATABASES.url(tmp_path / "target"))
    sink = await PostgresSink.open(target, Rules())
    with BackupReader(tmp_path / "backup.gz") as reader:
        summary = await move(reader.parts(), sink, lambda part: None)
    await sink.close()
    restored = await PostgresSource.open(target, Rules())
    assert [fault async for fault in differences(restored, summary.ends.values(), summary.shared)] == []
    assert {end.events for end in summary.ends.values()} == {50}
    await restored.close()
    DATABASES.discard(tmp_path / "target")


# -- a pooler that nobody told of ------------------------------------------------------------------------------------

SESSION = "pool_mode = session\nignore_startup_parameters = statement_timeout"
HIDDEN = r"is behind a pooler. Say so in its URL: \?pooler=transaction"
LENIENT = "ignore_startup_parameters = statement_timeout"


@pytest.fixture(params=["", LENIENT, SESSION], ids=["as installed", "that takes our settings", "of sessions"])
def hidden(server: PrivateServer, url: str, pooler: Pooler, request: pytest.FixtureRequest) -> Iterator[str]:
    other = Pooler.make(server, more=request.param)
    yield other.before(url, options="")
    other.remove()


async def test_it_is_refused_since_it_would_run_one_clients_statements_for_another(hidden: str):
    store = PostgresStore.open(hidden, Rules())
    with pytest.raises(StoreUnavailable, match=HIDDEN):
        await store.ready()
    await store.close()
    with pytest.raises(StoreUnavailable, match=HIDDEN):
        await PostgresSource.open(hidden, Rules())
    told = PostgresStore.open(f"{hidden}&pooler=transaction", Rules())
    await told.ready()
    await told.close()
