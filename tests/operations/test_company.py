"""Whose ledger a call is about."""

import pytest

from kvot.contract.keeping import AiChatUsageEvent, ImportAiChatUsage
from kvot.contract.usage import GetAiChatUsage, RecordAiChatUsage
from kvot.core.errors import Forbidden, InvalidRequest
from tests.operations.support import ACME, OPERATOR, USER, ask, open_services

EMPTY = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    "request_",
    [
        GetAiChatUsage(company_id=EMPTY),
        RecordAiChatUsage(company_id=EMPTY, tokens_used=5),
        ImportAiChatUsage(company_id=EMPTY, events=[AiChatUsageEvent(id="a", tokens=1)]),
    ],
)
async def test_the_guid_of_the_samples_is_no_company_for_those_who_may_name_any(request_):
    services = open_services()
    with pytest.raises(InvalidRequest) as refused:
        await ask(services, OPERATOR, request_)
    assert [(each.field, each.code) for each in refused.value.fields] == [("CompanyId", "NotEmpty")]
    assert await services.ledger.companies() == []


async def test_to_everyone_else_it_is_another_company():
    with pytest.raises(Forbidden):
        await ask(open_services(), USER, RecordAiChatUsage(company_id=EMPTY, tokens_used=5))


async def test_a_row_of_no_company_stops_no_other():
    events = [AiChatUsageEvent(id="a", tokens=1, company_id=each) for each in (ACME, EMPTY, ACME)]
    reply = await ask(open_services(), OPERATOR, ImportAiChatUsage(events=events))
    assert [(each.position, each.error_code) for each in reply.refusals] == [(1, "NotEmpty")]
