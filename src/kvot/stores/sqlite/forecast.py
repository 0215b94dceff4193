"""When tokens come back. What counts against a limit can only fall while nothing new is spent: so one may bisect.

Each event counts until it leaves the window; a hold counts until it runs out, and if its call was sent its charge
counts for a window after that.
"""

from bisect import bisect_right
from itertools import accumulate

from kvot.core.budget import fits
from kvot.stores.sqlite import chain
from kvot.stores.sqlite.company import Company
from kvot.stores.sqlite.connection import Tx

HOLDS_READ_MAX = 1_000
"""Nobody else writes while a refusal looks for the instant: for so many holds that is under a millisecond. A company
that has more open at once is told a wait that may be longer than it need be, and never one that is too short."""

_OPEN = """SELECT expires_at, amount, dispatched FROM hold WHERE company_no = ? AND state = 0
    ORDER BY expires_at LIMIT ?"""
_LAST_EXPIRY = "SELECT max(expires_at) FROM hold WHERE company_no = ? AND state = 0"
_LAST_LATE = "SELECT max(slot) FROM late WHERE company_no = ? AND level = 0"


class OpenHolds:
    """The open holds of a company, those that are due too, as sums by expiry."""

    def __init__(self, tx: Tx, company: Company) -> None:
        rows = self._read(tx, company) if company.due_at is not None else []
        self._expiries: list[int] = [row[0] for row in rows]
        self._amounts: list[int] = [0, *accumulate(row[1] for row in rows)]
        self._charges: list[int] = [0, *accumulate(row[1] * row[2] for row in rows)]

    @staticmethod
    def _read(tx: Tx, company: Company) -> list[tuple[int, int, int]]:
        """Expiry, tokens, and whether they are charged then. All beyond the first ones count as one hold, the last to
        run out, of a call that was sent."""
        rows: list[tuple[int, int, int]] = tx.execute(_OPEN, (company.no, HOLDS_READ_MAX)).fetchall()
        if len(rows) == HOLDS_READ_MAX and (left := company.held - sum(row[1] for row in rows)):
            rows.append((tx.number(_LAST_EXPIRY, (company.no,)), left, 1))
        return rows

    @property
    def last_expiry(self) -> int:
        return self._expiries[-1] if self._expiries else 0

    def committed(self, at_ms: int, window_ms: int) -> int:
        """Tokens held at an instant, and those of holds that ran out by then and count as used."""
        due, left = bisect_right(self._expiries, at_ms), bisect_right(self._expiries, at_ms - window_ms)
        held = self._amounts[-1] - self._amounts[due]
        charged = self._charges[due] - self._charges[left]
        return held + charged


def fits_at(tx: Tx, company: Company, tokens: int) -> int | None:
    """The first instant from the company's clock on at which so many tokens fit; None if they never will."""
    budget = company.budget(tx.rules)
    if company.in_doubt or not fits(0, tokens, budget.token_limit):
        return None
    holds = OpenHolds(tx, company)
    last_late = tx.number(_LAST_LATE, (company.no,)) if company.late_events else 0
    first, last = company.clock, max(company.head_at, last_late, holds.last_expiry) + budget.window_ms

    def fit(at_ms: int) -> bool:
        used = chain.since(tx, company, at_ms - budget.window_ms)
        return fits(used + holds.committed(at_ms, budget.window_ms), tokens, budget.token_limit)

    while first < last:
        middle = (first + last) // 2
        if fit(middle):
            last = middle
        else:
            first = middle + 1
    return first
