"""`kvot usage` and `kvot record`."""

from typing import Annotated

from cyclopts import Parameter

from kvot.cli import show
from kvot.cli.moments import parse_moment
from kvot.cli.options import NO_OPTIONS, Options, company_guid
from kvot.cli.repeating import once_more_if_lost, telling_id, telling_recorded
from kvot.cli.target import Target
from kvot.contract.keeping import AiChatUsageEvent, ImportAiChatUsage, ImportAiChatUsageResponse
from kvot.contract.usage import (
    AiChatUsageBreakdownResponse,
    AiChatUsageReportResponse,
    AiChatUsageResponse,
    AiChatUsageShare,
    GetAiChatUsage,
    GetAiChatUsageBreakdown,
    GetAiChatUsageReport,
    RecordAiChatUsage,
)
from kvot.core.errors import FieldError, InvalidRequest
from kvot.operations.ids import new_id
from kvot.operations.usage import check_record

COMPANY_HELP = "The company's GUID. On a server, by default that of the key."
Company = Annotated[str | None, Parameter(help=COMPANY_HELP)]


def usage(
    *,
    company: Company = None,
    at: Annotated[str | None, Parameter(help="The instant to report, UTC. Default: now.")] = None,
    window_days: Annotated[
        int | None, Parameter(help="Days in the window. Default: those of the budget at the instant.")
    ] = None,
    by: Annotated[
        str | None, Parameter(help="Show whose they are instead: by provider, model, user, feature or source.")
    ] = None,
    options: Options = NO_OPTIONS,
) -> None:
    """Show how many tokens a company has used in the window that ends now, or at any instant.

    --by counts whole hours: those that the window begins and ends in count with all their tokens.

    For example:

    ```
    kvot usage --company $COMPANY
    kvot usage --company $COMPANY --at 2026-10-01 --window-days 7
    kvot usage --company $COMPANY --by model
    KVOT_API_KEY=kvot_… kvot usage --url http://127.0.0.1:8080 --json
    ```
    """
    company_id, instant = company_guid(company), parse_moment("--at", at)
    if by is not None:
        request = GetAiChatUsageBreakdown(company_id=company_id, by=by, at=instant, window_days=window_days)
        return _break_down(request, options)
    with options.target() as target:
        report: AiChatUsageReportResponse = target.call(
            GetAiChatUsageReport(company_id=company_id, at=instant, window_days=window_days)
        )
    if options.json:
        show.document(report)
    else:
        _print_report(report)


def _break_down(request: GetAiChatUsageBreakdown, options: Options) -> None:
    with options.target() as target:
        reply: AiChatUsageBreakdownResponse = target.call(request)
    if options.json:
        show.document(reply)
    elif not reply.results:
        print(f"No tokens were used from {show.moment(reply.since)} to {show.moment(reply.until)}.")
    else:
        total = sum(share.tokens for share in reply.results)
        header = (reply.by, "tokens", "share", "events", "input", "output")
        show.table(header, [_share_row(share, total) for share in reply.results], right=range(1, len(header)))
        if reply.left_out:
            show.note(
                f"{show.number(reply.left_out)} smaller ones are left out: the shares are those of what is listed."
            )


def _share_row(share: AiChatUsageShare, total: int) -> tuple[str, ...]:
    counts = (share.events, share.input_tokens, share.output_tokens)
    label = share.label if share.label is not None else "(none said)"
    return (label, show.number(share.tokens), show.share(share.tokens, total), *map(show.number, counts))


def _print_report(report: AiChatUsageReportResponse) -> None:
    show.lines(
        [
            ("company", report.company_id),
            ("at", show.moment(report.at)),
            ("window", f"{report.window_days} days"),
            ("used", f"{show.number(report.tokens_used)}  ({show.share(report.tokens_used, report.token_limit)})"),
            ("held", show.number(report.tokens_held)),
            ("remaining", show.number(report.tokens_remaining)),
            ("limit", show.number(report.token_limit)),
            ("overspent", show.excess(report.tokens_used, report.token_limit)),
            ("within budget", show.good("yes") if report.is_within_budget else show.bad("no")),
        ]
    )


def record(
    *,
    tokens: Annotated[int, Parameter(help="Tokens of one chat turn, input plus output.")],
    company: Company = None,
    id: Annotated[str | None, Parameter(help="The event's id. It counts once, however often it is sent.")] = None,
    at: Annotated[str | None, Parameter(help="When they were used, UTC. Default: now.")] = None,
    options: Options = NO_OPTIONS,
) -> None:
    """Record tokens that a company used. They count over budget too; the answer then says so.

    With --at the event is imported, which on a server needs the role usage-writer or superadmin.

    For example:

    ```
    kvot record --company $COMPANY --tokens 120
    kvot record --company $COMPANY --tokens 120 --id chat-42 --at 2026-11-20
    ```
    """
    company_id, instant = company_guid(company), parse_moment("--at", at)
    event_id = new_id() if id is None else id
    event = AiChatUsageEvent(id=event_id, at=instant, tokens=tokens)
    with options.target(make=True) as target:
        reply = _record(target, company_id, event)
    if options.json:
        show.document(reply)
    else:
        _print_usage(reply)


def _record(target: Target, company_id: str | None, event: AiChatUsageEvent) -> AiChatUsageResponse:
    """Counts once, however often it is asked for."""
    assert event.id is not None
    assert event.tokens is not None
    reply: AiChatUsageResponse
    if event.at is not None:
        with telling_id(event.id):
            once_more_if_lost(lambda: _import_one(target, company_id, event))
        with telling_recorded():
            reply = target.call(GetAiChatUsage(company_id=company_id))
        return reply
    request = RecordAiChatUsage(company_id=company_id, tokens_used=event.tokens)
    check_record(request, event.id)
    with telling_id(event.id):
        reply = target.call(request, idempotency_key=event.id)
    return reply


def _import_one(target: Target, company_id: str | None, event: AiChatUsageEvent) -> None:
    reply: ImportAiChatUsageResponse = target.call(ImportAiChatUsage(company_id=company_id, events=[event]))
    for refusal in reply.refusals:
        raise InvalidRequest.of_fields([FieldError("", refusal.error_code, refusal.message)])


def _print_usage(reply: AiChatUsageResponse) -> None:
    show.lines(
        [
            ("company", reply.company_id),
            ("window", f"{reply.window_days} days"),
            ("used", f"{show.number(reply.tokens_used)}  ({show.share(reply.tokens_used, reply.token_limit)})"),
            ("remaining", show.number(reply.tokens_remaining)),
            ("limit", show.number(reply.token_limit)),
            ("within budget", show.good("yes") if reply.is_within_budget else show.bad("no")),
        ]
    )
