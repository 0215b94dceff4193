"""Who made a call: provider, model, user and feature, kept once for each combination that a company has."""

from kvot.stores.sqlite.connection import Tx

Labels = tuple[str | None, str | None, str | None, str | None]
"""Provider, model, user, feature."""

NO_LABELS: Labels = (None, None, None, None)

REMEMBERED_MAX = 25_000
"""Combinations that a connection remembers, by number and by labels: about 10 MB at the most. None ever changes."""

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
        _remember(tx, company_no, number, labels)
    return number


def labels_of(tx: Tx, company_no: int, number: int) -> Labels:
    if not number:
        return NO_LABELS
    labels = tx.label_sets.get((company_no, number))
    if labels is None:
        rows = tx.execute(_GET, (company_no, number)).fetchall()
        if not rows:
            return NO_LABELS
        labels = rows[0]
        _remember(tx, company_no, number, labels)
    return labels


def _remember(tx: Tx, company_no: int, number: int, labels: Labels) -> None:
    if len(tx.label_set_nos) >= REMEMBERED_MAX:
        tx.label_set_nos.clear()
        tx.label_sets.clear()
    tx.label_set_nos[company_no, *labels] = number
    tx.label_sets[company_no, number] = labels
