from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract.describe import Instant, Unreadable
from kvot.contract.keeping import AiChatUsageEvent, ImportAiChatUsage
from kvot.core.errors import Forbidden, InvalidRequest
from kvot.core.model import TOKENS_MAX, Source
from kvot.operations import imports
from kvot.operations.company import company_for
from kvot.operations.imports import Rows
from tests.operations.support import ACME, NOW_MS, OPERATOR, OTHER, USER, WRITER, ask, open_services


async def send(*events, services=None, caller=WRITER, **request):
    services = services or open_services()
    return await ask(services, caller, ImportAiChatUsage(events=list(events), **request))


async def test_events_are_counted_once_in_the_company_of_the_credential():
    services = open_services()
    event = AiChatUsageEvent(id="e1", tokens=7, at=Instant(NOW_MS - 5))
    first, again = await send(event, services=services), await send(event, services=services)
    assert (first.accepted, first.duplicate, first.refused) == (1, 0, 0)
    assert (again.accepted, again.duplicate, again.refused) == (0, 1, 0)
    assert (await services.ledger.usage(ACME)).tokens_used == 7


async def test_tokens_are_input_and_output_together_where_not_said():
    services = open_services()
    await send(
        AiChatUsageEvent(id="both", input_tokens=3, output_tokens=4),
        AiChatUsageEvent(id="one", output_tokens=10),
        AiChatUsageEvent(id="said", tokens=100, input_tokens=1, output_tokens=1),
        services=services,
    )
    assert (await services.ledger.usage(ACME)).tokens_used == 117


# An event, and the code with which it is refused.
BAD = [
    ({"id": "a"}, "InclusiveBetween"),
    ({"id": "a", "tokens": 0}, "InclusiveBetween"),
    ({"id": "a", "tokens": -1}, "InclusiveBetween"),
    ({"id": "a", "tokens": 2**63}, "InclusiveBetween"),
    ({"id": "a", "tokens": 1, "input_tokens": -1}, "InclusiveBetween"),
    ({"id": "a", "tokens": 1, "at": Instant(0)}, "InclusiveBetween"),
    ({"id": "a", "tokens": 1, "at": Instant(NOW_MS + 300_001)}, "InFuture"),
    ({"id": "a", "tokens": 1, "at": Instant(NOW_MS - 401 * 86_400_000)}, "BeyondRetention"),
    ({"id": "a b", "tokens": 1}, "RegularExpression"),
    ({"id": "ä", "tokens": 1}, "RegularExpression"),
    ({"id": "x" * 256, "tokens": 1}, "Length"),
    ({"id": "a", "tokens": 1, "model": "m" * 256}, "Length"),
    ({"id": "a", "tokens": 1, "company_id": OTHER}, "Forbidden"),
    ({"id": "good", "tokens": 8}, "Conflict"),
    ({"id": "a", "tokens": Unreadable("many")}, "SerializationException"),
    ({"id": "a", "tokens": 1, "at": Unreadable("yesterday")}, "SerializationException"),
    ({"id": "a", "tokens": 1, "company_id": Unreadable("acme")}, "SerializationException"),
]


@pytest.mark.parametrize(("fields", "code"), BAD)
async def test_a_bad_event_is_refused_by_position_and_never_stops_a_good_one(fields, code):
    services = open_services()
    good, last = AiChatUsageEvent(id="good", tokens=7), AiChatUsageEvent(id="last", tokens=3)
    reply = await send(good, AiChatUsageEvent(**fields), last, services=services)
    assert (reply.accepted, reply.refused) == (2, 1)
    assert [(each.position, each.id, each.error_code) for each in reply.refusals] == [(1, fields["id"], code)]
    assert (await services.ledger.usage(ACME)).tokens_used == 10
    assert await services.ledger.companies() == [ACME]


async def test_an_operator_imports_for_companies_by_row_or_for_one_that_the_request_names():
    services = open_services()
    here, there = AiChatUsageEvent(id="a", tokens=1), AiChatUsageEvent(id="b", tokens=2, company_id=OTHER)
    await send(here, there, services=services, caller=OPERATOR, company_id=ACME)
    assert [(await services.ledger.usage(each)).tokens_used for each in (ACME, OTHER)] == [1, 2]


async def test_an_operator_who_names_no_company_is_refused_in_the_rows_that_name_none():
    named = AiChatUsageEvent(id="b", tokens=2, company_id=OTHER)
    reply = await send(AiChatUsageEvent(id="a", tokens=1), named, caller=OPERATOR)
    assert (reply.accepted, [each.error_code for each in reply.refusals]) == (1, ["Forbidden"])


async def test_a_writer_may_not_import_for_another_company():
    with pytest.raises(Forbidden):
        await send(AiChatUsageEvent(id="a", tokens=1), company_id=OTHER)


async def test_importing_needs_a_role():
    with pytest.raises(Forbidden):
        await send(AiChatUsageEvent(id="a", tokens=1), caller=USER)


async def test_a_list_is_needed_but_may_be_empty():
    with pytest.raises(InvalidRequest):
        await ask(open_services(), WRITER, ImportAiChatUsage())
    assert (await send()).accepted == 0


async def test_events_without_ids_are_told_apart_by_the_request_key_so_that_a_retry_counts_once():
    services = open_services()
    keyed = WRITER._replace(idempotency_key="batch-1")
    events = [AiChatUsageEvent(tokens=1), AiChatUsageEvent(tokens=1)]
    await send(*events, services=services, caller=keyed)
    assert (await send(*events, services=services, caller=keyed)).duplicate == 2
    assert (await send(*events, services=services)).accepted == 2


# -- whole columns and single rows agree -------------------------------------------------------------------------------

numbers = st.sampled_from([None, -1, 0, 1, 2, TOKENS_MAX, TOKENS_MAX + 1, 2**63])
texts = st.sampled_from([None, "m", "x" * 255, "x" * 256])
rows_of_values = st.fixed_dictionaries(
    {
        "event_ids": st.sampled_from(["a", "b", "", "a b", "ä", "x" * 256, "\x7f"]),
        "tokens": numbers,
        "at_ms": st.sampled_from([None, 0, 1, NOW_MS]),
        "company_ids": st.sampled_from([None, ACME, OTHER]),
        "model": texts,
        "input_tokens": numbers,
        "output_tokens": numbers,
    }
)


@given(st.lists(rows_of_values, min_size=1, max_size=4), st.sets(st.sampled_from(["tokens", "at_ms", "company_ids"])))
def test_whole_columns_give_the_events_that_single_rows_give_or_leave_it_to_them(values, missing):
    columns: dict[str, Any] = {name: [row[name] for row in values] for name in values[0]}
    rows = Rows(range(len(values)), **(columns | dict.fromkeys(missing)))

    def company_of(named):
        return company_for(WRITER.principal, named)

    whole, single = imports._whole_columns(rows, company_of), imports._row_by_row(rows, company_of)
    if whole is not None:
        assert (list(whole.rows()), single.refusals) == (list(single.events.rows()), [])
    elif not single.refusals:
        optional = [rows.tokens, rows.at_ms, *rows.counts]
        assert any(column is not None and None in column for column in optional) or rows.tokens is None


def test_whole_columns_pass_where_nothing_is_wrong():
    rows = Rows(range(2), ["a", "b"], at_ms=[1, 2], model=["m", None], input_tokens=[1, 2], output_tokens=[3, 4])
    events = imports._whole_columns(rows, lambda named: ACME)
    assert events is not None
    assert [(company, event.tokens) for company, event in events.rows()] == [(ACME, 4), (ACME, 6)]
    assert events.source is Source.IMPORTED
    assert events.model == ["m", None]
