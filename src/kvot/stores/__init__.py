"""The engines that keep the ledger: one module each, all held to tests/conformance."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.keys import KeyStore
from kvot.core.provider_keys import ProviderKeyStore
from kvot.core.store import Store
from kvot.stores.sqlite import SqliteStore


class Engine(Store, KeyStore, ProviderKeyStore, Protocol):
    """What every engine offers: the ledger, the keys to it, and companies' own keys to providers."""


def _open_sqlite(location: str, rules: Rules) -> Engine:
    return SqliteStore.open(Path(location), rules)


ENGINES: dict[str, Callable[[str, Rules], Engine]] = {
    "sqlite": _open_sqlite,
}
"""From the scheme of a database's URL to what opens it, given the rest of the URL after `scheme:///`."""


def open_store(url: str, rules: Rules) -> Engine:
    """Open the database of a URL: `sqlite:///kvot.db` (here) or `sqlite:////var/lib/kvot.db`.

    Raises StoreUnavailable, saying what to do, for an unknown URL too.
    """
    scheme, separator, location = url.partition(":///")
    if scheme not in ENGINES or not separator or not location:
        known = ", ".join(f"{name}:///..." for name in ENGINES)
        raise StoreUnavailable(f"The database {url} cannot be opened: its URL must be one of {known}.")
    return ENGINES[scheme](location, rules)
