"""`kvot verify` and `kvot prune`."""

import time
from typing import Annotated

from cyclopts import Parameter

from kvot.cli import show
from kvot.cli.asking import Yes, agreed
from kvot.cli.moments import parse_moment
from kvot.cli.options import NO_OPTIONS, Options, company_guid
from kvot.cli.progress import Counter
from kvot.cli.target import Local, Target
from kvot.contract.describe import Instant
from kvot.contract.keeping import (
    AiChatLedgerDifference,
    PruneAiChatLedger,
    PruneAiChatLedgerResponse,
    VerifyAiChatLedger,
    VerifyAiChatLedgerResponse,
)
from kvot.core.window import MS_PER_DAY, floor_before
from kvot.wire.scalars import utc

OneCompany = Annotated[str | None, Parameter(help="One company's GUID. Default: all that you may ask for.")]


def verify(*, company: OneCompany = None, options: Options = NO_OPTIONS) -> int:
    """Prove the ledger: recompute every number that is kept from the events, and compare.

    A company of which a number differs admits nothing until it verifies without a difference. Also looked for are
    clocks of companies that are ahead of now and, unless one company is named, rows whose company is gone, and lines of
    the audit log that were changed or removed. (Lines cut off its end leave no trace in it: its length is told.) Exits
    with 1 if anything was found.

    For example:

    ```
    kvot verify
    kvot verify --company $COMPANY --json
    ```
    """
    with options.target() as target:
        reply: VerifyAiChatLedgerResponse = target.call(VerifyAiChatLedger(company_id=company_guid(company)))
    if options.json:
        show.document(reply)
    else:
        _print_proof(reply)
    return 1 if reply.differences else 0


def _print_proof(reply: VerifyAiChatLedgerResponse) -> None:
    lines = "not asked for" if reply.audit_lines is None else f"{show.number(reply.audit_lines)} lines"
    show.lines(
        [
            ("companies", show.number(reply.companies)),
            ("events", show.number(reply.events)),
            ("tokens", show.number(reply.tokens)),
            ("audit log", lines),
            ("differences", show.bad(str(len(reply.differences))) if reply.differences else show.good("none")),
        ]
    )
    if reply.differences:
        print()
        rows = [(each.company_id or "-", each.where, *_values(each)) for each in reply.differences]
        show.table(("company", "where", "kept", "recomputed"), rows, right=(2, 3))


def _values(difference: AiChatLedgerDifference) -> tuple[str, str]:
    """What is kept and what was recomputed; neither, where no number is wrong."""
    if difference.kept is None and difference.recomputed is None:
        return "", ""
    return _shown(difference.kept), _shown(difference.recomputed)


def _shown(value: int | None) -> str:
    return "missing" if value is None else show.number(value)


def prune(
    *,
    company: OneCompany = None,
    before: Annotated[
        str | None, Parameter(help="Forget what is older, UTC. Default, and latest possible: the retention.")
    ] = None,
    yes: Yes = False,
    options: Options = NO_OPTIONS,
) -> int:
    """Forget events that are older than the retention. Usage within it keeps its answers; older instants cannot be
    asked for any more, and ids of forgotten events are forgotten with them.

    The limit is rounded down to a whole step of 4.66 hours (2 ** 24 ms since 1970), and no company loses what lies in
    the window of its budget. Without --yes it asks first, and names the instant that counts where it works on the
    database itself: a server has a retention of its own.

    Rows go in pieces, between which others write. A prune that was ended on the way leaves a true ledger; the next one
    deletes what it left.

    For example:

    ```
    kvot prune
    kvot prune --before 2025-01-01 --yes
    ```
    """
    company_id, instant = company_guid(company), parse_moment("--before", before)
    with options.target() as target:
        if not yes and not _agreed(target, company_id, instant):
            return 1
        with Counter("prune") as counter:
            request = PruneAiChatLedger(company_id=company_id, before=instant)
            reply: PruneAiChatLedgerResponse = target.call(request, on_events=counter.advance)
    if options.json:
        show.document(reply)
    else:
        show.lines([("companies", show.number(reply.companies)), ("events forgotten", show.number(reply.events))])
    return 0


def _agreed(target: Target, company_id: str | None, before: Instant | None) -> bool:
    whose = "of all companies" if company_id is None else f"of company {company_id}"
    what = f"This forgets the events {whose} in {target.name} that are older than {_limit(target, before)}."
    return agreed(what, "Forget them?")


def _limit(target: Target, before: Instant | None) -> str:
    """In words, as far as it can be known here: a server has its own retention."""
    if not isinstance(target, Local):
        return "the server's retention" if before is None else f"{_kept_from(before.ms)} and the server's retention"
    limit_ms = time.time_ns() // 1_000_000 - target.settings.retention_days * MS_PER_DAY
    limit_ms = limit_ms if before is None else min(limit_ms, before.ms)
    return f"{_kept_from(limit_ms)} (at most {target.settings.retention_days} days are kept)"


def _kept_from(limit_ms: int) -> str:
    """The first instant that pruning up to a limit leaves: to the millisecond, since nothing comes back."""
    first = utc(floor_before(limit_ms) + 1)
    return f"{first.replace(tzinfo=None).isoformat(' ', 'milliseconds')} UTC"
