"""Budgets and their history. A change takes effect at the company's clock and forgets nothing."""

from kvot.core.budget import Budget, BudgetChange, PartialBudget, completed
from kvot.core.model import CompanyBudget
from kvot.stores.sqlite import audit, chain
from kvot.stores.sqlite.begin import begin
from kvot.stores.sqlite.company import Company, load, save
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.meter import budget_at

_ADD = """INSERT INTO budget VALUES
    (?1, (SELECT coalesce(max(seq), 0) + 1 FROM budget WHERE company_no = ?1), ?2, ?3, ?4, ?5, ?6)"""
_HISTORY = """SELECT effective_at, token_limit, window_days, actor, reason FROM budget
    WHERE company_no = ? ORDER BY seq"""


def set_budget(
    tx: Tx, company_id: str, asked: Budget | PartialBudget, now_ms: int, *, actor: str, reason: str | None
) -> CompanyBudget:
    company = begin(tx, company_id, now_ms)
    company_before = company.budget(tx.rules)
    budget = completed(asked, company_before)
    save(tx, company)
    chain.check_kept(company, company.clock - budget.window_ms)
    company.token_limit, company.window_days = budget
    tx.execute(_ADD, (company.no, company.clock, *budget, actor, reason))
    detail: dict[str, object] = {"from": list(company_before), "to": list(budget), "reason": reason}
    audit.note(
        tx,
        at_ms=company.clock,
        actor=actor,
        action="set_budget",
        company_id=company_id,
        subject=company_id,
        detail=detail,
    )
    return CompanyBudget(budget, history(tx, company))


def budget(tx: Tx, company_id: str, at_ms: int | None, now_ms: int) -> CompanyBudget:
    company = load(tx, company_id, now_ms)
    at_ms = company.clock if at_ms is None else at_ms
    return CompanyBudget(budget_at(tx, company, at_ms), history(tx, company))


def history(tx: Tx, company: Company) -> tuple[BudgetChange, ...]:
    rows = tx.execute(_HISTORY, (company.no,))
    return tuple(
        BudgetChange(effective_at, Budget(token_limit, window_days), actor, reason)
        for effective_at, token_limit, window_days, actor, reason in rows
    )
