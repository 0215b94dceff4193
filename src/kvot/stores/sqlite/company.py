"""A company's own row: its clock, the ends of its chain and sidecar, its held total and its budget of now.

The operations of one transaction share it: the row is read for the first and written after the last, see flush.py.
"""

from dataclasses import dataclass, field

from kvot.core.budget import Budget, Rules
from kvot.core.model import TOTAL_MAX
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import to_guid


@dataclass(slots=True)
class Company:
    """The row as an operation works on it; `clock` is never behind the operation's now. See 0001_ledger.sql."""

    company_id: str
    no: int
    clock: int
    head_at: int = 0
    head_cum: int = 0
    floor_at: int = 0
    floor_cum: int = 0
    floor_late: int = 0
    late_events: int = 0
    late_tokens: int = 0
    held: int = 0
    due_at: int | None = None
    hold_span_ms: int = 0
    in_doubt: int = 0
    token_limit: int | None = None
    window_days: int | None = None
    is_head_written: bool = True
    cums: dict[int, int] = field(default_factory=dict)
    """The chain's totals before its head that were looked up: nothing that is posted changes them."""

    def budget(self, rules: Rules) -> Budget:
        """The budget at the company's clock."""
        if self.token_limit is None or self.window_days is None:
            return rules.default_budget
        return Budget(self.token_limit, self.window_days)

    def has_room_for(self, tokens: int) -> bool:
        """Whether the total of all time stays within 64 bits."""
        return self.head_cum + self.late_tokens + tokens <= TOTAL_MAX


_COLUMNS = """company_no, max(clock, ?), head_at, head_cum, floor_at, floor_cum, floor_late, late_events, late_tokens,
    held, due_at, hold_span_ms, in_doubt, token_limit, window_days"""
_LOAD = f"SELECT {_COLUMNS} FROM company WHERE company_id = ?"
_CREATE = """INSERT INTO company(company_id, company_no, clock)
    VALUES (?, (SELECT coalesce(max(company_no), 0) + 1 FROM company), ?) RETURNING company_no"""
_WRITE = """UPDATE company SET clock = ?, head_at = ?, head_cum = ?, floor_at = ?, floor_cum = ?, floor_late = ?,
    late_events = ?, late_tokens = ?, held = ?, due_at = ?, hold_span_ms = ?, in_doubt = ?, token_limit = ?,
    window_days = ? WHERE company_id = ?"""


def load(tx: Tx, company_id: str, now_ms: int) -> Company:
    """A company that never wrote has number 0, which no row has. Whoever changes it must `save` it."""
    guid = to_guid(company_id)
    company: Company | None = tx.companies.get(guid)
    if company is not None:
        company.clock = max(company.clock, now_ms)
        return company
    rows = tx.execute(_LOAD, (now_ms, guid)).fetchall()
    return Company(company_id, *rows[0]) if rows else Company(company_id, 0, now_ms)


def load_or_create(tx: Tx, company_id: str, now_ms: int) -> Company:
    company = load(tx, company_id, now_ms)
    if not company.no:
        company.no = tx.number(_CREATE, (to_guid(company_id), now_ms))
    return company


def save(tx: Tx, company: Company) -> None:
    """Have it written by `flush`; until then the transaction's next operation finds it as it is."""
    tx.companies[to_guid(company.company_id)] = company


def write(tx: Tx, company: Company) -> None:
    c = company
    counts = (c.clock, c.head_at, c.head_cum, c.floor_at, c.floor_cum, c.floor_late, c.late_events, c.late_tokens)
    holds = (c.held, c.due_at, c.hold_span_ms)
    tx.execute(_WRITE, (*counts, *holds, c.in_doubt, c.token_limit, c.window_days, to_guid(c.company_id)))
