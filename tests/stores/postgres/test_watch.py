"""A change of keys in one process is known in the others at once, and without word nothing is believed for long."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import asyncpg
import pytest

from kvot.core.budget import Rules
from kvot.core.keys import ApiKey
from kvot.core.provider_keys import SealedKey
from kvot.stores.postgres import PostgresStore, Time
from kvot.stores.postgres import watch as watch_module
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.watch import KeysWatch
from tests.conformance.scene import COMPANY, T0

from .test_trouble import until_one_waits_for_a_lock

KEY = ApiKey("k1", b"h" * 32, COMPANY, frozenset(), None, T0, "ann")


@pytest.fixture(params=[False, True], ids=["direct", "behind a pooler"])
async def other(url: str, request: pytest.FixtureRequest) -> AsyncIterator[PostgresStore]:
    """Another process."""
    if request.param:
        url = request.getfixturevalue("pooler").before(url)
    store = PostgresStore.open(url, Rules(), time=Time.GIVEN)
    yield store
    await store.close()


async def changes(store: PostgresStore, version: int) -> None:
    async with asyncio.timeout(watch_module.BELIEVED_S):
        while store.keys_version == version:
            await asyncio.sleep(0.005)


async def test_a_revoked_key_is_known_everywhere_within_a_second(store: PostgresStore, other: PostgresStore):
    await store.add_key(KEY, actor="ann", now_ms=T0)
    assert await other.find_key("k1") == KEY
    version = other.keys_version
    assert other.keys_version == version
    await store.revoke_key("k1", company_id=None, actor="ann", now_ms=T0)
    await changes(other, version)
    assert (await other.find_key("k1")) == KEY._replace(revoked_at_ms=T0)


async def test_a_companys_key_to_a_provider_is_known_everywhere_within_a_second(
    store: PostgresStore, other: PostgresStore
):
    assert await other.find_provider_key(COMPANY, "openai") is None
    version = other.keys_version
    sealed = SealedKey(COMPANY, "openai", b"sealed", T0, "ann")
    await store.set_provider_key(sealed, now_ms=T0)
    await changes(other, version)
    assert await other.find_provider_key(COMPANY, "openai") == sealed
    version = other.keys_version
    await store.remove_provider_key(COMPANY, "openai", actor="ann", now_ms=T0)
    await changes(other, version)
    assert await other.find_provider_key(COMPANY, "openai") is None


async def test_a_listener_hears_without_asking(store: PostgresStore, url: str, monkeypatch):
    monkeypatch.setattr(watch_module, "POLL_S", 60)
    listener = PostgresStore.open(url, Rules(), time=Time.GIVEN)
    assert await listener.find_key("k1") is None
    version = listener.keys_version
    await store.add_key(KEY, actor="ann", now_ms=T0)
    await changes(listener, version)
    await listener.close()


async def test_without_word_from_the_database_every_look_sees_a_change(tmp_path):
    clock = [100.0]
    watch = KeysWatch(Address.parse(f"postgresql://u@/d?host={tmp_path}"), now_s=lambda: clock[0])
    assert watch.version != watch.version
    watch._heard(7)
    assert watch.version == watch.version
    clock[0] += watch_module.BELIEVED_S + 0.1
    assert watch.version != watch.version


def heard(watch: KeysWatch, version: int) -> int:
    watch._heard(version)
    return watch.version


async def test_a_number_that_differs_is_a_change_whichever_way_it_goes(tmp_path):
    """After a failover that lost writes, or a restore, the database counts from less than it had come to."""
    watch = KeysWatch(Address.parse(f"postgresql://u@/d?host={tmp_path}"), now_s=lambda: 100.0)
    versions = [heard(watch, number) for number in (7, 7, 3, 3, 4, 7)]
    assert [len({*versions[: index + 1]}) for index in range(len(versions))] == [1, 1, 2, 2, 3, 4]


class Lost:
    """A connection that tells one number and is gone."""

    def __init__(self) -> None:
        self._answers = [7]

    async def add_listener(self, _channel: str, _callback: object) -> None: ...

    @asynccontextmanager
    async def transaction(self, **_: object) -> AsyncIterator[None]:
        yield

    async def fetchval(self, _query: str, **_how: object) -> int:
        if not self._answers:
            raise ConnectionResetError
        return self._answers.pop()


async def test_behind_another_connection_the_same_number_may_be_another_databases(tmp_path, monkeypatch):
    monkeypatch.setattr(watch_module, "POLL_S", 0)
    watch = KeysWatch(Address.parse(f"postgresql://u@/d?host={tmp_path}"), now_s=lambda: 100.0)
    versions = []
    for _ in range(2):
        with suppress(ConnectionResetError):
            await watch._listen(cast(Any, Lost()))
        versions.append(watch.version)
    assert versions[0] != versions[1]


async def test_a_revocation_in_a_database_that_was_put_back_is_known(
    store: PostgresStore, other: PostgresStore, url: str
):
    await store.add_key(KEY, actor="ann", now_ms=T0)
    await other.find_key("k1")
    version = other.keys_version
    direct = await asyncpg.connect(url)
    await direct.execute("UPDATE kvot.keys_version SET version = version - 100")
    await direct.close()
    await changes(other, version)
    version = other.keys_version
    await store.revoke_key("k1", company_id=None, actor="ann", now_ms=T0)
    await changes(other, version)


async def test_a_database_that_is_not_there_does_not_hold_the_question_up(tmp_path):
    watch = KeysWatch(Address.parse(f"postgresql://u@/d?host={tmp_path}"))
    await watch.start()
    assert watch.version != watch.version
    await watch.close()


async def test_a_watch_that_is_closed_while_it_connects_leaves_no_connection_behind(url: str):
    """The warning of one that was left fails the test."""
    blocker = await asyncpg.connect(url)
    await blocker.execute("BEGIN; LOCK TABLE kvot.schema_version IN ACCESS EXCLUSIVE MODE")
    watch = KeysWatch(Address.parse(url))
    asked = asyncio.ensure_future(watch.start())
    await until_one_waits_for_a_lock(blocker)
    await watch.close()
    await asked
    await blocker.close()
    del watch, asked
    gc.collect()
