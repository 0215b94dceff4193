"""The embedded engine: the ledger in one SQLite file. See `kvot.stores.sqlite.store`."""

from kvot.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
