"""The engines that keep the ledger: one module each, all held to tests/conformance."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.keys import KeyStore
from kvot.core.store import Store
from kvot.stores.sqlite import SqliteStore


class Engine(Store, KeyStore, Protocol):
    """What every engine offers: the ledger and the keys."""


def _open_sqlite(url: str, rules: Rules) -> Engine:
    return SqliteStore.open(Path(url.removeprefix("sqlite:///")), rules)


def _open_postgres(url: str, rules: Rules) -> Engine:
    from kvot.stores.postgres import PostgresStore

    return PostgresStore.open(url, rules)


ENGINES: dict[str, Callable[[str, Rules], Engine]] = {
    "sqlite": _open_sqlite,
    "postgresql": _open_postgres,
}
"""From the scheme of a database's URL to what opens it. An engine's driver is imported when it is needed."""


def open_store(url: str, rules: Rules) -> Engine:
    """Open the database of a URL: `sqlite:///kvot.db` (here), `sqlite:////var/lib/kvot.db`, `postgresql://host/name`.

    Raises StoreUnavailable, saying what to do, for an unknown URL too.
    """
    scheme, separator, rest = url.partition("://")
    if scheme not in ENGINES or not separator or rest in ("", "/"):
        known = ", ".join(f"{name}://..." for name in ENGINES)
        raise StoreUnavailable(f"The database cannot be opened: its URL must be one of {known}.")
    return ENGINES[scheme](url, rules)
