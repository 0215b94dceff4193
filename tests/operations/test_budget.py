import pytest

from kvot.contract.budget import GetAiChatBudget, UpdateAiChatBudget
from kvot.core.errors import Forbidden, InvalidRequest
from tests.operations.support import ACME, NOW_MS, OPERATOR, OTHER, USER, ask, open_services


async def test_a_company_without_a_budget_of_its_own_has_the_default():
    reply = await ask(open_services(), USER, GetAiChatBudget())
    assert (reply.company_id, reply.token_limit, reply.window_days) == (ACME, 1_000_000, 30)
    assert reply.is_default
    assert reply.history == []


async def test_a_change_keeps_what_it_does_not_name_and_says_who_and_why():
    services = open_services()
    await ask(services, OPERATOR, UpdateAiChatBudget(company_id=ACME, token_limit=5, reason="trial"))
    reply = await ask(services, OPERATOR, UpdateAiChatBudget(company_id=ACME, window_days=7))
    assert (reply.token_limit, reply.window_days, reply.is_default) == (5, 7, False)
    assert [(each.token_limit, each.window_days, each.actor, each.reason) for each in reply.history] == [
        (5, 30, "cli", "trial"),
        (5, 7, "cli", None),
    ]
    assert reply.history[0].effective_at.ms == NOW_MS


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (UpdateAiChatBudget(company_id=ACME), "TokenLimit"),
        (UpdateAiChatBudget(company_id=ACME, token_limit=-1), "TokenLimit"),
        (UpdateAiChatBudget(company_id=ACME, token_limit=2**31), "TokenLimit"),
        (UpdateAiChatBudget(company_id=ACME, window_days=0), "WindowDays"),
        (UpdateAiChatBudget(company_id=ACME, window_days=401), "WindowDays"),
        (UpdateAiChatBudget(company_id=ACME, token_limit=1, reason="x" * 256), "Reason"),
    ],
)
async def test_a_bad_change_names_its_field_and_changes_nothing(request_, field):
    services = open_services()
    with pytest.raises(InvalidRequest) as caught:
        await ask(services, OPERATOR, request_)
    (fault,) = caught.value.fields
    assert fault.meta is not None
    assert (fault.field, fault.meta["PropertyName"].replace(" ", "")) == (field, field)
    assert (await services.ledger.budget(ACME)).changes == ()


async def test_only_a_superadmin_changes_a_budget_and_nobody_else_reads_a_foreign_one():
    with pytest.raises(Forbidden):
        await ask(open_services(), USER, UpdateAiChatBudget(token_limit=1))
    with pytest.raises(Forbidden):
        await ask(open_services(), USER, GetAiChatBudget(company_id=OTHER))
