"""What no ledger by itself can prove: clocks, rows that belong to no company, the audit log. Reads only."""

from collections.abc import Iterator

from kvot.core.clock import LEAP_MAX_MS
from kvot.core.model import Difference, SharedVerification
from kvot.stores.sqlite import audit
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import from_guid, to_guid

DIFFERENCES_MAX = 100
"""Of each kind: enough to see what is wrong."""

_TABLES = ("budget", "point", "late", "label_set", "event", "hold", "rollup")
_AHEAD = f"""SELECT company_id, clock FROM company WHERE clock > ?1 AND (?2 IS NULL OR company_id = ?2)
    ORDER BY company_id LIMIT {DIFFERENCES_MAX}"""
_AUDIT_LINES = "SELECT count(*) FROM audit"

Found = tuple[str | None, Difference]


def verify_shared(tx: Tx, company_id: str | None, now_ms: int) -> SharedVerification:
    ahead = list(_ahead(tx, company_id, now_ms))
    if company_id is not None:
        return SharedVerification(None, tuple(ahead))
    stray = [found for table in _TABLES for found in _stray(tx, table)]
    return SharedVerification(tx.number(_AUDIT_LINES), (*ahead, *stray, *_audit(tx)))


def _ahead(tx: Tx, company_id: str | None, now_ms: int) -> Iterator[Found]:
    guid = None if company_id is None else to_guid(company_id)
    for key, clock_ms in tx.execute(_AHEAD, (now_ms + LEAP_MAX_MS, guid)):
        yield from_guid(key), Difference("company clock", clock_ms, now_ms)


def _stray(tx: Tx, table: str) -> Iterator[Found]:
    """Whose they were is not known: the number stands for a GUID in the row that is gone."""
    sql = f"""SELECT company_no, count(*) FROM {table} WHERE company_no NOT IN (SELECT company_no FROM company)
        GROUP BY company_no LIMIT {DIFFERENCES_MAX}"""
    for number, rows in tx.execute(sql):
        yield None, Difference(f"{table}, of company_no {number}, which has no row of its own", rows, 0)


def _audit(tx: Tx) -> Iterator[Found]:
    line = audit.first_break(tx)
    if line is not None:
        yield None, Difference(f"audit log, line {line} does not follow from those before it", None, None)
