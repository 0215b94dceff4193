"""What a company may spend, and the rules that hold for a whole ledger."""

from dataclasses import dataclass
from typing import NamedTuple

from kvot.core.window import MS_PER_DAY

TOKEN_LIMIT_MAX = 2_147_483_647
"""The contract's `TokenLimit` is a signed 32-bit integer."""


class Budget(NamedTuple):
    """So many tokens in any window of so many days."""

    token_limit: int
    window_days: int

    @property
    def window_ms(self) -> int:
        return self.window_days * MS_PER_DAY


class PartialBudget(NamedTuple):
    """What is to change of a budget; None: stays as it is."""

    token_limit: int | None = None
    window_days: int | None = None


def completed(budget: Budget | PartialBudget, old: Budget) -> Budget:
    """The budget that results. Engines ask inside their write, so that two changes of two figures both hold."""
    return Budget(
        old.token_limit if budget.token_limit is None else budget.token_limit,
        old.window_days if budget.window_days is None else budget.window_days,
    )


class BudgetChange(NamedTuple):
    """One line of a company's budget history: the budget from `effective_at_ms` on, who set it and why."""

    effective_at_ms: int
    budget: Budget
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every company of one ledger."""

    default_budget: Budget = Budget(token_limit=1_000_000, window_days=30)  # noqa: RUF009 (immutable)
    """The budget of a company that has none of its own, at any instant before its first one."""

    retention_days: int = 400
    """How long detail is kept. No event is taken that is older, and no window may be longer."""

    future_max_ms: int = 300_000
    """How far ahead of the company's clock an event may lie: five minutes, for clocks that differ."""

    @property
    def retention_ms(self) -> int:
        return self.retention_days * MS_PER_DAY


def fits(tokens_committed: int, tokens_asked: int, token_limit: int) -> bool:
    """The admission rule: what is used and held, and what is asked for, together stay within the limit."""
    return tokens_committed + tokens_asked <= token_limit
