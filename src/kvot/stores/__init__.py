"""The engines that keep the ledger: one module each, all held to tests/conformance."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.keys import KeyStore
from kvot.core.provider_keys import ProviderKeyStore
from kvot.core.store import Store
from kvot.core.stored_replies import StoredReplyStore
from kvot.stores.sqlite import SqliteStore

Clock = Callable[[], int]
"""Milliseconds since the epoch."""


class Engine(Store, KeyStore, ProviderKeyStore, StoredReplyStore, Protocol):
    """What every engine offers: the ledger, the keys to it, companies' own keys to providers, and whose replies are."""


def _open_sqlite(url: str, rules: Rules, _now_ms: Clock | None) -> Engine:
    location = url.removeprefix("sqlite:///")
    if location in (url, ""):
        raise StoreUnavailable(
            f"The database {url} cannot be opened: its URL must be one of sqlite:///... with a file."
        )
    return SqliteStore.open(Path(location), rules)


def _open_postgres(url: str, rules: Rules, now_ms: Clock | None) -> Engine:
    """Imported here, so that nobody waits for a driver that he does not need."""
    from kvot.stores.postgres import PostgresStore

    return PostgresStore.open(url, rules, now_ms=now_ms)


ENGINES: dict[str, Callable[[str, Rules, Clock | None], Engine]] = {
    "sqlite": _open_sqlite,
    "postgresql": _open_postgres,
}
"""From the scheme of a database's URL to what opens it."""


def open_store(url: str, rules: Rules, now_ms: Clock | None = None) -> Engine:
    """Open the database of a URL: `sqlite:///kvot.db` (here), `sqlite:////var/lib/kvot.db`, `postgresql://user@host/db`.

    now_ms: the clock of whoever asks. A server that has another one refuses what is asked of it, and leaves ledgers as
    they are.

    A database server is not asked before it is needed. Raises StoreUnavailable, saying what to do, for an unknown URL
    too; what may hold a password is not repeated.
    """
    scheme, separator, _ = url.partition("://")
    if scheme not in ENGINES or not separator:
        shown = f"{scheme}://..." if separator else url
        raise StoreUnavailable(
            f"The database {shown} cannot be opened: its URL must be one of sqlite:///..., postgresql://user@host/...."
        )
    return ENGINES[scheme](url, rules, now_ms)
