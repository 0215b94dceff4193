"""The engine for many processes: the ledger in PostgreSQL, each operation one function call in the database."""

from kvot.stores.postgres.schema import migrate
from kvot.stores.postgres.store import PostgresStore, Time

__all__ = ["PostgresStore", "Time", "migrate"]
