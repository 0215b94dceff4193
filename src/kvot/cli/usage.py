"""`kvot usage` and `kvot record`."""

from typing import Annotated

from cyclopts import Parameter

from kvot.cli import show
from kvot.cli.moments import parse_moment
from kvot.cli.options import NO_OPTIONS, Options, company_guid
from kvot.cli.target import Target
from kvot.contract.keeping import AiChatUsageEvent, ImportAiChatUsage, ImportAiChatUsageResponse
from kvot.contract.usage import (
    AiChatUsageReportResponse,
    AiChatUsageResponse,
    GetAiChatUsage,
    GetAiChatUsageReport,
    RecordAiChatUsage,
)
from kvot.core.errors import FieldError, InvalidRequest

COMPANY_HELP = "The company's GUID. Default: the company of --api-key."
Company = Annotated[str | None, Parameter(help=COMPANY_HELP)]


def usage(
    *,
    company: Company = None,
    at: Annotated[str | None, Parameter(help="The instant to report, UTC. Default: now.")] = None,
    window_days: Annotated[
        int | None, Parameter(help="Days in the window. Default: those of the budget at the instant.")
    ] = None,
    options: Options = NO_OPTIONS,
) -> None:
    """Show how many tokens a company has used in the window that ends now, or at any instant.

    For example:

    ```
    kvot usage --company 6f9619ff-8b86-4d01-b42d-00cf4fc964ff
    kvot usage --company 6f9619ff-8b86-4d01-b42d-00cf4fc964ff --at 2026-10-01 --window-days 7
    kvot usage --url http://127.0.0.1:8080 --json      with the key in KVOT_API_KEY
    ```
    """
    instant = parse_moment("--at", at)
    request = GetAiChatUsageReport(company_id=company_guid(company), at=instant, window_days=window_days)
    with options.target() as target:
        report: AiChatUsageReportResponse = target.call(request)
    if options.json:
        show.document(report)
    else:
        _print_report(report)


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
    kvot record --company 6f9619ff-8b86-4d01-b42d-00cf4fc964ff --tokens 120
    kvot record --company 6f9619ff-8b86-4d01-b42d-00cf4fc964ff --tokens 120 --id chat-42 --at 2026-11-20T08:30:00Z
    ```
    """
    company_id, instant = company_guid(company), parse_moment("--at", at)
    with options.target(make=True) as target:
        if instant is None:
            request = RecordAiChatUsage(company_id=company_id, tokens_used=tokens)
            reply: AiChatUsageResponse = target.call(request, idempotency_key=id)
        else:
            _import_one(target, company_id, AiChatUsageEvent(id=id, at=instant, tokens=tokens))
            reply = target.call(GetAiChatUsage(company_id=company_id))
    if options.json:
        show.document(reply)
    else:
        _print_usage(reply)


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
