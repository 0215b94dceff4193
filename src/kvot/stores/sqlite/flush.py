"""What the operations of one transaction share is written once: before it ends, and before a statement reads it.

That is the row of each company that they wrote to, the last point of its chain and the lines of the rollup.
"""

from kvot.stores.sqlite import chain, company, lines
from kvot.stores.sqlite.connection import Tx


def flush(tx: Tx) -> None:
    for each in tx.companies.values():
        chain.write_head(tx, each)
        company.write(tx, each)
    tx.companies.clear()
    if tx.lines:
        lines.put(tx, tx.lines)
        tx.lines.clear()
