"""What a call is charged, by how it ended and by what its provider told."""

import pytest

from kvot.core.model import CallDetail, Settlement, Source
from kvot.gateway.charge import End, Guess, Passed, charge
from kvot.gateway.tokens import Reported, TokenCount

GUESS = Guess(input_tokens=100, output_tokens=lambda text_bytes: text_bytes // 4, held_tokens=1_000)
FINAL = Reported(TokenCount(90, 10, 0, 30, 5), is_final=True)
INPUT_ONLY = Reported(TokenCount(90, 0, 0, 1), is_final=False)
OUTPUT_ONLY = Reported(TokenCount(0, 0, 0, 7), is_final=False)
LONG_REASONING = Reported(TokenCount(90, 0, 0, 1, 50), is_final=False)


@pytest.mark.parametrize(
    ("passed", "tokens", "source"),
    [
        (Passed(End.WHOLE, True, False, FINAL, 4), 135, Source.REPORTED),
        (Passed(End.CUT, True, False, FINAL, 4_000), 135, Source.REPORTED),
        (Passed(End.BROKEN, True, True, FINAL, 0), 135, Source.REPORTED),
        (Passed(End.CUT, True, False, INPUT_ONLY, 400), 190, Source.PARTIAL),
        (Passed(End.CUT, True, False, INPUT_ONLY, 0), 91, Source.PARTIAL),
        (Passed(End.CUT, True, False, OUTPUT_ONLY, 0), 107, Source.PARTIAL),
        (Passed(End.CUT, True, False, LONG_REASONING, 240), 150, Source.PARTIAL),
        (Passed(End.BROKEN, True, True, INPUT_ONLY, 0), 91, Source.PARTIAL),
        (Passed(End.WHOLE, True, False, None, 400), 200, Source.ESTIMATED),
        (Passed(End.WHOLE, True, False, INPUT_ONLY, 400), 190, Source.ESTIMATED),
        (Passed(End.WHOLE, True, True, None, 400), 200, Source.PARTIAL),
        (Passed(End.CUT, True, False, None, 400), 200, Source.PARTIAL),
        (Passed(End.BROKEN, True, False, None, 0), 100, Source.PARTIAL),
        (Passed(End.CUT), 100, Source.PARTIAL),
    ],
)
def test_the_providers_figures_count_and_where_they_lack_an_estimate_of_what_passed(passed, tokens, source):
    settlement = charge(passed, GUESS, CallDetail())
    assert settlement is not None
    assert (settlement.tokens, settlement.source) == (tokens, source)


@pytest.mark.parametrize(
    "passed",
    [
        Passed(End.BROKEN),  # dropped before its first byte
        Passed(End.CUT, was_sent=False),  # the client left before its request went out
        Passed(End.CUT, has_failed=True),  # the client left while the provider's refusal came
        Passed(End.WHOLE, True, has_failed=True),  # an error event and nothing else
        Passed(End.CUT, True, has_failed=True),
    ],
)
def test_a_call_that_generated_nothing_is_released(passed):
    assert charge(passed, GUESS, CallDetail()) is None


@pytest.mark.parametrize(
    ("passed", "tokens"),
    [
        (Passed(End.BROKEN, True, output_bytes=10**9), 1_000),
        (Passed(End.CUT, True, False, INPUT_ONLY, 10**9), 1_000),
        (Passed(End.CUT, True, False, OUTPUT_ONLY, 10**9), 1_000),
        (Passed(End.WHOLE, True, False, Reported(TokenCount(5_000, 0, 0, 1), is_final=False), 10**9), 5_001),
        (Passed(End.WHOLE, True, False, Reported(TokenCount(5_000, 0, 0, 1), is_final=True), 10**9), 5_001),
    ],
)
def test_no_estimate_is_more_than_what_was_held_and_no_figure_less_than_it_is(passed, tokens):
    settlement = charge(passed, GUESS, CallDetail())
    assert settlement is not None
    assert settlement.tokens == tokens


@pytest.mark.parametrize(
    ("passed", "unseen", "tokens"),
    [
        (Passed(End.CUT), 300, 400),
        (Passed(End.CUT, True, output_bytes=400), 300, 400),
        (Passed(End.CUT, True, output_bytes=4_000), 300, 1_000),
        (Passed(End.CUT, True, False, INPUT_ONLY), 300, 390),
        (Passed(End.CUT), 10**9, 1_000),
        (Passed(End.CUT, True, False, FINAL), 300, 135),
        (Passed(End.CUT, was_sent=False), 0, 0),
    ],
)
def test_what_was_generated_unseen_is_charged_by_its_time_and_never_above_the_hold(passed, unseen, tokens):
    settlement = charge(passed, GUESS._replace(unseen_tokens=unseen), CallDetail())
    assert (settlement.tokens if settlement else 0) == tokens


def test_what_was_delivered_is_never_charged_zero():
    settlement = charge(Passed(End.CUT, True), Guess(0, lambda _: 0, 100), CallDetail())
    assert settlement is not None
    assert settlement.tokens == 1


@pytest.mark.parametrize(("percent", "tokens"), [(100, 135), (10, 126), (0, 125)])
def test_cached_tokens_weigh_what_the_setting_says_and_are_kept_whole(percent, tokens):
    passed = Passed(End.WHOLE, True, False, FINAL)
    assert charge(passed, GUESS, CallDetail(user="ada"), percent) == Settlement(
        tokens, Source.REPORTED, CallDetail(None, None, "ada", None, 100, 35, 10, 5)
    )
