"""How much a company has used: asked, recorded, reported for any instant, corrected."""

from collections.abc import Iterator
from contextlib import contextmanager

from kvot.contract.describe import Instant
from kvot.contract.usage import (
    AiChatUsageBreakdownResponse,
    AiChatUsageReportResponse,
    AiChatUsageResponse,
    AiChatUsageShare,
    CorrectAiChatUsage,
    GetAiChatUsage,
    GetAiChatUsageBreakdown,
    GetAiChatUsageReport,
    RecordAiChatUsage,
)
from kvot.core.errors import InvalidRequest
from kvot.core.faults import renamed
from kvot.core.ledger import check_event
from kvot.core.model import Correction, NewEvent, Usage
from kvot.core.window import INSTANT_MAX, MS_PER_DAY, MS_PER_HOUR
from kvot.operations.company import company_for
from kvot.operations.refusals import raise_refused
from kvot.operations.services import Caller, Services
from kvot.operations.validation import violations


async def get_usage(services: Services, caller: Caller, request: GetAiChatUsage) -> AiChatUsageResponse:
    company_id = company_for(caller.principal, request.company_id)
    return to_response(await services.ledger.usage(company_id))


async def record_usage(services: Services, caller: Caller, request: RecordAiChatUsage) -> AiChatUsageResponse:
    company_id = company_for(caller.principal, request.company_id)
    event = NewEvent(caller.idempotency_key or services.new_id(), request.tokens_used)
    with _named_as_in_the_contract():
        recorded = await services.ledger.record(company_id, event)
        raise_refused(recorded.status, event.event_id)
    return to_response(recorded.usage)


def check_record(request: RecordAiChatUsage, event_id: str) -> None:
    """Raise InvalidRequest for what no ledger takes, in the words of one. No header could carry such an id, and of
    such a number a server says less."""
    if faults := violations(request):
        raise InvalidRequest.of_fields(faults)
    with _named_as_in_the_contract():
        check_event(NewEvent(event_id, request.tokens_used))


@contextmanager
def _named_as_in_the_contract() -> Iterator[None]:
    """What the ledger calls Tokens is TokensUsed where a turn is recorded, and clients find their member by that."""
    try:
        yield
    except InvalidRequest as error:
        if not error.fields:
            raise
        faults = [renamed(each, "TokensUsed") if each.field == "Tokens" else each for each in error.fields]
        raise InvalidRequest.of_fields(faults) from None


async def report_usage(services: Services, caller: Caller, request: GetAiChatUsageReport) -> AiChatUsageReportResponse:
    company_id = company_for(caller.principal, request.company_id)
    usage = await _usage_at(services, company_id, request)
    return AiChatUsageReportResponse(
        company_id=usage.company_id,
        at=Instant(usage.at_ms),
        tokens_used=usage.tokens_used,
        tokens_held=usage.tokens_held,
        token_limit=usage.token_limit,
        tokens_remaining=usage.tokens_remaining,
        is_within_budget=usage.is_within_budget,
        window_days=usage.window_days,
    )


SHARES_MAX = 1_000
"""Of one breakdown: labels are what callers say, so there may be as many as there are events."""


async def break_down_usage(
    services: Services, caller: Caller, request: GetAiChatUsageBreakdown
) -> AiChatUsageBreakdownResponse:
    company_id, by = company_for(caller.principal, request.company_id), request.by or ""
    usage = await _usage_at(services, company_id, request)
    first_hour = (usage.at_ms - usage.window_ms + 1) // MS_PER_HOUR  # the window's begin is no part of it
    end_hour = usage.at_ms // MS_PER_HOUR + 1
    shares = await services.ledger.breakdown(company_id, by, first_hour=first_hour, end_hour=end_hour)
    return AiChatUsageBreakdownResponse(
        company_id=usage.company_id,
        by=by,
        since=Instant(first_hour * MS_PER_HOUR),
        until=Instant(min(end_hour * MS_PER_HOUR, INSTANT_MAX)),
        results=[AiChatUsageShare(**share._asdict()) for share in shares[:SHARES_MAX]],
        left_out=max(0, len(shares) - SHARES_MAX),
    )


async def _usage_at(
    services: Services, company_id: str, request: GetAiChatUsageReport | GetAiChatUsageBreakdown
) -> Usage:
    return await services.ledger.usage(
        company_id,
        at_ms=None if request.at is None else request.at.ms,
        window_ms=None if request.window_days is None else request.window_days * MS_PER_DAY,
    )


async def correct_usage(services: Services, caller: Caller, request: CorrectAiChatUsage) -> AiChatUsageResponse:
    company_id = company_for(caller.principal, request.company_id)
    event_id = caller.idempotency_key or services.new_id()
    assert request.event_id is not None
    assert request.tokens is not None
    correction = Correction(event_id, request.event_id, request.tokens, caller.principal.credential_id, request.reason)
    recorded = await services.ledger.correct(company_id, correction)
    raise_refused(recorded.status, event_id)
    return to_response(recorded.usage)


def to_response(usage: Usage) -> AiChatUsageResponse:
    return AiChatUsageResponse(
        company_id=usage.company_id,
        tokens_used=usage.tokens_used,
        token_limit=usage.token_limit,
        tokens_remaining=usage.tokens_remaining,
        is_within_budget=usage.is_within_budget,
        window_days=usage.window_days,
    )
