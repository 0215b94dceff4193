"""Flags figures that whoever runs the gateway has to look at: a total that is not the sum of its parts, and an output
far beyond what was held for it. The parts are charged as reported all the same: a provider is believed.

So it looks when a provider begins to count otherwise than its dialect reads it. It tells names and figures, never what
was said.
"""

from kvot.core.model import NewHold
from kvot.gateway.tokens import Reported
from kvot.telemetry.logs import logger
from kvot.telemetry.tally import Tallies

EXCESS_TIMES = 10
"""Of the output tokens that were held. A provider that does not keep to a ceiling, or a ceiling that an answer without
one exceeds, comes to some times as much; more is mostly a figure that means something else, and closes a budget at
once."""


def flag_excess(company_id: str, hold: NewHold, endpoint: str, reported: Reported, held_output: int) -> None:
    """Log the figures where the output is more than so many times what was held for it."""
    if reported.tokens.output <= EXCESS_TIMES * held_output:
        return
    logger("kvot.gateway").warning(
        "usage far above its hold",
        provider=hold.provider or "",
        endpoint=endpoint,
        model=hold.model,
        company=company_id,
        hold=hold.hold_id,
        held=hold.amount,
        held_output=held_output,
        is_final=reported.is_final,
        **reported.tokens._asdict(),
    )


def flag_mismatch(tallies: Tallies, company_id: str, hold: NewHold, endpoint: str, reported: Reported) -> None:
    """Count the call, and log both totals with the parts; by the hold's id its event is found in the ledger."""
    provider = hold.provider or ""
    tallies.of(provider, endpoint).mismatch()
    logger("kvot.gateway").warning(
        "usage total mismatch",
        provider=provider,
        endpoint=endpoint,
        model=hold.model,
        company=company_id,
        hold=hold.hold_id,
        total=reported.total_mismatch,
        sum=reported.tokens.total,
        is_final=reported.is_final,
        **reported.tokens._asdict(),
    )
