"""Usage at an instant: what the chain and sidecar say, with holds that are due but not yet closed seen as closed."""

from kvot.core.budget import Budget
from kvot.core.model import Usage
from kvot.stores.sqlite import chain
from kvot.stores.sqlite.company import Company
from kvot.stores.sqlite.connection import Tx

_BUDGET_AT = """SELECT token_limit, window_days FROM budget
    WHERE company_no = ? AND effective_at <= ? ORDER BY seq DESC LIMIT 1"""
_CHARGES = """SELECT sum(amount) FROM hold
    WHERE company_no = ? AND state = 0 AND dispatched = 1 AND expires_at > ? AND expires_at <= ?"""
_DUE_AMOUNT = "SELECT sum(amount) FROM hold WHERE company_no = ? AND state = 0 AND expires_at <= ?"
_HELD_AT = """SELECT sum(amount) FROM hold WHERE company_no = ? AND created_at > ? AND created_at <= ?
    AND coalesce(closed_at, expires_at) > ?"""


def usage_now(tx: Tx, company: Company) -> Usage:
    return usage_at(tx, company, company.clock)


def usage_at(tx: Tx, company: Company, at_ms: int, window_ms: int | None = None) -> Usage:
    budget = budget_at(tx, company, at_ms)
    window_ms = budget.window_ms if window_ms is None else window_ms
    used = used_between(tx, company, at_ms - window_ms, at_ms)
    held = held_at(tx, company, at_ms)
    return Usage(company.company_id, at_ms, window_ms, used, held, budget.token_limit, bool(company.in_doubt))


def budget_at(tx: Tx, company: Company, at_ms: int) -> Budget:
    """The budget of an instant: its history says, and before that the default."""
    if at_ms >= company.clock or company.token_limit is None:
        return company.budget(tx.rules)
    rows = tx.execute(_BUDGET_AT, (company.no, at_ms)).fetchall()
    return Budget(*rows[0]) if rows else tx.rules.default_budget


def used_between(tx: Tx, company: Company, after_ms: int, through_ms: int) -> int:
    """Tokens in `(after_ms, through_ms]`, with the charges of holds that are due at the company's clock."""
    used = chain.between(tx, company, after_ms, through_ms)
    if company.due_at is not None and company.due_at <= company.clock:
        used += tx.number(_CHARGES, (company.no, after_ms, min(through_ms, company.clock)))
    return used


def held_at(tx: Tx, company: Company, at_ms: int) -> int:
    """Tokens of the holds that are open at an instant."""
    if at_ms != company.clock:
        return tx.number(_HELD_AT, (company.no, at_ms - company.hold_span_ms, at_ms, at_ms))
    if company.due_at is None or company.due_at > at_ms:
        return company.held
    return company.held - tx.number(_DUE_AMOUNT, (company.no, at_ms))
