"""A company's budget: asked, changed. What it was before stays in its history."""

from kvot.contract.budget import AiChatBudgetChange, AiChatBudgetResponse, GetAiChatBudget, UpdateAiChatBudget
from kvot.contract.describe import Instant
from kvot.core.budget import PartialBudget
from kvot.core.errors import InvalidRequest
from kvot.core.faults import fault
from kvot.core.model import CompanyBudget
from kvot.operations.company import company_for
from kvot.operations.services import Caller, Services


async def get_budget(services: Services, caller: Caller, request: GetAiChatBudget) -> AiChatBudgetResponse:
    company_id = company_for(caller.principal, request.company_id)
    return _to_response(company_id, await services.ledger.budget(company_id))


async def update_budget(services: Services, caller: Caller, request: UpdateAiChatBudget) -> AiChatBudgetResponse:
    """Set what the request names; the rest stays as it is when the change is made, not when it was asked for."""
    company_id = company_for(caller.principal, request.company_id)
    if request.token_limit is None and request.window_days is None:
        message = "Say what to change: 'Token Limit', 'Window Days' or both."
        raise InvalidRequest.of_fields([fault("TokenLimit", "NotEmpty", None, message)])
    asked = PartialBudget(request.token_limit, request.window_days)
    actor = caller.principal.credential_id
    held = await services.ledger.set_budget(company_id, asked, actor=actor, reason=request.reason)
    return _to_response(company_id, held)


def _to_response(company_id: str, held: CompanyBudget) -> AiChatBudgetResponse:
    return AiChatBudgetResponse(
        company_id=company_id,
        token_limit=held.budget.token_limit,
        window_days=held.budget.window_days,
        is_default=not held.changes,
        history=[
            AiChatBudgetChange(
                effective_at=Instant(change.effective_at_ms),
                token_limit=change.budget.token_limit,
                window_days=change.budget.window_days,
                actor=change.actor,
                reason=change.reason,
            )
            for change in held.changes
        ],
    )
