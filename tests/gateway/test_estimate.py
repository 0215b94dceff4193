"""Estimates of tokens: large enough to hold, fair to charge, learned from what calls used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.dialect import Size
from kvot.gateway.estimate import ADDED_TOKENS, ORIGINS_MAX, Estimator, Origin

COMPANY, NEIGHBOUR = "c0000000-0000-4000-8000-000000000001", "c0000000-0000-4000-8000-000000000002"
MODEL, OTHER = Origin(COMPANY, "p", "m"), Origin(COMPANY, "p", "other")


def learned(bytes_per_token: float, calls: int) -> Estimator:
    estimator = Estimator(holds_bound=False)
    for _ in range(calls):
        estimator.learn(MODEL, Size(4_000), round(4_000 / bytes_per_token))
    return estimator


def test_what_is_held_cannot_be_passed_by_any_text_whatever_was_learned():
    estimator = Estimator()
    for _ in range(50):
        estimator.learn(MODEL, Size(20_000), 20)
    assert estimator.held_input_tokens(MODEL, Size(4_000)) == 4_000 + ADDED_TOKENS


def test_nobody_teaches_what_is_held_or_charged_of_a_neighbour():
    taught, neighbour = learned(8.0, 50), MODEL._replace(company_id=NEIGHBOUR)
    assert taught.held_input_tokens(neighbour, Size(4_000)) == 2_000 + ADDED_TOKENS
    assert taught.input_tokens(neighbour, Size(4_000)) == 2_000


def test_before_anything_is_learned_a_token_is_two_bytes():
    assert Estimator(holds_bound=False).held_input_tokens(MODEL, Size(4_000)) == 2_000 + ADDED_TOKENS


def test_media_count_by_their_constants_whatever_was_learned():
    size = Size(0, media_tokens=765)
    assert Estimator(holds_bound=False).held_input_tokens(MODEL, size) == 765 + ADDED_TOKENS
    assert learned(4.0, 50).input_tokens(MODEL, size) == 765


def test_what_is_gone_on_from_is_held_and_charged_as_it_is_known_and_teaches_nothing_of_text():
    size = Size(4_000, stored_tokens=500)
    assert Estimator().held_input_tokens(MODEL, size) == 4_500 + ADDED_TOKENS
    assert Estimator().input_tokens(MODEL, size) == 2_500
    estimator = Estimator()
    estimator.learn(MODEL, size, 1_500)
    assert estimator.input_tokens(MODEL, size) == 1_500


def test_what_a_call_may_take_beyond_its_size_is_held_and_never_charged():
    size = Size(4_000, spare_tokens=9_000)
    estimator = Estimator()
    assert estimator.held_input_tokens(MODEL, size) == 13_000 + ADDED_TOKENS
    assert estimator.input_tokens(MODEL, size) == 2_000
    estimator.learn(MODEL, size, 1_000)
    assert estimator.input_tokens(MODEL, size) == 2_000, "nobody knows how much of it was text"


def test_one_call_teaches_the_charge_and_leaves_the_hold_careful():
    estimator = learned(4.0, 1)
    assert estimator.input_tokens(MODEL, Size(4_000)) == 1_000
    assert estimator.held_input_tokens(MODEL, Size(4_000)) == 2_000 + ADDED_TOKENS


@pytest.mark.parametrize(
    ("taught", "charged"), [(1.5, 1.5), (4.0, 4.0), (4.5, 4.5), (5.0, 4.5), (8.0, 4.5), (100.0, 4.5)]
)
def test_no_text_makes_the_charge_of_the_next_cheaper_than_prose(taught: float, charged: float):
    estimator = learned(taught, 50)
    assert estimator.output_tokens(MODEL, 9_000) == pytest.approx(9_000 / charged, rel=0.01)
    assert estimator.input_tokens(MODEL, Size(9_000)) == pytest.approx(9_000 / charged, rel=0.01)


@pytest.mark.parametrize("bytes_per_token", [1.5, 2.0, 3.0, 4.5])
def test_many_like_calls_bring_the_hold_within_a_tenth_and_never_below_what_they_use(bytes_per_token):
    used = round(4_000 / bytes_per_token)
    held = learned(bytes_per_token, 100).held_input_tokens(MODEL, Size(4_000)) - ADDED_TOKENS
    assert used <= held <= used * 1.1


def test_what_is_learned_of_one_model_says_nothing_of_another():
    assert learned(4.0, 50).held_input_tokens(OTHER, Size(4_000)) == 2_000 + ADDED_TOKENS


def test_short_requests_and_those_that_are_mainly_media_teach_nothing():
    estimator = Estimator(holds_bound=False)
    estimator.learn(MODEL, Size(10), 9)
    estimator.learn(MODEL, Size(4_000, media_tokens=9_000), 9_100)
    estimator.learn(MODEL, Size(4_000, media_tokens=100), 50)
    assert estimator.input_tokens(MODEL, Size(4_000)) == 2_000


def test_models_are_remembered_up_to_a_bound():
    estimator = Estimator(holds_bound=False)
    for number in range(ORIGINS_MAX + 1):
        estimator.learn(Origin(COMPANY, "p", f"m{number}"), Size(4_000), 1_000)
    assert estimator.input_tokens(Origin(COMPANY, "p", "m0"), Size(4_000)) == 2_000
    assert estimator.input_tokens(Origin(COMPANY, "p", f"m{ORIGINS_MAX}"), Size(4_000)) == 1_000


def test_before_anything_is_learned_a_second_is_a_hundred_tokens():
    assert Estimator().output_tokens_in(MODEL, 2.5) == 250
    assert Estimator().output_tokens_in(MODEL, 0.0) == 0


# Tokens and seconds of an answer, and what ten seconds then come to.
SPEEDS = [
    (600, 10.0, 600),
    (64, 1.0, 640),
    (63, 1.0, 1_000),
    (600, 6_000.0, 100),
    (10**9, 1.0, 10_000),
    (64, 0.0, 10_000),
]


@pytest.mark.parametrize(("tokens", "seconds", "in_ten_seconds"), SPEEDS)
def test_speed_is_learned_within_bounds_and_not_from_short_answers(tokens, seconds, in_ten_seconds):
    estimator = Estimator()
    estimator.learn_speed(MODEL, tokens, seconds)
    assert estimator.output_tokens_in(MODEL, 10.0) == in_ten_seconds
    assert estimator.output_tokens_in(OTHER, 10.0) == 1_000
    assert estimator.output_tokens_in(MODEL._replace(company_id=NEIGHBOUR), 10.0) == 1_000


@pytest.mark.parametrize(
    ("text_bytes", "seconds", "in_ten_seconds"),
    [(1_200, 10.0, 600), (1_200, 600.0, 100), (1_200, 0.0, 1_000), (126, 10.0, 1_000)],
)
def test_a_stream_without_figures_teaches_a_speed_by_its_text_and_none_above_the_first_guess(
    text_bytes, seconds, in_ten_seconds
):
    estimator = Estimator()
    estimator.learn_speed_seen(MODEL, text_bytes, seconds)
    assert estimator.output_tokens_in(MODEL, 10.0) == in_ten_seconds


def test_one_slow_answer_among_many_changes_little():
    estimator = Estimator()
    for seconds in [10.0] * 20 + [100.0]:
        estimator.learn_speed(MODEL, 1_000, seconds)
    assert 90 <= estimator.output_tokens_in(MODEL, 1.0) <= 92


def test_speeds_are_remembered_up_to_a_bound():
    estimator = Estimator()
    for number in range(ORIGINS_MAX + 1):
        estimator.learn_speed(Origin(COMPANY, "p", f"m{number}"), 600, 10.0)
    assert estimator.output_tokens_in(Origin(COMPANY, "p", "m0"), 1.0) == 100
    assert estimator.output_tokens_in(Origin(COMPANY, "p", f"m{ORIGINS_MAX}"), 1.0) == 60


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**12)), max_size=20), st.integers(0, 10**7))
def test_nothing_that_a_provider_reports_makes_an_estimate_absurd(calls, text_bytes):
    estimator = Estimator(holds_bound=False)
    for size, tokens in calls:
        estimator.learn(MODEL, Size(size), tokens)
    assert 0 <= estimator.held_input_tokens(MODEL, Size(text_bytes)) <= text_bytes + ADDED_TOKENS
    assert 0 <= estimator.output_tokens(MODEL, text_bytes) <= text_bytes


def test_a_provider_that_read_a_part_of_its_request_does_not_make_the_next_hold_too_small():
    estimator = Estimator(holds_bound=False)
    for _ in range(50):
        estimator.learn(MODEL, Size(1_000_000), 2_048)
    assert estimator.held_input_tokens(MODEL, Size(1_000_000)) >= 125_000
