"""The two operations that this product exists for, as published, and what more can be said of usage."""

from typing import Annotated

from kvot.contract.describe import (
    NOT_EMPTY,
    DateTime,
    Guid,
    Int,
    Long,
    Member,
    Request,
    Response,
    between,
    greater_than,
)
from kvot.contract.status import ResponseStatus

COMPANY = Member(
    "The company id. Defaults to the logged-in user's company when omitted.",
    data_type="string",
    parameter_type="query",
    refuse_malformed=True,
    says_whose=True,
)
_COMPANY_REPLIED = Member("The company the usage applies to.")
_LIMIT = Member("The company's token limit for the window.")
_WITHIN = Member("True while the company is still below its token limit.")
_WINDOW = Member("Length of the rolling usage window, in days.")


class GetAiChatUsage(Request):
    company_id: Annotated[Guid | None, COMPANY] = None


class RecordAiChatUsage(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    tokens_used: Annotated[
        Long,
        Member(
            "Tokens of one chat turn, input plus output, to count against the company's rolling window.",
            data_type="integer",
            is_required=True,
            rules=(greater_than(0),),
        ),
    ] = 0


class AiChatUsageResponse(Response):
    company_id: Annotated[Guid, _COMPANY_REPLIED]
    tokens_used: Annotated[Long, Member("Tokens consumed within the current rolling window.")]
    token_limit: Annotated[Int, _LIMIT]
    tokens_remaining: Annotated[Long, Member("Tokens remaining before the limit is reached (never negative).")]
    is_within_budget: Annotated[bool, _WITHIN]
    window_days: Annotated[Int, _WINDOW]
    response_status: ResponseStatus | None = None


class GetAiChatUsageReport(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    at: Annotated[DateTime | None, Member("The instant to report. Defaults to now.", parameter_type="query")] = None
    window_days: Annotated[
        Int | None,
        Member(
            "Length of the window, in days. Defaults to that of the budget at the instant.",
            parameter_type="query",
            rules=(between(1, 36_500),),
        ),
    ] = None


class AiChatUsageReportResponse(Response):
    company_id: Annotated[Guid, _COMPANY_REPLIED]
    at: Annotated[DateTime, Member("The instant that the usage is reported for.")]
    tokens_used: Annotated[Long, Member("Tokens consumed within the rolling window that ends at the instant.")]
    tokens_held: Annotated[Long, Member("Tokens held at the instant for calls that had not finished.")]
    token_limit: Annotated[Int, Member("The company's token limit at the instant.")]
    tokens_remaining: Annotated[Long, Member("Tokens remaining before the limit is reached (never negative).")]
    is_within_budget: Annotated[bool, _WITHIN]
    window_days: Annotated[Int, _WINDOW]
    response_status: ResponseStatus | None = None


class GetAiChatUsageBreakdown(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    by: Annotated[
        str | None,
        Member(
            "What to tell apart: provider, model, user, feature, or source (how the ledger came by a figure).",
            parameter_type="query",
            is_required=True,
            rules=(NOT_EMPTY,),
        ),
    ] = None
    at: Annotated[DateTime | None, Member("The instant to report. Defaults to now.", parameter_type="query")] = None
    window_days: Annotated[
        Int | None,
        Member(
            "Length of the window, in days. Defaults to that of the budget at the instant.",
            parameter_type="query",
            rules=(between(1, 36_500),),
        ),
    ] = None


class AiChatUsageShare(Response, kw_only=True):
    label: Annotated[
        str | None, Member("Of which provider, model, user, feature or source; absent: of those that say none.")
    ] = None
    events: Annotated[Long, Member("How many events.")]
    tokens: Annotated[Long, Member("Their tokens.")]
    input_tokens: Annotated[Long, Member("Of these, input, as far as it is known.")]
    output_tokens: Annotated[Long, Member("Of these, output, as far as it is known.")]


class AiChatUsageBreakdownResponse(Response):
    company_id: Annotated[Guid, _COMPANY_REPLIED]
    by: Annotated[str, Member("What is told apart.")]
    since: Annotated[DateTime, Member("The begin of the hour that the window begins in: hours are counted whole.")]
    until: Annotated[DateTime, Member("The end of the hour that the window ends in; it is no part of it.")]
    results: Annotated[list[AiChatUsageShare], Member("The shares, the greatest first; at most 1,000.")]
    left_out: Annotated[Int, Member("How many smaller shares there are beside them.")]
    response_status: ResponseStatus | None = None


class CorrectAiChatUsage(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    event_id: Annotated[
        str | None, Member("The event to correct, by its id.", is_required=True, rules=(NOT_EMPTY,))
    ] = None
    tokens: Annotated[
        Long | None,
        Member(
            "The difference to add, negative to take away. It counts at the time of the event.",
            is_required=True,
            rules=(NOT_EMPTY,),
            refuse_malformed=True,
        ),
    ] = None
    reason: Annotated[str | None, Member("Why, for the history.", is_required=True, rules=(NOT_EMPTY,))] = None
