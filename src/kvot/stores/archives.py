"""The engines as a source and as a sink of whole databases: see `kvot.core.archive`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from kvot.core.archive import CopySink, Source
from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.stores.sqlite.archive import SqliteSource
from kvot.stores.sqlite.restore import SqliteSink


class Archive(NamedTuple):
    """How to open an engine's database, given its URL, to be read and to be written whole."""

    open_source: Callable[[str, Rules], Awaitable[Source]]
    open_sink: Callable[[str, Rules], Awaitable[CopySink]]


async def _postgres_source(url: str, rules: Rules) -> Source:
    from kvot.stores.postgres.archive import PostgresSource

    return await PostgresSource.open(url, rules)


async def _postgres_sink(url: str, rules: Rules) -> CopySink:
    from kvot.stores.postgres.restore import PostgresSink

    return await PostgresSink.open(url, rules)


async def _sqlite_source(url: str, rules: Rules) -> Source:
    return SqliteSource.open(_path(url), rules)


async def _sqlite_sink(url: str, rules: Rules) -> CopySink:
    return SqliteSink.open(_path(url), rules)


def _path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


ARCHIVES = {
    "sqlite": Archive(_sqlite_source, _sqlite_sink),
    "postgresql": Archive(_postgres_source, _postgres_sink),
}
"""By the scheme of a database's URL."""


async def open_source(url: str, rules: Rules) -> Source:
    """A whole database, to be read from. Raises StoreUnavailable, saying what to do, for an unknown URL too.

    One that holds a part of a copy is refused: what is made of it would bear no mark, and pass for whole.
    """
    source = await open_target(url, rules)
    try:
        await source.need_whole()
    except BaseException:
        await source.close()
        raise
    return source


async def open_target(url: str, rules: Rules) -> Source:
    """What is written to, read to see what it holds: a part of a copy, too, so that the copy can go on."""
    return await _archive(url).open_source(url, rules)


async def open_sink(url: str, rules: Rules) -> CopySink:
    """Raises StoreUnavailable as the others do."""
    return await _archive(url).open_sink(url, rules)


def _archive(url: str) -> Archive:
    scheme = url.partition("://")[0]
    if scheme not in ARCHIVES:
        known = ", ".join(f"{name}://…" for name in ARCHIVES)
        raise StoreUnavailable(f"The database cannot be opened: its URL must be one of {known}.")
    return ARCHIVES[scheme]
