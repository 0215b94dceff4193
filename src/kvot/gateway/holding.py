"""The decision before a call: enough tokens held for it, if need be for a shorter answer, or a refusal."""

from dataclasses import dataclass
from typing import NamedTuple

from kvot.core.errors import Refusal, StoreUnavailable, holds_wait_ms, refusal_of
from kvot.core.ledger import Ledger
from kvot.core.model import TOKENS_MAX, Decision, NewHold, Status, Usage
from kvot.gateway.dialect import Ask, Limits
from kvot.wire.ratelimit import available

CLAMP_TRIES_MAX = 4
"""Others may take the room between being told of it and asking for it. So the last time asks for the shortest answer
alone: whoever loses that as well is refused."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What answers may have where requests do not say, and how short an answer may be made so that it fits."""

    output_max: int  # of a request that names none
    output_min: int  # shorter answers are refused rather than asked for
    clamps: bool  # whether the ceiling of a request may be lowered at all
    names: bool = False  # whether a request that names no ceiling is sent on with the one that was held


class InDoubt(StoreUnavailable):
    """The company's ledger failed its verification and admits nothing. Other than where a store did not answer, nothing
    is held, for sure."""


class Held(NamedTuple):
    """A call may go ahead. `output_max`: the ceiling to ask for in place of the request's own; None: leave it.
    `input_tokens`: of the amount, those for the input. `is_clamped`: it is lower than what was asked for."""

    amount: int
    output_max: int | None
    usage: Usage
    limits: Limits
    input_tokens: int
    is_clamped: bool = False


class Exhausted(NamedTuple):
    """A call may not. `asked` is what it may come to, `amount` what it would need at its shortest. `output_fits`: it
    names no ceiling, and with one of at most so much it would fit; None: naming one does not help."""

    asked: int
    amount: int
    usage: Usage
    limits: Limits
    output_fits: int | None = None


async def hold(
    ledger: Ledger,
    company_id: str,
    asked: NewHold,
    ask: Ask,
    input_tokens: int,
    ceilings: Ceilings,
    *,
    is_alone: bool = False,
) -> Held | Exhausted:
    """Hold `input_tokens` and the call's ceiling, or as much of it as fits. `asked.amount` is not looked at.

    Raises InDoubt, and InvalidRequest for labels that no ledger takes: nothing is held then. Where it raises another
    StoreUnavailable, or is cancelled, something may be.
    """
    named = ceilings.output_max if ask.output_max is None else ask.output_max
    least = min(named, max(ask.output_min, ceilings.output_min)) if ceilings.clamps else named
    each, tries = named, 0
    while True:
        amount = _amount(input_tokens, each, ask.answers)
        decision = await ledger.reserve(company_id, asked._replace(amount=amount), is_alone=is_alone)
        usage, tries = decision.usage, tries + 1
        if decision.status is Status.DONE:
            is_named = ask.output_max is None and ceilings.names
            output_max = each if each < named or is_named else None
            limits = limits_of(usage, ledger.now_ms())
            return Held(amount, output_max, usage, limits, input_tokens, is_clamped=each < named)
        _check(decision)
        fits = (available(usage) - input_tokens) // ask.answers
        each = fits if fits < each else each // 2  # events ahead of the clock are in its way, in no figure yet
        if each < least or tries == CLAMP_TRIES_MAX:
            break
        if tries == CLAMP_TRIES_MAX - 1:
            each = least
    amount = _amount(input_tokens, least, ask.answers)
    limits = await _limits_until(ledger, company_id, asked._replace(amount=amount), usage)
    in_full = _amount(input_tokens, named, ask.answers)
    return Exhausted(in_full, amount, usage, limits, _output_that_fits(ask, input_tokens, usage, ceilings))


def limits_of(usage: Usage, now_ms: int) -> Limits:
    return Limits(now_ms, usage.token_limit, usage.tokens_used, usage.tokens_held, usage.window_ms)


def _output_that_fits(ask: Ask, input_tokens: int, usage: Usage, ceilings: Ceilings) -> int | None:
    """What a request that names no ceiling was refused for is mostly the configured one, where it is not lowered."""
    if ask.output_max is not None:
        return None
    fits = (available(usage) - input_tokens) // ask.answers
    return fits if fits >= max(ask.output_min, ceilings.output_min) else None


def _amount(input_tokens: int, output_each: int, answers: int) -> int:
    return min(TOKENS_MAX, max(1, input_tokens + output_each * answers))


def _check(decision: Decision) -> None:
    if decision.status is Status.IN_DOUBT:
        raise InDoubt("The company's ledger failed its verification: nothing is admitted until it is mended.")
    if decision.status is not Status.OVER_LIMIT:  # an id of our own is never taken
        raise StoreUnavailable(f"The company's ledger answered a hold of a new id with '{decision.status}'.")


async def _limits_until(ledger: Ledger, company_id: str, refused: NewHold, usage: Usage) -> Limits:
    """How the company stands, and how long until what was refused fits: by the engine's clock, which may be another."""
    fits_at_ms = await ledger.fits_at(company_id, refused.amount)
    fits_after_ms = None if fits_at_ms is None else max(0, fits_at_ms - usage.at_ms)
    is_short_term = refusal_of(usage, refused.amount) is Refusal.OPEN_HOLDS
    soon_ms = holds_wait_ms(refused.hold_id) if is_short_term else None
    return limits_of(usage, ledger.now_ms())._replace(fits_after_ms=fits_after_ms, soon_ms=soon_ms)
