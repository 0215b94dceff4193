"""The mark of a copy into this database that is not finished: see `kvot.stores.unfinished`."""

from kvot.stores.sqlite.connection import Tx


def mark(tx: Tx) -> None:
    tx.execute("INSERT INTO unfinished_copy VALUES (1) ON CONFLICT DO NOTHING")


def unmark(tx: Tx) -> None:
    tx.execute("DELETE FROM unfinished_copy")


def is_marked(tx: Tx) -> bool:
    return tx.row("SELECT one FROM unfinished_copy") is not None
