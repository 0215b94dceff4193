"""An engine that moves its database to another engine, through a backup file, each time it is opened again.

Whatever a check says of an engine that was opened again it then says of a ledger that was moved.
"""

from itertools import count
from pathlib import Path

from kvot.core.archive import Source as ArchiveSource
from kvot.core.budget import Rules
from kvot.stores.backup_file import BackupReader, BackupWriter
from kvot.stores.transfer import move, whole
from tests.conformance.scene import Archive, Engine, FullStore


class Mover:
    """One database on the move: it is opened by `first`, and each time anew by the other of the two."""

    def __init__(self, first: Engine, other: Engine) -> None:
        self._first, self._other = first, other
        self._places: dict[Path, tuple[Engine, Path, FullStore]] = {}
        self._numbers = count()

    @property
    def engine(self) -> Engine:
        both = (archive_of(self._first), archive_of(self._other))
        archive = Archive(self._read, both[0].make, keeps_audit=all(each.keeps_audit for each in both))
        return Engine(self._open, is_durable=True, discard=self._discard, archive=archive)

    async def _read(self, store: FullStore, folder: Path, rules: Rules) -> ArchiveSource:
        engine, place, _ = self._places[folder]
        return await archive_of(engine).read(store, place, rules)

    def _discard(self, folder: Path) -> None:
        engine, place, _ = self._places.pop(folder)
        if engine.discard is not None:
            engine.discard(place)

    async def _open(self, folder: Path, rules: Rules) -> FullStore:
        place = folder / f"place{next(self._numbers)}"
        place.mkdir()
        if folder not in self._places:
            engine, store = self._first, await self._first.open(place, rules)
        else:
            engine = self._other if self._places[folder][0] is self._first else self._first
            store = await self._move(*self._places[folder], engine, place, rules)
        self._places[folder] = (engine, place, store)
        return store

    async def _move(
        self, old: Engine, old_place: Path, old_store: FullStore, new: Engine, place: Path, rules: Rules
    ) -> FullStore:
        file = place / "backup"
        source = await archive_of(old).read(old_store, old_place, rules)
        writer = BackupWriter(file)
        before = await move(whole(source), writer, lambda part: None)
        sink, opened = await archive_of(new).make(place, rules)
        with BackupReader(file) as reader:
            read = await move(reader.parts(), sink, lambda part: None)
        for each in (source, writer, sink):
            await each.close()
        if old.discard is not None:
            old.discard(old_place)
        assert read.ends == before.ends, "the file says what was read"
        store = await opened()
        await self._check(new, store, place, rules, list(before.ends))
        return store

    async def _check(self, engine: Engine, store: FullStore, place: Path, rules: Rules, companies: list[str]) -> None:
        source = await archive_of(engine).read(store, place, rules)
        for company_id in companies:
            assert (await source.verify(company_id)).differences == ()
        await source.close()


def archive_of(engine: Engine) -> Archive:
    assert engine.archive is not None, "every engine can be read and written whole"
    return engine.archive
