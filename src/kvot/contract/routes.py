"""ROUTES: every operation, its paths and who may call it. The one table behind HTTP, pages and generated classes."""

from kvot.contract import budget, holds, keeping, keys, provider_keys, usage
from kvot.contract.describe import Operation, Route

_COMPANY = ("ICompany",)
_SUPERADMIN = ("superadmin",)
_WRITER = ("superadmin", "usage-writer")


def _verbs(*verbs: str) -> frozenset[str]:
    return frozenset(verbs)


ROUTES: tuple[Operation, ...] = (
    Operation(
        usage.GetAiChatUsage,
        usage.AiChatUsageResponse,
        (
            Route(
                "GET",
                "/assistant/ai-chat/usage",
                "Get the AI assistant token usage and limit for a company",
                "Returns how many AI assistant tokens the company has consumed in the current rolling window, the "
                "configured limit and whether the company is still within budget. Defaults to the logged-in user's "
                "company when no CompanyId is supplied.",
            ),
        ),
        api_verbs=None,
        implements=_COMPANY,
    ),
    Operation(
        usage.RecordAiChatUsage,
        usage.AiChatUsageResponse,
        (
            Route(
                "POST",
                "/assistant/ai-chat/usage",
                "Record the AI assistant tokens that a chat turn used",
                "Counts the tokens of one chat turn, input plus output, against the company's rolling window and "
                "returns the usage after it. Tokens that were spent are counted also over budget. Defaults to the "
                "logged-in user's company when no CompanyId is supplied.",
            ),
        ),
        api_verbs=_verbs("POST", "PUT"),
        implements=_COMPANY,
        is_keyed=True,
    ),
    Operation(
        usage.GetAiChatUsageReport,
        usage.AiChatUsageReportResponse,
        (
            Route(
                "GET",
                "/assistant/ai-chat/usage/report",
                "Get the AI assistant token usage of a company at any instant",
                "Returns used and held tokens of the window that ends at the instant, against the budget of then.",
            ),
        ),
        api_verbs=_verbs("GET", "POST"),
        implements=_COMPANY,
    ),
    Operation(
        usage.GetAiChatUsageBreakdown,
        usage.AiChatUsageBreakdownResponse,
        (
            Route(
                "GET",
                "/assistant/ai-chat/usage/breakdown",
                "Get the AI assistant token usage of a company by provider, model, user, feature or source",
                "Returns whose the tokens of the window that ends at the instant are, by whole hours.",
            ),
        ),
        api_verbs=_verbs("GET", "POST"),
        implements=_COMPANY,
    ),
    Operation(
        usage.CorrectAiChatUsage,
        usage.AiChatUsageResponse,
        (
            Route(
                "POST",
                "/assistant/ai-chat/usage/corrections",
                "Correct the tokens of a recorded event",
                "Adds the difference at the time of the event. The event itself is never changed.",
            ),
        ),
        api_verbs=_verbs("POST"),
        roles=_SUPERADMIN,
        implements=_COMPANY,
        is_keyed=True,
    ),
    Operation(
        budget.GetAiChatBudget,
        budget.AiChatBudgetResponse,
        (
            Route(
                "GET",
                "/assistant/ai-chat/budget",
                "Get the AI assistant token budget of a company",
                "Returns the limit and window that apply now, and their history.",
            ),
        ),
        api_verbs=_verbs("GET", "POST"),
        implements=_COMPANY,
    ),
    Operation(
        budget.UpdateAiChatBudget,
        budget.AiChatBudgetResponse,
        (
            Route(
                "PUT",
                "/assistant/ai-chat/budget",
                "Change the AI assistant token budget of a company",
                "Takes effect at once and forgets nothing: usage stays, the history of limit and window is kept.",
            ),
        ),
        api_verbs=_verbs("PUT", "POST", "PATCH"),
        roles=_SUPERADMIN,
        implements=_COMPANY,
    ),
    Operation(
        holds.ReserveAiChatTokens,
        holds.AiChatHoldResponse,
        (
            Route(
                "POST",
                "/assistant/ai-chat/holds",
                "Set tokens aside for a call of the AI assistant, if they fit the budget",
                "Reserve before the call, settle after it: what is used and held never exceeds the limit. What does "
                "not fit is refused with 429. Retry-After says when to ask again: when the tokens fit, or within three "
                "seconds where only open holds are in the way; FitsAfterSeconds says when they certainly fit. Neither "
                "is there where waiting cannot help. A hold that nobody settles or releases runs out and is charged "
                "at its tokens, for its call may have been made.",
            ),
        ),
        api_verbs=_verbs("POST", "PUT"),
        implements=_COMPANY,
        is_keyed=True,
    ),
    Operation(
        holds.GetAiChatHold,
        holds.AiChatHoldResponse,
        (
            Route(
                "GET",
                "/assistant/ai-chat/holds/{HoldId}",
                "Get a hold",
                "Returns the hold as it stands, and the usage of its company.",
            ),
        ),
        api_verbs=_verbs("GET", "POST"),
        implements=_COMPANY,
    ),
    Operation(
        holds.RenewAiChatHold,
        holds.AiChatHoldResponse,
        (
            Route(
                "PUT",
                "/assistant/ai-chat/holds/{HoldId}",
                "Let a hold last longer",
                "It lasts for so many seconds from now, never shorter than it did. For calls that take long.",
            ),
        ),
        api_verbs=_verbs("PUT", "POST", "PATCH"),
        implements=_COMPANY,
    ),
    Operation(
        holds.SettleAiChatHold,
        holds.AiChatHoldResponse,
        (
            Route(
                "POST",
                "/assistant/ai-chat/holds/{HoldId}/settle",
                "Replace a hold by the tokens that its call used",
                "Counts once, however often it is sent, and also after the hold ran out: what was charged for it is "
                "then put right.",
            ),
        ),
        api_verbs=_verbs("POST", "PUT"),
        implements=_COMPANY,
    ),
    Operation(
        holds.ReleaseAiChatHold,
        holds.AiChatHoldResponse,
        (
            Route(
                "DELETE",
                "/assistant/ai-chat/holds/{HoldId}",
                "Drop a hold whose call used nothing",
                "Also after the hold ran out: what was charged for it is then taken back.",
            ),
        ),
        api_verbs=_verbs("DELETE", "POST"),
        implements=_COMPANY,
    ),
    Operation(
        holds.AiChatHoldQuery,
        holds.AiChatHoldQueryResponse,
        (
            Route(
                "GET",
                "/assistant/ai-chat/holds",
                "List a company's open holds",
                "What its held tokens are set aside for, the calls of the gateway included.",
            ),
        ),
        api_verbs=_verbs("GET", "POST"),
        roles=_SUPERADMIN,
        implements=_COMPANY,
    ),
    Operation(
        keeping.ImportAiChatUsage,
        keeping.ImportAiChatUsageResponse,
        (
            Route(
                "POST",
                "/assistant/ai-chat/usage/import",
                "Import AI assistant usage that happened elsewhere or earlier",
                "Takes a JSON array or JSON Lines. Every event is answered for: a bad one never stops a good one, and "
                "an id counts once however often it is sent.",
            ),
        ),
        api_verbs=_verbs("POST"),
        roles=_WRITER,
        implements=_COMPANY,
        list_member="events",
        is_keyed=True,
    ),
    Operation(
        keeping.VerifyAiChatLedger,
        keeping.VerifyAiChatLedgerResponse,
        (
            Route(
                "GET",
                "/assistant/ai-chat/usage/verify",
                "Prove the ledger: recompute every total from its events",
                "A superadmin who names no company proves the ledgers of all.",
            ),
        ),
        api_verbs=_verbs("GET", "POST"),
        implements=_COMPANY,
    ),
    Operation(
        keeping.PruneAiChatLedger,
        keeping.PruneAiChatLedgerResponse,
        (
            Route(
                "POST",
                "/assistant/ai-chat/usage/prune",
                "Forget events that are older than the retention",
                "Without a CompanyId, in the ledgers of all companies.",
            ),
        ),
        api_verbs=_verbs("POST"),
        roles=_SUPERADMIN,
        implements=_COMPANY,
    ),
    Operation(
        keys.CreateApiKey,
        keys.CreateApiKeyResponse,
        (Route("POST", "/apikeys", "Make an API key", "The key is shown once."),),
        api_verbs=_verbs("POST"),
        roles=_SUPERADMIN,
        implements=_COMPANY,
    ),
    Operation(
        keys.ApiKeyQuery,
        keys.ApiKeyQueryResponse,
        (Route("GET", "/apikeys", "List API keys", "Ids and what they may do, never the keys."),),
        api_verbs=_verbs("GET", "POST"),
        roles=_SUPERADMIN,
        implements=_COMPANY,
    ),
    Operation(
        keys.RevokeApiKey,
        keys.RevokeApiKeyResponse,
        (Route("DELETE", "/apikeys/{Id}", "Revoke an API key", "It stops working within a second, everywhere."),),
        api_verbs=_verbs("DELETE", "POST"),
        roles=_SUPERADMIN,
    ),
    Operation(
        provider_keys.UpdateAiChatProviderKey,
        provider_keys.AiChatProviderKeyResponse,
        (
            Route(
                "PUT",
                "/assistant/ai-chat/providers/{Provider}/key",
                "Set a company's own key to a provider",
                "From then on the company's calls go out under it, in place of the service's own. Kept encrypted, and "
                "never shown again.",
            ),
        ),
        api_verbs=_verbs("PUT", "POST", "PATCH"),
        roles=_SUPERADMIN,
        implements=_COMPANY,
    ),
    Operation(
        provider_keys.RemoveAiChatProviderKey,
        provider_keys.AiChatProviderKeyResponse,
        (
            Route(
                "DELETE",
                "/assistant/ai-chat/providers/{Provider}/key",
                "Remove a company's own key to a provider",
                "Its calls then go out under the service's own key, where there is one.",
            ),
        ),
        api_verbs=_verbs("DELETE", "POST"),
        roles=_SUPERADMIN,
        implements=_COMPANY,
    ),
    Operation(
        provider_keys.AiChatProviderKeyQuery,
        provider_keys.AiChatProviderKeyQueryResponse,
        (
            Route(
                "GET",
                "/assistant/ai-chat/providers",
                "List the providers, and where a company has a key of its own",
                "When it was set and by whom, never the key.",
            ),
        ),
        api_verbs=_verbs("GET", "POST"),
        roles=_SUPERADMIN,
        implements=_COMPANY,
    ),
)

OPERATIONS: dict[str, Operation] = {operation.name.lower(): operation for operation in ROUTES}
"""By lower-case name, as `/api/{Op}` finds them."""
