"""What planted faults stand on: a right engine that can be opened again, and how a faulty one is opened."""

from pathlib import Path

from kvot.core.archive import Sink
from kvot.core.archive import Source as ArchiveSource
from kvot.core.budget import Rules
from kvot.stores.memory import MemoryStore
from kvot.stores.memory_archive import MemorySink, MemorySource
from kvot.stores.memory_company import Company
from tests.conformance.scene import Archive, Engine, FullStore, Opening


class DurableMemory(MemoryStore):
    """The reference engine, right in every way, with a memory that outlives it: so that it can be opened again."""

    def take_over(self, before: MemoryStore) -> None:
        self._companies, self._keys, self._keys_version = before._companies, before._keys, before._keys_version


def engine_of(faulty: type[Company] | type[DurableMemory]) -> Engine:
    """The faulty engine, opened as any other. Its folder's name finds the data again, so it can be opened twice."""
    store_type = store_type_of(faulty)
    kept: dict[Path, DurableMemory] = {}

    async def open_faulty(folder: Path, rules: Rules) -> FullStore:
        store = store_type(rules)
        if folder in kept:
            store.take_over(kept[folder])
        kept[folder] = store
        return store

    return Engine(open_faulty, is_durable=True, archive=Archive(read_memory, make_memory, keeps_audit=False))


async def read_memory(store: FullStore, _folder: Path, _rules: Rules) -> ArchiveSource:
    assert isinstance(store, MemoryStore)
    return MemorySource(store)


async def make_memory(_folder: Path, rules: Rules) -> tuple[Sink, Opening]:
    store = MemoryStore(rules)

    async def opened() -> FullStore:
        return store

    return MemorySink(store), opened


def store_type_of(faulty: type[Company] | type[DurableMemory]) -> type[DurableMemory]:
    """A store of faulty companies, or the faulty store itself."""
    if issubclass(faulty, DurableMemory):
        return faulty
    faulty_company: type[Company] = faulty

    class OfFaultyCompanies(DurableMemory):
        company_type = faulty_company

    return OfFaultyCompanies
