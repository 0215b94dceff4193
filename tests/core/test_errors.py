"""Errors say whose fault it is and carry what their answer needs."""

import copy
import pickle
from collections import Counter

import pytest

from kvot.core import errors
from kvot.core.errors import (
    HOLDS_WAIT_MAX_MS,
    HOLDS_WAIT_MIN_MS,
    BudgetExceeded,
    FieldError,
    InvalidRequest,
    KvotError,
    Refusal,
    holds_wait_ms,
    refusal_of,
)
from kvot.core.model import Usage
from kvot.core.window import MS_PER_DAY


def test_the_first_field_error_speaks_for_the_whole():
    faults = [FieldError("Tokens", "GreaterThan", "too few"), FieldError("Id", "NotEmpty", "empty")]
    error = InvalidRequest.of_fields(faults)
    assert (error.code, error.message, error.fields) == ("GreaterThan", "too few", tuple(faults))


def test_an_error_that_is_printed_says_what_is_wrong_with_each_field():
    faults = [FieldError("Tokens", "GreaterThan", "too few"), FieldError("Id", "NotEmpty", "empty")]
    assert str(InvalidRequest("Unable to bind.", fields=faults)) == "Unable to bind: too few; empty"
    assert str(InvalidRequest.of_fields(faults[:1])) == "too few"


def test_a_code_may_be_given_and_else_is_that_of_the_class():
    assert InvalidRequest("below", code="BeyondRetention").code == "BeyondRetention"
    assert InvalidRequest("bad").code == "InvalidRequest"
    assert InvalidRequest.code == "InvalidRequest"


def test_errors_that_can_be_waited_for_say_how_long():
    assert errors.StoreUnavailable("locked").retry_after_ms == 1_000
    assert errors.TooManyRequests("slow down", retry_after_ms=5).retry_after_ms == 5


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (errors.RequestTooLarge, errors.InvalidRequest),
        (errors.TokenRejected, errors.NotAuthenticated),
        (errors.InvalidRequest, KvotError),
        (errors.StoreUnavailable, KvotError),
        (errors.ProviderFailed, KvotError),
    ],
)
def test_the_tree_of_errors(narrow: type[KvotError], wide: type[KvotError]):
    assert issubclass(narrow, wide)


@pytest.mark.parametrize(
    ("wait_ms", "wait_s"), [(None, None), (0, 1), (1, 1), (1_000, 1), (1_001, 2), (86_400_000, 86_400)]
)
def test_a_refusal_rounds_its_wait_up_so_that_it_is_never_too_short(wait_ms, wait_s):
    usage = Usage("c", 0, MS_PER_DAY, 1, 0, 1)
    error = BudgetExceeded("m", tokens=1, usage=usage, refusal=Refusal.OVER_LIMIT, fits_after_ms=wait_ms)
    assert error.retry_after_s == wait_s


USAGE = Usage("c", 0, MS_PER_DAY, 1, 0, 1)
CARRIED = [
    InvalidRequest("bad", code="Code", fields=[FieldError("A", "B", "C", {"From": "1"})]),
    errors.RequestTooLarge("large"),
    errors.NotAuthenticated(),
    errors.TokenRejected("expired"),
    errors.Forbidden("no"),
    errors.NotFound("none"),
    errors.MethodNotAllowed("verb"),
    errors.Conflict("late", code="HoldClosed"),
    errors.TooManyRequests("slow down", retry_after_ms=5),
    BudgetExceeded("m", tokens=1, usage=USAGE, refusal=Refusal.OVER_LIMIT, fits_after_ms=7),
    errors.StoreUnavailable("locked", retry_after_ms=9, in_public="public"),
    errors.KeyUnreadable("openai"),
    errors.ProviderKeyRefused("openai"),
    errors.ProviderFailed("m", provider="openai", status=500, is_final=True),
    KvotError("m"),
]


def test_the_table_of_carried_errors_has_every_class():
    classes = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, KvotError)}
    assert {type(error) for error in CARRIED} == classes


@pytest.mark.parametrize("error", CARRIED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("carry", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_an_error_comes_out_of_another_process_as_it_went_in(error, carry):
    again = carry(error)
    assert (type(again), again.args, vars(again), again.code) == (type(error), error.args, vars(error), error.code)


@pytest.mark.parametrize(("fits_ms", "wait_ms"), [(None, None), (1, 1), (2_000, 2_000), (86_400_000, 2_000)])
def test_who_is_refused_for_open_holds_alone_is_to_ask_again_soon(fits_ms, wait_ms):
    usage = Usage("c", 0, MS_PER_DAY, 1, 9, 10)
    error = BudgetExceeded("m", tokens=1, usage=usage, refusal=Refusal.OPEN_HOLDS, fits_after_ms=fits_ms, soon_ms=2_000)
    assert (error.retry_after_ms, error.fits_after_ms) == (wait_ms, fits_ms)


def test_calls_refused_together_do_not_come_back_together():
    waits_ms = [holds_wait_ms(f"hold-{number}") for number in range(1_000)]
    assert (min(waits_ms) >= HOLDS_WAIT_MIN_MS, max(waits_ms) <= HOLDS_WAIT_MAX_MS) == (True, True)
    in_each_half_second = Counter((wait_ms - HOLDS_WAIT_MIN_MS) // 500 for wait_ms in waits_ms)
    assert all(150 < in_each_half_second[half] < 250 for half in range(5))


# Used, held, in doubt, tokens, and why they do not fit in 100.
REFUSALS = [
    (60, 40, False, 40, Refusal.OPEN_HOLDS),
    (60, 40, False, 41, Refusal.OVER_LIMIT),
    (0, 100, False, 100, Refusal.OPEN_HOLDS),
    (0, 100, False, 101, Refusal.ABOVE_LIMIT),
    (100, 0, False, 1, Refusal.OVER_LIMIT),
    (10, 40, False, 50, Refusal.OVER_LIMIT),  # events ahead of the clock are in the way
    (0, 0, True, 1, Refusal.IN_DOUBT),
]


@pytest.mark.parametrize(("used", "held", "in_doubt", "tokens", "why"), REFUSALS)
def test_why_tokens_do_not_fit(used, held, in_doubt, tokens, why):
    assert refusal_of(Usage("c", 0, MS_PER_DAY, used, held, 100, in_doubt), tokens) is why
