"""How many tokens a call will need, from its bytes: learned per provider and model from what calls turned out to use.

A hold must be large enough, a charge must be fair. So a hold is estimated from the *low* side of the bytes that a token
has been seen to stand for, and a charge without a provider's figure from their mean. Before anything is learned a token
counts as two bytes: prose has about four, and what has fewer than two is not language. Where the guess is too large the
hold is too large for the length of one call; where it is too small the budget could be overspent.

Kept in memory, a process for itself: what is lost with it is learned again from a few calls.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil, sqrt

from kvot.gateway.dialect import Size

UNLEARNED_BYTES_PER_TOKEN = 2.0
LEAST_BYTES_PER_TOKEN = 1.0
"""Vocabularies fall back to single bytes: no text has more tokens than bytes, but for what the API adds."""

ADDED_TOKENS = 32
"""What an API wraps around a request: roles, separators, the frame of tool definitions."""

MOST_BYTES_PER_TOKEN = 8.0
"""No language has more. A provider that cut a long request down to its context would teach a ratio without bound, and
the next hold, of whatever company, would be too small."""

LEARNED_BYTES_LEAST = 64
"""From shorter requests nothing is learned of text: what the API adds outweighs it."""

MODELS_MAX = 1_024
"""Models remembered; the one not seen for longest goes. A client chooses the name, so there must be a bound."""

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


class Estimator:
    """The estimates of one gateway, by (provider, model)."""

    def __init__(self) -> None:
        self._ratios: OrderedDict[tuple[str, str], _Ratio] = OrderedDict()

    def held_input_tokens(self, provider: str, model: str, size: Size) -> int:
        """Enough for the input of a call that has not begun."""
        ratio = self._ratios.get((provider, model))
        bytes_per_token = UNLEARNED_BYTES_PER_TOKEN if ratio is None else ratio.low
        return ceil(size.text_bytes / bytes_per_token) + size.media_tokens + ADDED_TOKENS

    def input_tokens(self, provider: str, model: str, size: Size) -> int:
        """A fair guess at the input of a call whose provider gave no figure."""
        return self.output_tokens(provider, model, size.text_bytes) + size.media_tokens

    def output_tokens(self, provider: str, model: str, text_bytes: int) -> int:
        """A fair guess at the tokens of so much text; at least one for any."""
        ratio = self._ratios.get((provider, model))
        return ceil(text_bytes / (UNLEARNED_BYTES_PER_TOKEN if ratio is None else ratio.mean))

    def learn(self, provider: str, model: str, size: Size, input_tokens: int) -> None:
        """Take in what a call's input turned out to be. Calls whose input was not mainly text teach nothing."""
        text_tokens = input_tokens - size.media_tokens
        if size.text_bytes < LEARNED_BYTES_LEAST or text_tokens <= 0 or size.media_tokens > text_tokens:
            return
        bytes_per_token = min(max(LEAST_BYTES_PER_TOKEN, size.text_bytes / text_tokens), MOST_BYTES_PER_TOKEN)
        key = (provider, model)
        ratio = self._ratios.get(key)
        if ratio is None:
            # One call says little of the next: begin as far from the first as the unlearned guess is from it.
            spread = (bytes_per_token - UNLEARNED_BYTES_PER_TOKEN) / _DEVIATIONS
            ratio = self._ratios[key] = _Ratio(bytes_per_token, spread * spread)
            if len(self._ratios) > MODELS_MAX:
                self._ratios.popitem(last=False)
        else:
            ratio.learn(bytes_per_token)
            self._ratios.move_to_end(key)
