"""The tokens of one call as its provider reports them, in parts that do not overlap, so that no sum counts one twice.

Providers mean different things by "input" and "output" (the table in docs/internals/gateway.md): each dialect turns its
own figures into these.
"""

from typing import NamedTuple


class TokenCount(NamedTuple):
    """What a call used. A part that the provider does not tell is 0: its tokens are then in the part beside it."""

    input_uncached: int = 0  # neither read from a cache nor written to one
    cache_read: int = 0
    cache_write: int = 0
    output_visible: int = 0
    output_reasoning: int = 0

    @property
    def input(self) -> int:
        return self.input_uncached + self.cache_read + self.cache_write

    @property
    def output(self) -> int:
        return self.output_visible + self.output_reasoning

    @property
    def total(self) -> int:
        return self.input + self.output


class Reported(NamedTuple):
    """A provider's figures for one call, as far as they have come.

    is_final: nothing more will come, so `tokens` are what the provider bills. Otherwise they are the part known so far
    (the input of a stream that was cut). total_mismatch: the total that the provider gives, where it is not the sum of
    its parts; the parts count.
    """

    tokens: TokenCount
    is_final: bool
    total_mismatch: int | None = None
