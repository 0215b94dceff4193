"""The one door to every operation: the right to ask, the rules of the request, then its function.

HTTP, the command line and tools all come through `perform`, so none of them can forget a check.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from kvot.contract.budget import GetAiChatBudget, UpdateAiChatBudget
from kvot.contract.describe import Operation, Request, Response
from kvot.contract.holds import (
    AiChatHoldQuery,
    GetAiChatHold,
    ReleaseAiChatHold,
    RenewAiChatHold,
    ReserveAiChatTokens,
    SettleAiChatHold,
)
from kvot.contract.keeping import ImportAiChatUsage, PruneAiChatLedger, VerifyAiChatLedger
from kvot.contract.keys import ApiKeyQuery, CreateApiKey, RevokeApiKey
from kvot.contract.provider_keys import AiChatProviderKeyQuery, RemoveAiChatProviderKey, UpdateAiChatProviderKey
from kvot.contract.usage import (
    CorrectAiChatUsage,
    GetAiChatUsage,
    GetAiChatUsageBreakdown,
    GetAiChatUsageReport,
    RecordAiChatUsage,
)
from kvot.core.errors import Forbidden, InvalidRequest
from kvot.core.principal import Principal
from kvot.operations import budget, holds, imports, keeping, keys, provider_keys, usage
from kvot.operations.services import Caller, Services
from kvot.operations.validation import violations

Handler = Callable[[Services, Caller, Any], Awaitable[Response]]

HANDLERS: dict[type[Request], Handler] = {
    GetAiChatUsage: usage.get_usage,
    RecordAiChatUsage: usage.record_usage,
    GetAiChatUsageReport: usage.report_usage,
    GetAiChatUsageBreakdown: usage.break_down_usage,
    CorrectAiChatUsage: usage.correct_usage,
    GetAiChatBudget: budget.get_budget,
    UpdateAiChatBudget: budget.update_budget,
    ReserveAiChatTokens: holds.reserve_tokens,
    GetAiChatHold: holds.get_hold,
    RenewAiChatHold: holds.renew_hold,
    SettleAiChatHold: holds.settle_hold,
    ReleaseAiChatHold: holds.release_hold,
    AiChatHoldQuery: holds.query_holds,
    ImportAiChatUsage: imports.import_usage,
    VerifyAiChatLedger: keeping.verify_ledger,
    PruneAiChatLedger: keeping.prune_ledger,
    CreateApiKey: keys.create_key,
    ApiKeyQuery: keys.query_keys,
    RevokeApiKey: keys.revoke_key,
    UpdateAiChatProviderKey: provider_keys.set_provider_key,
    RemoveAiChatProviderKey: provider_keys.remove_provider_key,
    AiChatProviderKeyQuery: provider_keys.query_provider_keys,
}


async def perform(services: Services, caller: Caller, operation: Operation, request: Request) -> Response:
    """Carry out one request. Raises KvotError only."""
    authorise(caller.principal, operation)
    if faults := violations(request):
        raise InvalidRequest.of_fields(faults)
    return await HANDLERS[operation.request](services, caller, request)


def authorise(principal: Principal, operation: Operation) -> None:
    """Refuse a principal that has none of the roles an operation asks for. Operations without roles take any."""
    if operation.roles and not principal.roles.intersection(operation.roles):
        raise Forbidden(_roles_required(operation.roles))


def _roles_required(roles: tuple[str, ...]) -> str:
    return f"{roles[0]} Role Required" if len(roles) == 1 else f"Any of {', '.join(roles)} Roles Required"
