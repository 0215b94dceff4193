"""Flags usage whose total is not the sum of its parts. The parts are charged; whoever runs the gateway has to look.

So it looks when a provider begins to count otherwise than its dialect reads it. It tells names and figures, never what
was said.
"""

from kvot.core.model import NewHold
from kvot.gateway.tokens import Reported
from kvot.telemetry.logs import logger
from kvot.telemetry.tally import Tallies


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
