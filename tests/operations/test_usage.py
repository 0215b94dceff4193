import pytest

from kvot.contract.describe import Instant
from kvot.contract.usage import GetAiChatUsageBreakdown, RecordAiChatUsage
from kvot.core.errors import Forbidden, InvalidRequest
from kvot.core.model import TOKENS_MAX, CallDetail, NewEvent
from kvot.core.window import INSTANT_MAX, MS_PER_DAY, MS_PER_HOUR
from kvot.operations.usage import SHARES_MAX
from tests.operations.support import ACME, NOW_MS, OPERATOR, OTHER, USER, ask, open_services


async def test_more_tokens_than_an_event_may_have_are_a_fault_of_the_member_that_was_sent():
    with pytest.raises(InvalidRequest) as caught:
        await ask(open_services(), USER, RecordAiChatUsage(tokens_used=TOKENS_MAX + 1))
    (fault,) = caught.value.fields
    assert (fault.field, fault.code) == ("TokensUsed", "InclusiveBetween")
    assert fault.message == f"'Tokens Used' must be between 1 and {TOKENS_MAX}. You entered {TOKENS_MAX + 1}."
    assert fault.meta == {
        "PropertyName": "Tokens Used",
        "From": "1",
        "To": str(TOKENS_MAX),
        "PropertyValue": str(TOKENS_MAX + 1),
    }
    assert caught.value.message == fault.message


HOUR_MS = NOW_MS // MS_PER_HOUR * MS_PER_HOUR


async def broken_down(events, caller=USER, **asked):
    """The reply to a breakdown of these events: when, tokens, model."""
    services = open_services()
    for number, (at_ms, tokens, model) in enumerate(events):
        detail = CallDetail(model=model, input_tokens=tokens - 1, output_tokens=1)
        await services.ledger.record(ACME, NewEvent(f"e{number}", tokens, at_ms, detail=detail))
    return await ask(services, caller, GetAiChatUsageBreakdown(**{"by": "model", "window_days": 1, **asked}))


def shares(reply):
    return [(each.label, each.events, each.tokens, each.input_tokens, each.output_tokens) for each in reply.results]


async def test_a_breakdown_says_whose_the_tokens_are_the_greatest_share_first():
    events = [(NOW_MS, 5, "small"), (NOW_MS, 7, None), (NOW_MS - 1, 30, "large"), (NOW_MS - 2, 20, "large")]
    reply = await broken_down(events)
    assert shares(reply) == [("large", 2, 50, 48, 2), (None, 1, 7, 6, 1), ("small", 1, 5, 4, 1)]
    assert (reply.company_id, reply.by, reply.left_out) == (ACME, "model", 0)


async def test_its_window_is_that_of_the_usage_in_whole_hours():
    reply = await broken_down([(HOUR_MS - MS_PER_DAY - 1, 100, "before"), (HOUR_MS - MS_PER_DAY, 1, "first")])
    assert shares(reply) == [("first", 1, 1, 0, 1)]
    assert (reply.since, reply.until) == (Instant(HOUR_MS - MS_PER_DAY), Instant(HOUR_MS + MS_PER_HOUR))


async def test_a_window_that_begins_with_an_hour_has_no_part_of_the_one_before():
    reply = await broken_down([], at=Instant(HOUR_MS - 1), window_days=2)
    assert (reply.since, reply.until) == (Instant(HOUR_MS - 2 * MS_PER_DAY), Instant(HOUR_MS))


async def test_the_last_hour_that_there_is_ends_with_the_last_instant_that_can_be_written():
    reply = await broken_down([], at=Instant(INSTANT_MAX))
    assert (reply.since, reply.until) == (Instant(INSTANT_MAX + 1 - MS_PER_DAY), Instant(INSTANT_MAX))


async def test_of_more_shares_than_a_reply_has_the_smallest_are_left_out_and_counted():
    services = open_services()
    for number in range(SHARES_MAX + 2):
        event = NewEvent(f"e{number}", number + 1, NOW_MS, detail=CallDetail(feature=f"f{number}"))
        await services.ledger.record(ACME, event)
    reply = await ask(services, USER, GetAiChatUsageBreakdown(by="feature"))
    assert (len(reply.results), reply.left_out) == (SHARES_MAX, 2)
    assert reply.results[0].tokens == SHARES_MAX + 2


@pytest.mark.parametrize(("by", "code"), [(None, "NotEmpty"), ("", "NotEmpty"), ("colour", "Enum"), ("Model", "Enum")])
async def test_what_cannot_be_told_apart_is_a_fault_of_the_member(by, code):
    with pytest.raises(InvalidRequest) as caught:
        await broken_down([], by=by)
    assert [(fault.field, fault.code) for fault in caught.value.fields] == [("By", code)]


async def test_another_company_s_is_for_a_superadmin_alone():
    with pytest.raises(Forbidden):
        await broken_down([], company_id=OTHER)
    assert (await broken_down([], OPERATOR, company_id=OTHER)).results == []
