"""What is acknowledged survives kill -9, a full disk and a failing one."""

import os
import subprocess
import sys

import apsw
import pytest

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.model import EventColumns, NewEvent, Status
from kvot.stores.sqlite import SqliteStore

from .conftest import COMPANY, T0

WRITER = """
import asyncio, sys
from pathlib import Path
from kvot.core.budget import Rules
from kvot.core.model import NewEvent
from kvot.stores.sqlite import SqliteStore

async def write(store, lane):
    for number in range(1_000_000):
        event_id = f"{lane}-{number}"
        await store.record(sys.argv[2], NewEvent(event_id, 1), now_ms=int(sys.argv[3]))
        sys.stdout.write(event_id + "\\n")
        sys.stdout.flush()

async def main():
    store = SqliteStore.open(Path(sys.argv[1]), Rules())
    await asyncio.gather(*(write(store, lane) for lane in range(16)))

asyncio.run(main())
"""


def acknowledged_before_kill(path, count):
    """Ids that a writing process acknowledged until it was killed, at least so many."""
    command = [sys.executable, "-c", WRITER, str(path), COMPANY, str(T0)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        ids = [process.stdout.readline() for _ in range(count)]
        process.kill()
        ids += process.stdout.readlines()
    return [event_id.strip() for event_id in ids if event_id.endswith("\n")]


@pytest.mark.parametrize("count", [1, 100, 777])
async def test_kill_9_loses_nothing_acknowledged(path, count):
    ids = acknowledged_before_kill(path, count)
    assert len(ids) >= count
    store = SqliteStore.open(path, Rules())
    again = await store.record_many(EventColumns.of([(COMPANY, NewEvent(event_id, 1)) for event_id in ids]), now_ms=T0)
    assert set(again) == {Status.REPLAYED}
    assert (await store.verify(COMPANY, now_ms=T0)).differences == ()
    await store.close()


async def fill(store):
    """Record until the database may not grow any more; how many events were taken, and why no more."""
    for number in range(100_000):
        try:
            await store.record(COMPANY, NewEvent(f"e{number}", 1), now_ms=T0 + number)
        except StoreUnavailable as error:
            return number, error.message
    raise AssertionError("the database never was full")


async def test_a_full_disk_refuses_and_loses_nothing_and_goes_on_when_there_is_room(store):
    pages = store._write_connection.pragma("page_count")
    store._write_connection.pragma("max_page_count", pages + 3)
    taken, reason = await fill(store)
    assert "the disk is full" in reason
    assert (await store.usage(COMPANY, now_ms=T0 + taken)).tokens_used == taken
    store._write_connection.pragma("max_page_count", pages + 1_000)
    answer = await store.record(COMPANY, NewEvent(f"e{taken}", 1), now_ms=T0 + taken)
    assert answer.usage.tokens_used == taken + 1
    assert (await store.verify(COMPANY, now_ms=T0 + taken)).differences == ()
    await store.ready()


_REAL = apsw.vfs_names()[0]


class FailingDisk(apsw.VFS):
    """The real file system, until `is_broken`: then nothing can be made durable any more."""

    def __init__(self) -> None:
        self.is_broken = False
        super().__init__("failing-disk", _REAL, makedefault=True)

    def xOpen(self, name, flags):
        return FailingFile(self, name, flags)


class FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name, flags) -> None:
        self._disk = disk
        super().__init__(_REAL, name, flags)

    def xSync(self, flags):
        if self._disk.is_broken:
            raise apsw.IOError("fsync failed")
        super().xSync(flags)


@pytest.fixture
def disk():
    disk = FailingDisk()
    yield disk
    disk.is_broken = False
    disk.unregister()


async def test_a_disk_that_cannot_sync_ends_all_writing(disk, path):
    reasons: list[str] = []
    store = SqliteStore.open(path, Rules())
    store.on_fatal(reasons.append)
    await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    disk.is_broken = True
    with pytest.raises(StoreUnavailable, match="the disk failed"):
        await store.record(COMPANY, NewEvent("e2", 1), now_ms=T0)
    disk.is_broken = False
    for refused in (store.ready(), store.record(COMPANY, NewEvent("e3", 1), now_ms=T0), store.companies()):
        with pytest.raises(StoreUnavailable, match="the disk failed"):
            await refused
    assert len(reasons) == 1
    await store.close()
