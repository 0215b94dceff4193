"""Does a usage read cost the same at a million events in the window as at a thousand?

Sketch: one statement with one seek into a B-tree of a million points instead of a thousand is two more levels, all in
cache: under 10 µs either way, so a ratio of 1.0 to 1.2.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benches.report import Ratio, in_turn, ratio_of
from kvot.core.budget import Rules
from kvot.core.model import EventColumns, NewEvent
from kvot.core.store import Store
from kvot.stores import open_store

COMPANY = "9f0c1d2e-0000-4000-8000-000000000001"
NOW_MS = 1_790_000_000_000
WINDOW_MS = 30 * 86_400_000
READS = 5_000
BATCH = 10_000


def measure() -> Iterator[Ratio]:
    """usage at 1,000,000 events in the window against 1,000, in the store"""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        small = runner.run(filled_store(Path(folder) / "small.db", 1_000))
        large = runner.run(filled_store(Path(folder) / "large.db", 1_000_000))
        many, few = in_turn(9, lambda: runner.run(_read_us(large)), lambda: runner.run(_read_us(small)))
        yield Ratio(
            "usage now, 1,000,000 events / 1,000 events",
            ratio_of(many, few),
            "≤ 1.3",
            f"{min(many):.1f} µs at 1,000,000",
            f"{min(few):.1f} µs at 1,000",
        )
        for store in (small, large):
            runner.run(store.close())


async def filled_store(path: Path, events: int) -> Store:
    """A ledger with so many events for one company, spread evenly over the window that ends at NOW_MS."""
    store = open_store(f"sqlite:///{path}", Rules())
    step_ms = WINDOW_MS / events
    for first in range(0, events, BATCH):
        rows = [
            (COMPANY, NewEvent(f"event-{each}", 100, NOW_MS - WINDOW_MS + 1 + int(each * step_ms)))
            for each in range(first, min(first + BATCH, events))
        ]
        await store.record_many(EventColumns.of(rows), now_ms=NOW_MS)
    return store


async def _read_us(store: Store) -> float:
    start = time.perf_counter()
    for _ in range(READS):
        await store.usage(COMPANY, now_ms=NOW_MS)
    return (time.perf_counter() - start) / READS * 1e6
