"""How a hold stands, by the clock of the client, whatever comes of its requests."""

import pytest

from kvot.client.holds import HoldLife
from kvot.contract.describe import Instant
from kvot.contract.holds import AiChatHoldResponse
from kvot.core.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    KvotError,
    NotAuthenticated,
    NotFound,
    StoreUnavailable,
    TooManyRequests,
)

CLOSED = Conflict("late", code="HoldClosed")


def told(state: str = "open") -> AiChatHoldResponse:
    return AiChatHoldResponse(
        company_id="c",
        hold_id="h",
        hold_state=state,
        hold_tokens=5,
        hold_created_at=Instant(0),
        hold_expires_at=Instant(0),
        tokens_used=0,
        tokens_held=5,
        token_limit=9,
        tokens_remaining=4,
        is_within_budget=True,
        window_days=1,
    )


def entered(**options) -> HoldLife:
    """A hold of thirty seconds, asked for at 100 and held from then on."""
    life = HoldLife(5, 60.0, ttl_s=30, **options)
    life.enter(100.0).timeout_s(100.0)
    life.reserved(told(), 101.0)
    return life


def test_a_hold_is_open_from_its_reserving_for_as_long_as_it_lasts():
    life = HoldLife(5, 60.0, ttl_s=30)
    assert not life.is_open(100.0)
    life = entered()
    assert [life.is_open(at_s) for at_s in (101.0, 129.9, 130.0)] == [True, True, False]
    life.renewed(told(), 120.0)
    assert [life.is_open(at_s) for at_s in (149.9, 150.0)] == [True, False]


def test_a_hold_that_may_be_an_earlier_one_is_renewed_at_once():
    assert (entered().renew_at_s, entered(hold_id="given").renew_at_s) == (110.0, 101.0)


def test_a_hold_that_was_ended_is_open_no_more_whatever_a_renewal_says_after_it():
    life = entered()
    life.ended(told("settled"))
    life.renewed(told(), 110.0)
    assert (life.is_open(111.0), life.response) == (False, told("settled"))


# What a renewal is refused with, whether to ask no more, and whether the hold is open.
NOT_RENEWED = [
    (CLOSED, True, False),
    (NotFound("m"), True, False),
    (NotAuthenticated(), True, True),
    (Forbidden("m"), True, True),
    (Conflict("m"), False, True),
    (StoreUnavailable("m"), False, True),
    (TooManyRequests("m", retry_after_ms=5), False, True),
    (InvalidRequest("m"), False, True),
    (KvotError("m"), False, True),
]


@pytest.mark.parametrize(("error", "stops", "is_open"), NOT_RENEWED)
def test_renewing_stops_only_where_it_is_of_no_use(error, stops, is_open):
    life = entered()
    assert (life.not_renewed(error), life.is_open(110.0)) == (stops, is_open)


def test_one_renewal_may_hang_and_the_next_still_comes_in_time():
    life = entered()
    assert life.renew_at_s == 110.0
    life.renew(110.0)
    assert 110.0 + life.renew_within_s < life.renew_at_s == 120.0
    assert life.renew_at_s + life.renew_within_s < 130.0


def test_a_reply_that_comes_when_the_hold_may_have_run_out_begins_no_block():
    life = HoldLife(5, 60.0, ttl_s=30)
    asking = life.enter(100.0)
    asking.timeout_s(100.0)
    with pytest.raises(StoreUnavailable, match="ran out"):
        life.reserved(told(), 130.0)
    assert life.must_let_go(asking)


@pytest.mark.parametrize(("hold_id", "kind"), [(None, StoreUnavailable), ("given", Conflict)])
def test_only_a_hold_of_the_caller_s_can_have_been_closed_by_another(hold_id, kind):
    assert type(HoldLife(5, 60.0, hold_id=hold_id).not_reserved(CLOSED)) is kind
    assert type(HoldLife(5, 60.0, hold_id=hold_id).not_reserved(Conflict("other"))) is Conflict


def test_no_question_of_a_hold_waits_longer_than_there_is_use_in_it():
    assert HoldLife(5, 60.0, ttl_s=3).enter(0.0).timeout_s(0.0) == 1.5
    assert HoldLife(5, 60.0).enter(0.0).timeout_s(0.0) == 7.5
    assert HoldLife(5, 2.0).end(0.0).timeout_s(0.0) == 1.0
    assert HoldLife(5, 60.0).let_go(0.0).timeout_s(0.0) == 1.0
