"""What a call is charged when it is over: the provider's figures where there are any, otherwise a documented estimate.

| how it ended | charge | source |
|---|---|---|
| the provider gave its final figures | those | reported |
| whole, without figures, or with some that are not final | as below; a stream as one cut at its end | estimated |
| cut, and the provider had given some | its input; its output or an estimate of what passed, the larger | partial |
| cut, without figures | an estimate of the input and of what passed | partial |
| cut before any of it was seen, or not readable | estimates of the input, and of the output by its time | partial |
| cut later, by its client | the same by the time until something was seen, where that is more | partial |
| an error in place of the answer that has generated text in it | estimates of the input and of that | partial |
| the provider refused, or failed before anything came, or was never asked | nothing: the hold is released | |

Cut is every reply that is not whole, also one with an error in place of its rest. So the ledger knows whose answer did
not arrive: what is `partial` may be taken back once the call was repeated, by another process as well.

An estimate is never more than what was held for the call: the provider was not allowed a longer answer.
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from kvot.core.model import TOKENS_MAX, CallDetail, Settlement, Source
from kvot.gateway.tokens import Reported, TokenCount


class End(Enum):
    """How the reply to a call ended."""

    WHOLE = "whole"
    BROKEN = "broken"  # by the provider
    CUT = "cut"  # the client left, the hold could not be kept, or what the provider sent not be read


class Passed(NamedTuple):
    """What is known of a reply when it has ended. `was_begun`: a byte of it came. `was_sent`: the request went out."""

    end: End
    was_begun: bool = False
    has_failed: bool = False  # a refusal, or an error inside a reply that began well
    reported: Reported | None = None
    output_bytes: int = 0
    was_sent: bool = True


class Guess(NamedTuple):
    """What is known of a call without its provider: a fair guess at its input, and how to guess at its output."""

    input_tokens: int
    output_tokens: Callable[[int], int]  # from the bytes of generated content
    held_tokens: int  # the most that any guess comes to
    unseen_tokens: int = 0  # output that was generated before anything of it was seen


def charge(passed: Passed, guess: Guess, detail: CallDetail, cached_weight_percent: int = 100) -> Settlement | None:
    """The settlement of a call; None: nothing was used, and the hold is to be released.

    `detail` says whose call it was; its numbers are filled in here.
    """
    reported = passed.reported
    if reported is not None and reported.is_final:
        return _settlement(reported.tokens, Source.REPORTED, detail, cached_weight_percent)
    input_guess = min(max(1, guess.input_tokens), guess.held_tokens)
    output = max(guess.output_tokens(passed.output_bytes), guess.unseen_tokens)
    if reported is not None and reported.tokens.total:
        known = reported.tokens
        if not known.input:
            known = known._replace(input_uncached=input_guess)
        output = min(output, guess.held_tokens - known.input)
        known = known._replace(output_visible=max(known.output_visible, output - known.output_reasoning))
        return _settlement(known, _source(passed), detail, cached_weight_percent)
    if _used_nothing(passed):
        return None
    tokens = TokenCount(input_guess, output_visible=min(output, guess.held_tokens - input_guess))
    return _settlement(tokens, _source(passed), detail, cached_weight_percent)


def _source(passed: Passed) -> Source:
    """Of a charge without final figures."""
    return Source.ESTIMATED if passed.end is End.WHOLE and not passed.has_failed else Source.PARTIAL


def _used_nothing(passed: Passed) -> bool:
    if not passed.was_sent or (passed.has_failed and not passed.output_bytes):
        return True
    return passed.end is End.BROKEN and not passed.was_begun


def _settlement(tokens: TokenCount, source: Source, detail: CallDetail, cached_weight_percent: int) -> Settlement:
    """Tokens read from a cache may weigh less in the budget; the parts are kept as they are."""
    weighed = tokens.total - tokens.cache_read * (100 - cached_weight_percent) // 100
    parts = detail._replace(
        input_tokens=min(tokens.input, TOKENS_MAX),
        output_tokens=min(tokens.output, TOKENS_MAX),
        cached_tokens=min(tokens.cache_read, TOKENS_MAX),
        reasoning_tokens=min(tokens.output_reasoning, TOKENS_MAX),
    )
    return Settlement(min(weighed, TOKENS_MAX), source, parts)
