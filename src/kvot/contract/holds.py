"""Tokens set aside for a call before it is made: reserved, renewed, settled, released."""

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
from kvot.contract.usage import COMPANY

_TTL = Member(
    "How long the hold lasts unless it is renewed, in seconds. Defaults to 120.",
    data_type="integer",
    rules=(between(1, 3_600),),
    refuse_malformed=True,
)
_HOLD_ID = Member("The hold's id.", parameter_type="path", is_required=True, rules=(NOT_EMPTY,), refuse_malformed=True)


def _part(description: str) -> Member:
    return Member(description, data_type="integer", rules=(between(0, 1_000_000_000_000),), refuse_malformed=True)


class ReserveAiChatTokens(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    hold_id: Annotated[
        str | None,
        Member(
            "An id for the hold, so that a retry makes no second one. Defaults to the Idempotency-Key, or is made.",
            refuse_malformed=True,
        ),
    ] = None
    tokens: Annotated[
        Long,
        Member(
            "The most tokens that the call may use, input plus output.",
            data_type="integer",
            is_required=True,
            rules=(greater_than(0),),
            refuse_malformed=True,
        ),
    ] = 0
    ttl_seconds: Annotated[Int | None, _TTL] = None
    model: Annotated[str | None, Member("The model that will be asked.")] = None
    provider: Annotated[str | None, Member("Who will answer the call.")] = None
    user_id: Annotated[str | None, Member("Whose call it is.")] = None
    feature: Annotated[str | None, Member("What the call is for.")] = None


class GetAiChatHold(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    hold_id: Annotated[str | None, _HOLD_ID] = None


class RenewAiChatHold(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    hold_id: Annotated[str | None, _HOLD_ID] = None
    ttl_seconds: Annotated[Int | None, _TTL] = None


class SettleAiChatHold(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    hold_id: Annotated[str | None, _HOLD_ID] = None
    tokens_used: Annotated[
        Long,
        Member(
            "What the call used, input plus output, also where it is more than was held. A call that used nothing is "
            "released.",
            data_type="integer",
            is_required=True,
            rules=(greater_than(0, hint="A call that used nothing is released: DELETE its hold."),),
            refuse_malformed=True,
        ),
    ] = 0
    input_tokens: Annotated[Long | None, _part("Of these, input.")] = None
    output_tokens: Annotated[Long | None, _part("Of these, output.")] = None
    cached_tokens: Annotated[Long | None, _part("Of the input, read from a cache.")] = None
    reasoning_tokens: Annotated[Long | None, _part("Of the output, spent on reasoning.")] = None
    source: Annotated[
        str | None,
        Member(
            "Where the figure comes from: reported (by the provider; the default), estimated, or partial (of a reply "
            "that was cut).",
            refuse_malformed=True,
        ),
    ] = None


class ReleaseAiChatHold(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    hold_id: Annotated[str | None, _HOLD_ID] = None


class AiChatHoldResponse(Response, kw_only=True):
    """A hold (its members begin with `hold_`) and the company's usage with it. `hold_tokens_used` is the call's."""

    company_id: Annotated[Guid, Member("The company that the hold and the usage belong to.")]
    hold_id: Annotated[str, Member("The hold's id: what renews, settles or releases it.")]
    hold_state: Annotated[
        str,
        Member(
            "open, settled, released, charged (it ran out unsettled, and counts at its tokens until it is settled or "
            "released after all), or expired (it ran out before its call was sent)."
        ),
    ]
    hold_tokens: Annotated[Long, Member("The tokens that were set aside.")]
    hold_tokens_used: Annotated[Long | None, Member("What the call used, once it was settled.")] = None
    hold_created_at: Annotated[DateTime, Member("When the tokens were set aside.")]
    hold_expires_at: Annotated[DateTime, Member("When the hold runs out unless it is renewed.")]
    tokens_used: Annotated[Long, Member("Tokens consumed within the current rolling window, this call's included.")]
    tokens_held: Annotated[Long, Member("Tokens held for calls that have not finished, this call's included.")]
    token_limit: Annotated[Int, Member("The company's token limit for the window.")]
    tokens_remaining: Annotated[Long, Member("Tokens remaining before the limit is reached (never negative).")]
    is_within_budget: Annotated[bool, Member("True while the company is still below its token limit.")]
    window_days: Annotated[Int, Member("Length of the rolling usage window, in days.")]
    response_status: ResponseStatus | None = None


class AiChatHoldQuery(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    max_results: Annotated[
        Int | None,
        Member(
            "How many holds to list at most. Defaults to 100.",
            data_type="integer",
            rules=(between(1, 1_000),),
            refuse_malformed=True,
        ),
    ] = None


class AiChatHoldInfo(Response, kw_only=True):
    id: Annotated[str, Member("The hold's id.")]
    state: Annotated[str, Member("open.")]
    tokens: Annotated[Long, Member("The tokens that are set aside.")]
    is_of_gateway: Annotated[bool, Member("True for a call that the gateway passes on: it ends the hold itself.")]
    provider: Annotated[str | None, Member("Who answers the call.")] = None
    model: Annotated[str | None, Member("The model that was asked.")] = None
    user_id: Annotated[str | None, Member("Whose call it is.")] = None
    feature: Annotated[str | None, Member("What the call is for.")] = None
    created_at: Annotated[DateTime, Member("When the tokens were set aside.")]
    expires_at: Annotated[DateTime, Member("When the hold runs out unless it is renewed.")]


class AiChatHoldQueryResponse(Response):
    results: Annotated[
        list[AiChatHoldInfo], Member("The open holds, the oldest first; of more than fit, those that last longest.")
    ]
    at: Annotated[DateTime, Member("The instant at which they are open, UTC.")]
    has_more: Annotated[bool, Member("True when the company has more open holds than are listed.")]
    response_status: ResponseStatus | None = None
