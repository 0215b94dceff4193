"""Which company made which of the replies that providers store: ids by company, and by age to forget them."""

from kvot.core.stored_replies import FORGOTTEN_AT_ONCE_MAX, REPLIES_KEPT_MS, StoredReply
from kvot.stores.sqlite.begin import begin
from kvot.stores.sqlite.company import Company, save
from kvot.stores.sqlite.connection import Row, Tx
from kvot.stores.sqlite.encoding import to_guid

SET = "INSERT OR REPLACE INTO stored_reply VALUES (?, ?, ?, ?, ?)"
LIST = "SELECT provider, reply_id, at, tokens FROM stored_reply WHERE company_no = ?"
_FIND = """SELECT provider, reply_id, at, tokens FROM company JOIN stored_reply USING (company_no)
    WHERE company_id = ?1 AND provider = ?2 AND reply_id = ?3 AND at > max(clock, ?4) - ?5"""
_OLD = """SELECT provider, reply_id FROM stored_reply WHERE company_no = ? AND at <= ?
    ORDER BY at, provider, reply_id LIMIT ?"""
_DELETE = "DELETE FROM stored_reply WHERE company_no = ? AND provider = ? AND reply_id = ?"
_DELETE_OLD = "DELETE FROM stored_reply WHERE company_no = ? AND at <= ?"


def remember(tx: Tx, company_id: str, provider: str, reply_id: str, tokens: int | None, now_ms: int) -> None:
    company = begin(tx, company_id, now_ms)
    tx.execute(SET, (company.no, provider, reply_id, company.clock, tokens))
    old = tx.execute(_OLD, (company.no, company.clock - REPLIES_KEPT_MS, FORGOTTEN_AT_ONCE_MAX)).fetchall()
    for which in old:
        tx.execute(_DELETE, (company.no, *which))
    save(tx, company)


def find_reply(tx: Tx, company_id: str, provider: str, reply_id: str, now_ms: int) -> StoredReply | None:
    row = tx.row(_FIND, (to_guid(company_id), provider, reply_id, now_ms, REPLIES_KEPT_MS))
    return None if row is None else from_row(row)


def forget_old(tx: Tx, company: Company) -> None:
    """All that are older than they are kept."""
    tx.execute(_DELETE_OLD, (company.no, company.clock - REPLIES_KEPT_MS))


def from_row(row: Row) -> StoredReply:
    return StoredReply(*row)
