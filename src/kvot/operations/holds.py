"""Holds: tokens set aside for a call that the caller makes itself.

Whoever reserves here goes on to make the call, and nobody tells us when. So a hold counts as that of a call that was
sent, from the first moment: if it runs out it is charged at its tokens, and settling or releasing it later puts that
right. docs/internals/decisions/holds-are-charged.md.

The gateway's holds are out of reach here: it knows what its calls used, and whoever could end one would have its answer
for nothing. A superadmin alone sees them, and may drop what a crash has left; a call that still runs is charged all the
same.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from kvot.contract.describe import Instant
from kvot.contract.holds import (
    AiChatHoldInfo,
    AiChatHoldQuery,
    AiChatHoldQueryResponse,
    AiChatHoldResponse,
    GetAiChatHold,
    ReleaseAiChatHold,
    RenewAiChatHold,
    ReserveAiChatTokens,
    SettleAiChatHold,
)
from kvot.core.errors import FieldError, InvalidRequest
from kvot.core.faults import fault, renamed
from kvot.core.model import CallDetail, Hold, HoldChange, NewHold, Settlement, Source, Usage
from kvot.core.window import MS_PER_SECOND
from kvot.operations.company import company_for
from kvot.operations.ids import is_gateways
from kvot.operations.refusals import no_hold, raise_change_refused, raise_reserve_refused, raise_settle_refused
from kvot.operations.services import Caller, Services

TTL_S = 120
"""How long a hold lasts when nobody says: longer than most calls, short enough that a lost one is soon charged."""

LISTED = 100
"""Holds in a list when nobody says how many."""

SOURCES = {source.value: source for source in (Source.REPORTED, Source.ESTIMATED, Source.PARTIAL)}
"""What a caller may say of its figure. The others say how the ledger itself came by one."""


UNREACHABLE = frozenset({".", ".."})
"""Ids that no address can name: clients take such a segment out of a path before they send it, escaped or not."""

_UNREACHABLE = "'Hold Id' must not be '.' or '..': no address could name the hold."
_UNTOLD = (
    "'Hold Id' must not be empty in a batch, or one way: nobody might learn the hold's id, and nobody could end it. "
    "Give each hold an id, or the request an Idempotency-Key."
)
_GATEWAYS = "'Hold Id' must not be a UUID of version 8: such holds are the gateway's own."


async def reserve_tokens(services: Services, caller: Caller, request: ReserveAiChatTokens) -> AiChatHoldResponse:
    company_id = company_for(caller.principal, request.company_id)
    hold_id = caller.idempotency_key if request.hold_id is None else request.hold_id
    if hold_id is None:
        if not caller.is_told:
            raise InvalidRequest.of_fields([FieldError("HoldId", "NotEmpty", _UNTOLD)])
        hold_id = services.new_id()
    if hold_id in UNREACHABLE:
        raise InvalidRequest.of_fields([fault("HoldId", "RegularExpression", hold_id, _UNREACHABLE)])
    if is_gateways(hold_id):
        raise InvalidRequest.of_fields([fault("HoldId", "RegularExpression", hold_id, _GATEWAYS)])
    new = NewHold(
        hold_id,
        request.tokens,
        _ttl_ms(request.ttl_seconds),
        dispatched=True,
        provider=request.provider,
        model=request.model,
        user=request.user_id,
        feature=request.feature,
    )
    with _named_as_in_the_contract():
        decision = await services.ledger.reserve(company_id, new)
    raise_reserve_refused(decision, hold_id, request.tokens)
    assert decision.hold is not None
    return _to_response(decision.hold, decision.usage)


async def get_hold(services: Services, caller: Caller, request: GetAiChatHold) -> AiChatHoldResponse:
    company_id, hold_id = _named(caller, request, by_operator=caller.principal.is_superadmin)
    found = await services.ledger.hold(company_id, hold_id)
    raise_change_refused(found)
    return _of_change(found)


async def renew_hold(services: Services, caller: Caller, request: RenewAiChatHold) -> AiChatHoldResponse:
    company_id, hold_id = _named(caller, request)
    renewed = await services.ledger.renew(company_id, hold_id, _ttl_ms(request.ttl_seconds))
    raise_change_refused(renewed)
    return _of_change(renewed)


async def settle_hold(services: Services, caller: Caller, request: SettleAiChatHold) -> AiChatHoldResponse:
    company_id, hold_id = _named(caller, request)
    detail = CallDetail(
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        cached_tokens=request.cached_tokens,
        reasoning_tokens=request.reasoning_tokens,
    )
    settlement = Settlement(request.tokens_used, _source(request.source), detail)
    settled = await services.ledger.settle(company_id, hold_id, settlement)
    raise_settle_refused(settled)
    return _of_change(settled)


async def release_hold(services: Services, caller: Caller, request: ReleaseAiChatHold) -> AiChatHoldResponse:
    company_id, hold_id = _named(caller, request, by_operator=caller.principal.is_superadmin)
    released = await services.ledger.release(company_id, hold_id, actor=caller.principal.credential_id)
    raise_change_refused(released)
    return _of_change(released)


async def query_holds(services: Services, caller: Caller, request: AiChatHoldQuery) -> AiChatHoldQueryResponse:
    company_id = company_for(caller.principal, request.company_id)
    limit = LISTED if request.max_results is None else request.max_results
    found = await services.ledger.open_holds(company_id, limit=limit + 1)
    listed = sorted(found[:limit], key=lambda hold: (hold.created_at_ms, hold.hold_id))
    results, at = [_to_info(hold) for hold in listed], Instant(services.ledger.now_ms())
    return AiChatHoldQueryResponse(results=results, at=at, has_more=len(found) > limit)


def _named(
    caller: Caller,
    request: GetAiChatHold | RenewAiChatHold | SettleAiChatHold | ReleaseAiChatHold,
    *,
    by_operator: bool = False,
) -> tuple[str, str]:
    """Company and hold. Raises NotFound for a hold of the gateway, as for one that never was, but for its operator."""
    assert request.hold_id is not None
    company_id = company_for(caller.principal, request.company_id)
    if is_gateways(request.hold_id) and not by_operator:
        raise no_hold()
    return company_id, request.hold_id


def _ttl_ms(ttl_seconds: int | None) -> int:
    return (TTL_S if ttl_seconds is None else ttl_seconds) * MS_PER_SECOND


def _source(named: str | None) -> Source:
    if named is None:
        return Source.REPORTED
    source = SOURCES.get(named.lower())
    if source is None:
        raise InvalidRequest.of_fields([fault("Source", "Enum", named)])
    return source


@contextmanager
def _named_as_in_the_contract() -> Iterator[None]:
    """What the ledger calls User is UserId here, and clients find their member by that name."""
    try:
        yield
    except InvalidRequest as error:
        if not error.fields:
            raise
        faults = [renamed(each, "UserId") if each.field == "User" else each for each in error.fields]
        raise InvalidRequest.of_fields(faults) from None


def _to_info(hold: Hold) -> AiChatHoldInfo:
    return AiChatHoldInfo(
        id=hold.hold_id,
        state=hold.state.value,
        tokens=hold.amount,
        is_of_gateway=is_gateways(hold.hold_id),
        provider=hold.provider,
        model=hold.model,
        user_id=hold.user,
        feature=hold.feature,
        created_at=Instant(hold.created_at_ms),
        expires_at=Instant(hold.expires_at_ms),
    )


def _of_change(change: HoldChange) -> AiChatHoldResponse:
    assert change.hold is not None
    return _to_response(change.hold, change.usage)


def _to_response(hold: Hold, usage: Usage) -> AiChatHoldResponse:
    return AiChatHoldResponse(
        company_id=usage.company_id,
        hold_id=hold.hold_id,
        hold_state=hold.state.value,
        hold_tokens=hold.amount,
        hold_tokens_used=hold.actual,
        hold_created_at=Instant(hold.created_at_ms),
        hold_expires_at=Instant(hold.expires_at_ms),
        tokens_used=usage.tokens_used,
        tokens_held=usage.tokens_held,
        token_limit=usage.token_limit,
        tokens_remaining=usage.tokens_remaining,
        is_within_budget=usage.is_within_budget,
        window_days=usage.window_days,
    )
