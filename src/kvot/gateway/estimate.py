"""How many tokens a call will need, from its bytes: a bound for what is held, a fair guess for what is charged.

No text has more tokens than bytes, so one byte a token is held: whatever an assistant sends, and however many calls it
makes at once, the budget cannot be passed. A hold lasts as long as its call; that it is three or four times too large
matters only to the last calls before a limit. Whoever would rather admit those can have holds from what was learned
(`KVOT_INPUT_HOLD=learned`): the low side of the bytes that a token stood for in calls of the same company to the same
model, two bytes before anything is learned. Text of another kind then passes the budget by what it needs beyond that.
Where the vocabulary of a model is known, its text can be counted instead (`KVOT_INPUT_HOLD=exact`, counting.py), which
is as safe as the bytes and far less.

A charge without a provider's figure takes the mean of what was learned, and no more bytes for a token than plain prose
has. Of an answer that nobody saw, as its client left while the provider was generating it, the time that it took is all
that is known: it is charged at the tokens that calls of the same company to the same model brought in a second.

All of it is kept in memory, by company, so that nobody's calls decide what is held or charged of another's; what is
lost is learned again from a few calls.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil, sqrt
from typing import NamedTuple, TypeVar

from kvot.gateway.dialect import Size

UNLEARNED_BYTES_PER_TOKEN = 2.0
LEAST_BYTES_PER_TOKEN = 1.0
"""Vocabularies fall back to single bytes: no text has more tokens than bytes, but for what the API adds."""

ADDED_TOKENS = 32
"""What an API wraps around a request: roles, separators, the frame of tool definitions."""

MOST_BYTES_PER_TOKEN = 8.0
"""No language has more. A provider that cut a long request down to its context would teach a ratio without bound, and
the next hold, of whatever company, would be too small."""

MOST_CHARGED_BYTES_PER_TOKEN = 4.5
"""English prose, the cheapest text that answers are made of. Blanks and repetitions have more: who teaches
those would have what comes after at half its price."""

LEARNED_BYTES_LEAST = 64
"""From shorter requests nothing is learned of text: what the API adds outweighs it."""

UNLEARNED_TOKENS_PER_SECOND = 100.0
"""A judgement, as nothing was measured: models that are served to many answer with some 30 to 200 tokens a second."""

LEAST_TOKENS_PER_SECOND = 10.0
"""A client that reads slowly teaches a low speed, if only of its own company's calls: none at which leaving is free."""

MOST_TOKENS_PER_SECOND = 1_000.0
"""What answers faster was in a cache, or is no model; the fastest hardware reaches twice that for small ones."""

LEARNED_OUTPUT_LEAST = 64
"""From shorter answers nothing is learned of speed: the time until their first token outweighs it."""

ORIGINS_MAX = 16_384
"""Remembered; the one not seen for longest goes. A client chooses the model's name, so there must be a bound."""

_WEIGHT = 0.1
"""Of the newest call: after about twenty calls the first ones count little."""

_DEVIATIONS = 3.0


@dataclass(slots=True)
class _Ratio:
    """Bytes a token, as a moving mean and variance."""

    mean: float
    variance: float

    def learn(self, bytes_per_token: float) -> None:
        difference = bytes_per_token - self.mean
        step = _WEIGHT * difference
        self.mean += step
        self.variance = (1 - _WEIGHT) * (self.variance + difference * step)

    @property
    def low(self) -> float:
        return max(LEAST_BYTES_PER_TOKEN, self.mean - _DEVIATIONS * sqrt(self.variance))


class Origin(NamedTuple):
    """Whose calls, to which model: what is learned of some says nothing of others."""

    company_id: str
    provider: str
    model: str


Learned = TypeVar("Learned")


class Estimator:
    """The estimates of one gateway. `holds_bound`: hold what is certain, not what was learned."""

    def __init__(self, *, holds_bound: bool = True) -> None:
        self._holds_bound = holds_bound
        self._ratios: OrderedDict[Origin, _Ratio] = OrderedDict()
        self._speeds: OrderedDict[Origin, float] = OrderedDict()

    def held_input_tokens(self, origin: Origin, size: Size, text_tokens: int | None = None) -> int:
        """Enough for the input of a call that has not begun. `text_tokens`: where its text was counted."""
        if text_tokens is None:
            bytes_per_token = LEAST_BYTES_PER_TOKEN if self._holds_bound else self._low(origin)
            text_tokens = ceil((size.text_bytes + size.frame_bytes) / bytes_per_token)
        else:
            text_tokens += size.frame_bytes
        return text_tokens + size.media_tokens + size.stored_tokens + size.spare_tokens + ADDED_TOKENS

    def input_tokens(self, origin: Origin, size: Size) -> int:
        """A fair guess at the input of a call whose provider gave no figure."""
        return self.output_tokens(origin, size.text_bytes) + size.media_tokens + size.stored_tokens

    def output_tokens(self, origin: Origin, text_bytes: int) -> int:
        """A fair guess at the tokens of so much text; at least one for any."""
        ratio = self._ratios.get(origin)
        mean = UNLEARNED_BYTES_PER_TOKEN if ratio is None else ratio.mean
        return ceil(text_bytes / min(mean, MOST_CHARGED_BYTES_PER_TOKEN))

    def learn(self, origin: Origin, size: Size, input_tokens: int) -> None:
        """Take in what a call's input turned out to be. Calls whose input was not mainly text, or need not have been,
        teach nothing."""
        other_tokens = size.media_tokens + size.stored_tokens
        text_tokens = input_tokens - other_tokens
        is_text = text_tokens > 0 and max(other_tokens, size.spare_tokens) <= text_tokens
        if size.text_bytes < LEARNED_BYTES_LEAST or not is_text:
            return
        bytes_per_token = min(max(LEAST_BYTES_PER_TOKEN, size.text_bytes / text_tokens), MOST_BYTES_PER_TOKEN)
        ratio = self._ratios.get(origin)
        if ratio is None:
            # One call says little of the next: begin as far from the first as the unlearned guess is from it.
            spread = (bytes_per_token - UNLEARNED_BYTES_PER_TOKEN) / _DEVIATIONS
            ratio = _Ratio(bytes_per_token, spread * spread)
        else:
            ratio.learn(bytes_per_token)
        _keep(self._ratios, origin, ratio)

    def output_tokens_in(self, origin: Origin, seconds: float) -> int:
        """A fair guess at the output that a provider generates in so much time, from the request's going out."""
        return ceil(seconds * self._speeds.get(origin, UNLEARNED_TOKENS_PER_SECOND))

    def learn_speed(self, origin: Origin, output_tokens: int, seconds: float) -> None:
        """Take in how long an answer took, from the request's going out to its end."""
        if output_tokens < LEARNED_OUTPUT_LEAST:
            return
        speed = output_tokens / max(seconds, output_tokens / MOST_TOKENS_PER_SECOND)
        speed = max(LEAST_TOKENS_PER_SECOND, speed)
        known = self._speeds.get(origin, speed)
        _keep(self._speeds, origin, known + _WEIGHT * (speed - known))

    def learn_speed_seen(self, origin: Origin, text_bytes: int, seconds: float) -> None:
        """The same of a stream without figures: how long its text took, from the first of it. That teaches no more than
        what is taken before anything is learned, as what was kept back on its way comes at once."""
        output_tokens = self.output_tokens(origin, text_bytes)
        self.learn_speed(origin, output_tokens, max(seconds, output_tokens / UNLEARNED_TOKENS_PER_SECOND))

    def _low(self, origin: Origin) -> float:
        ratio = self._ratios.get(origin)
        return UNLEARNED_BYTES_PER_TOKEN if ratio is None else ratio.low


def _keep(learned: OrderedDict[Origin, Learned], origin: Origin, value: Learned) -> None:
    learned[origin] = value
    learned.move_to_end(origin)
    if len(learned) > ORIGINS_MAX:
        learned.popitem(last=False)
