from dataclasses import replace

import pytest

from kvot.contract.describe import Instant
from kvot.contract.keeping import PruneAiChatLedger, VerifyAiChatLedger
from kvot.core.errors import Forbidden
from kvot.core.ledger import Ledger
from kvot.core.model import NewEvent, NewHold
from kvot.core.window import MS_PER_DAY
from tests.operations.support import ACME, NOW_MS, OPERATOR, OTHER, USER, ask, open_services


async def open_used_services():
    services = open_services()
    for company_id, tokens in ((ACME, 7), (OTHER, 5)):
        await services.ledger.record(company_id, NewEvent("e1", tokens, NOW_MS - 399 * MS_PER_DAY))
        await services.ledger.record(company_id, NewEvent("e2", tokens))
    return services


async def test_an_operator_proves_all_ledgers_and_a_user_that_of_the_company():
    services = await open_used_services()
    everything = await ask(services, OPERATOR, VerifyAiChatLedger())
    own = await ask(services, USER, VerifyAiChatLedger())
    assert (everything.companies, everything.events, everything.tokens, everything.differences) == (2, 4, 24, [])
    assert (own.companies, own.events, own.tokens) == (1, 2, 14)


async def test_what_has_run_out_is_told_as_usage_has_it():
    services = open_services()
    await services.ledger.reserve(ACME, NewHold("h", 30, 1_000, dispatched=True))
    later = at_instant(services, NOW_MS + 2_000)
    assert (await later.ledger.usage(ACME)).tokens_used == 30
    assert (await ask(later, USER, VerifyAiChatLedger())).tokens == 30


async def test_the_proof_of_one_ledger_leaves_the_holds_of_others_alone():
    services = open_services()
    for company_id in (ACME, OTHER):
        await services.ledger.reserve(company_id, NewHold("h", 30, 1_000))
    later = at_instant(services, NOW_MS + 2_000)
    await ask(later, USER, VerifyAiChatLedger())
    assert await later.ledger.expire() == 1
    await ask(later, OPERATOR, VerifyAiChatLedger())
    assert await later.ledger.expire() == 0


async def test_a_user_may_not_prove_a_foreign_ledger():
    with pytest.raises(Forbidden):
        await ask(open_services(), USER, VerifyAiChatLedger(company_id=OTHER))


async def test_pruning_forgets_what_is_beyond_retention_in_all_ledgers_and_keeps_the_usage():
    services = await open_used_services()
    later = at_instant(services, NOW_MS + 10 * MS_PER_DAY)
    reply = await ask(later, OPERATOR, PruneAiChatLedger())
    assert (reply.companies, reply.events) == (2, 2)
    assert (await later.ledger.usage(ACME)).tokens_used == 7


async def test_pruning_may_be_asked_to_stop_earlier_but_never_reaches_past_the_retention():
    services = await open_used_services()
    early = PruneAiChatLedger(company_id=ACME, before=Instant(NOW_MS - 400 * MS_PER_DAY))
    assert (await ask(services, OPERATOR, early)).events == 0
    eager = PruneAiChatLedger(company_id=ACME, before=Instant(NOW_MS))
    assert (await ask(services, OPERATOR, eager)).events == 0


async def test_only_a_superadmin_prunes():
    with pytest.raises(Forbidden):
        await ask(open_services(), USER, PruneAiChatLedger())


def at_instant(services, now_ms):
    return replace(services, ledger=Ledger(services.keys, lambda: now_ms))
