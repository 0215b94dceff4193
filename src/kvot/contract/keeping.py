"""Filling, proving and trimming a ledger."""

from typing import Annotated

from kvot.contract.describe import DateTime, Guid, Int, Long, Member, Request, Response
from kvot.contract.status import ResponseStatus
from kvot.contract.usage import COMPANY


class AiChatUsageEvent(Request):
    """One event to import. `tokens` may be left out where input and output are given: it is then their sum."""

    id: Annotated[
        str | None, Member("The event's id. It counts once, however often it is sent.", refuse_malformed=True)
    ] = None
    at: Annotated[DateTime | None, Member("When the tokens were used. Defaults to now.")] = None
    tokens: Annotated[Long | None, Member("Tokens used. Defaults to input plus output.")] = None
    company_id: Annotated[Guid | None, Member("The company. Defaults to that of the request.")] = None
    input_tokens: Annotated[Long | None, Member("Of these, input.")] = None
    output_tokens: Annotated[Long | None, Member("Of these, output.")] = None
    cached_tokens: Annotated[Long | None, Member("Of the input, read from a cache.")] = None
    reasoning_tokens: Annotated[Long | None, Member("Of the output, spent on reasoning.")] = None
    provider: Annotated[str | None, Member("Who answered the call.")] = None
    model: Annotated[str | None, Member("The model that answered.")] = None
    user_id: Annotated[str | None, Member("Whose call it was.")] = None
    feature: Annotated[str | None, Member("What the call was for.")] = None


class ImportAiChatUsage(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    events: Annotated[
        list[AiChatUsageEvent] | None,
        Member("The events. A body that is a JSON array or JSON Lines is taken as this list.", is_required=True),
    ] = None


class AiChatUsageRefusal(Response, kw_only=True):
    position: Annotated[Int, Member("Zero-based position of the event in the list.")]
    id: Annotated[str | None, Member("The event's id, where it has one.")] = None
    error_code: Annotated[str, Member("What is wrong, for programs.")]
    message: Annotated[str, Member("What is wrong, for people.")]


class ImportAiChatUsageResponse(Response):
    accepted: Annotated[Int, Member("Events that were counted now.")]
    duplicate: Annotated[Int, Member("Events that had been counted before.")]
    refused: Annotated[Int, Member("Events that were not counted.")]
    refusals: Annotated[list[AiChatUsageRefusal], Member("Which, and why.")]
    response_status: ResponseStatus | None = None


class VerifyAiChatLedger(Request):
    company_id: Annotated[Guid | None, COMPANY] = None


class AiChatLedgerDifference(Response, kw_only=True):
    company_id: Annotated[Guid | None, Member("The company whose ledger it is; absent where it is none's.")] = None
    where: Annotated[str, Member("The number that is wrong.")]
    kept: Annotated[Long | None, Member("What the ledger keeps.")] = None
    recomputed: Annotated[Long | None, Member("What its events say.")] = None


class VerifyAiChatLedgerResponse(Response):
    companies: Annotated[Int, Member("Ledgers that were recomputed from their events.")]
    events: Annotated[Long, Member("Events in them.")]
    tokens: Annotated[Long, Member("Tokens in those events.")]
    differences: Annotated[list[AiChatLedgerDifference], Member("Empty when every number is right.")]
    audit_lines: Annotated[Long | None, Member("Lines of the audit log that were proved, with those of all.")] = None
    response_status: ResponseStatus | None = None


class PruneAiChatLedger(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    before: Annotated[
        DateTime | None,
        Member("Forget what is older. Defaults to, and is never later than, the retention.", refuse_malformed=True),
    ] = None


class PruneAiChatLedgerResponse(Response):
    companies: Annotated[Int, Member("Ledgers that were pruned.")]
    events: Annotated[Long, Member("Events that were forgotten.")]
    response_status: ResponseStatus | None = None
