"""Proving and trimming ledgers: one company's, or those of all."""

from kvot.contract.keeping import (
    AiChatLedgerDifference,
    PruneAiChatLedger,
    PruneAiChatLedgerResponse,
    VerifyAiChatLedger,
    VerifyAiChatLedgerResponse,
)
from kvot.core.model import Difference
from kvot.core.principal import Principal
from kvot.operations.company import company_for
from kvot.operations.services import Caller, Services


async def verify_ledger(services: Services, caller: Caller, request: VerifyAiChatLedger) -> VerifyAiChatLedgerResponse:
    """A company with a difference stays in doubt, and admits nothing, until it verifies without one.

    What ran out is charged first: usage counts it already, and what is told here is to be the same total.
    """
    company_ids = await _companies(services, caller.principal, request.company_id)
    asks_for_all = request.company_id is None and caller.principal.is_superadmin
    await services.ledger.expire(None if asks_for_all else company_ids[0])
    proofs = [await services.ledger.verify(company_id) for company_id in company_ids]
    shared = await services.ledger.verify_shared(None if asks_for_all else company_ids[0])
    differences = [(proof.company_id, each) for proof in proofs for each in proof.differences]
    return VerifyAiChatLedgerResponse(
        companies=len(proofs),
        events=sum(proof.events for proof in proofs),
        tokens=sum(proof.tokens for proof in proofs),
        differences=[_told(*each) for each in (*differences, *shared.differences)],
        audit_lines=shared.audit_lines,
    )


async def prune_ledger(services: Services, caller: Caller, request: PruneAiChatLedger) -> PruneAiChatLedgerResponse:
    company_ids = await _companies(services, caller.principal, request.company_id)
    before_ms = None if request.before is None else request.before.ms
    ledger, on_events = services.ledger, services.on_events
    pruned = [await ledger.prune(company_id, before_ms, on_events=on_events) for company_id in company_ids]
    return PruneAiChatLedgerResponse(companies=len(pruned), events=sum(each.events for each in pruned))


async def _companies(services: Services, principal: Principal, named: str | None) -> list[str]:
    """The company named; of a superadmin who names none, all; of anyone else, the credential's."""
    if named is None and principal.is_superadmin:
        return await services.ledger.companies()
    return [company_for(principal, named)]


def _told(company_id: str | None, difference: Difference) -> AiChatLedgerDifference:
    where, kept, recomputed = difference
    return AiChatLedgerDifference(company_id=company_id, where=where, kept=kept, recomputed=recomputed)
