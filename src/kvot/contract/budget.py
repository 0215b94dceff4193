"""What a company may use, and who changed it when."""

from typing import Annotated

from kvot.contract.describe import DateTime, Guid, Int, Member, Request, Response, between
from kvot.contract.status import ResponseStatus
from kvot.contract.usage import COMPANY


class GetAiChatBudget(Request):
    company_id: Annotated[Guid | None, COMPANY] = None


class UpdateAiChatBudget(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    token_limit: Annotated[
        Int | None,
        Member(
            "The token limit for the window. Unchanged when omitted.",
            data_type="integer",
            rules=(between(0, 2_147_483_647),),
            refuse_malformed=True,
        ),
    ] = None
    window_days: Annotated[
        Int | None,
        Member(
            "Length of the rolling usage window, in days, at most the retention. Unchanged when omitted.",
            data_type="integer",
            rules=(between(1, 36_500),),
            refuse_malformed=True,
        ),
    ] = None
    reason: Annotated[str | None, Member("Why the budget changes, for its history.")] = None


class AiChatBudgetChange(Response):
    effective_at: Annotated[DateTime, Member("From when on the budget applied.")]
    token_limit: Annotated[Int, Member("The token limit from then on.")]
    window_days: Annotated[Int, Member("The length of the window from then on, in days.")]
    actor: Annotated[str, Member("Who changed it.")]
    reason: Annotated[str | None, Member("Why, where it was said.")] = None


class AiChatBudgetResponse(Response):
    company_id: Annotated[Guid, Member("The company the budget applies to.")]
    token_limit: Annotated[Int, Member("The company's token limit for the window.")]
    window_days: Annotated[Int, Member("Length of the rolling usage window, in days.")]
    is_default: Annotated[bool, Member("True while the company has no budget of its own.")]
    history: Annotated[list[AiChatBudgetChange], Member("The company's budgets, oldest first.")]
    response_status: ResponseStatus | None = None
