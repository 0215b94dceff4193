"""Who made a call: provider, model, user and feature, kept once for each combination that a company has."""

from kvot.stores.sqlite.connection import Tx

Labels = tuple[str | None, str | None, str | None, str | None]
"""Provider, model, user, feature."""

NO_LABELS: Labels = (None, None, None, None)

REMEMBERED_MAX = 50_000
"""Combinations whose numbers the writer remembers: about 10 MB at the most."""

_FIND = """SELECT label_set_no FROM label_set
    WHERE company_no = ? AND provider IS ? AND model IS ? AND user IS ? AND feature IS ?"""
_ADD = """INSERT INTO label_set VALUES
    (?1, (SELECT coalesce(max(label_set_no), 0) + 1 FROM label_set WHERE company_no = ?1), ?2, ?3, ?4, ?5)
    RETURNING label_set_no"""
_GET = "SELECT provider, model, user, feature FROM label_set WHERE company_no = ? AND label_set_no = ?"


def number_of(tx: Tx, company_no: int, labels: Labels) -> int:
    """The number of a combination, given on first use. For writes only."""
    if labels == NO_LABELS:
        return 0
    key = (company_no, *labels)
    number = tx.label_set_nos.get(key)
    if number is None:
        number = tx.number(_FIND, key) or tx.number(_ADD, key)
        if len(tx.label_set_nos) >= REMEMBERED_MAX:
            tx.label_set_nos.clear()
        tx.label_set_nos[key] = number
    return number


def labels_of(tx: Tx, company_no: int, number: int) -> Labels:
    rows = tx.execute(_GET, (company_no, number)).fetchall() if number else []
    return rows[0] if rows else NO_LABELS
