"""What calls and requests came to, counted in memory: plain numbers, so that one costs next to nothing.

By provider and kind of call, or by operation, which the configuration and the code name; never by company, model, user
or anything else that a client chooses, so there are never more numbers than a few hundred. Used on one event loop,
without locks.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal

from kvot.core.model import Settlement, Source

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper edges for times: from a commit on a good disk to a model that thinks."""

ERRORS = (-0.5, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper edges for the estimates' errors. What lies at or below 0 was held too little for: it is the side to watch."""


KINDS = ("input", "output", "cached", "reasoning")
"""Of tokens. Cached ones are part of the input, reasoning is part of the output."""


class Spread:
    """How many observations lay between which edges, and their sum."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value


class Tally:
    """The calls to one endpoint of one provider."""

    def __init__(self) -> None:
        self.held_calls = 0
        self.clamped_calls = 0
        self.refused_calls = 0
        self.mismatched_calls = 0
        self.held_tokens = 0
        self.settled_tokens = 0
        self.overshoot_tokens = 0
        self.corrected_tokens = 0
        self.tokens: dict[Source, list[int]] = {}  # as KINDS names them
        self.estimate_error = Spread(ERRORS)
        self.guess_error = Spread(ERRORS)
        self.upstream_s = Spread(SECONDS)
        self.overhead_s = Spread(SECONDS)

    def refuse(self) -> None:
        self.refused_calls += 1

    def mismatch(self) -> None:
        """The total that a provider gave was not the sum of its parts."""
        self.mismatched_calls += 1

    def hold(self, tokens: int, overhead_s: float, *, is_clamped: bool) -> None:
        """overhead_s: from the call's arrival until it went out, its hold's commit included."""
        if is_clamped:
            self.clamped_calls += 1
        else:
            self.held_calls += 1
        self.held_tokens += tokens
        self.overhead_s.observe(overhead_s)

    def end(
        self,
        charged: Settlement | None,
        upstream_s: float | None,
        held: int,
        held_input: int,
        guessed_input: int | None = None,
    ) -> None:
        """`charged` None: nothing was used. `held_input`: of the tokens held, those for the input. `guessed_input`:
        what the input would have been charged as without the provider's figures.

        upstream_s: from the call's going out until the head of the reply was here; None: it never was.
        """
        if upstream_s is not None:
            self.upstream_s.observe(upstream_s)
        if charged is not None:
            self._charge(charged, held, held_input, guessed_input)

    def take_back(self, tokens: int) -> None:
        """What an earlier attempt at a call was charged, and is charged no more: the call was repeated with success."""
        self.corrected_tokens += tokens

    def _charge(self, charged: Settlement, held: int, held_input: int, guessed_input: int | None) -> None:
        self.settled_tokens += charged.tokens
        if charged.tokens > held:
            self.overshoot_tokens += charged.tokens - held
        *_, used_input, output, cached, reasoning = charged.detail
        tokens = self.tokens.get(charged.source) or self.tokens.setdefault(charged.source, [0] * len(KINDS))
        tokens[0] += used_input or 0
        tokens[1] += output or 0
        tokens[2] += cached or 0
        tokens[3] += reasoning or 0
        if used_input and charged.source is Source.REPORTED:
            self.estimate_error.observe((held_input - used_input) / used_input)
            if guessed_input is not None:
                self.guess_error.observe((guessed_input - used_input) / used_input)


Outcome = Literal["done", "refused", "rejected", "failed"]
"""What became of a request to an operation: tokens to be held did not fit (refused), it was not as it must be, not
allowed, or about what is not there (rejected), or the fault was ours or the store's. Plain text: an enumeration's hash
costs more than all the rest of counting."""


class Requests:
    """Requests to operations, by the operation's name and outcome: as many numbers as operations times outcomes.
    `overshoot_tokens`: those that holds over HTTP were settled at above what was held."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Outcome], int] = {}
        self.overshoot_tokens = 0

    def count(self, operation: str, outcome: Outcome) -> None:
        key = operation, outcome
        self._counts[key] = self._counts.get(key, 0) + 1

    def settle(self, tokens: int, held: int) -> None:
        if tokens > held:
            self.overshoot_tokens += tokens - held

    def items(self) -> Iterator[tuple[tuple[str, Outcome], int]]:
        yield from self._counts.items()


CallOutcome = Literal[
    "passed", "refused", "rejected", "provider_refused", "provider_failed", "unavailable", "failed", "cut"
]
"""What became of a call to a path of a provider: its answer passed; the budget did not hold it (refused); it was not as
it must be, or not allowed (rejected); the provider answered with 4xx (provider_refused), or with 5xx, broke off or was
not there (provider_failed); the ledger could not answer (unavailable); the fault was ours (failed); or its client left,
or the server had to stop (cut)."""


class Calls:
    """Calls through the gateway, those that use no tokens too: by provider, endpoint and outcome, and those that have
    not ended by provider. The endpoint is empty where the path is none."""

    def __init__(self) -> None:
        self.under_way: dict[str, int] = {}
        self._counts: dict[tuple[str, str, CallOutcome], int] = {}

    @property
    def is_alone(self) -> bool:
        """Whether there is one call under way, and no other."""
        return sum(self.under_way.values()) == 1

    def begin(self, provider: str) -> None:
        self.under_way[provider] = self.under_way.get(provider, 0) + 1

    def end(self, provider: str, endpoint: str, outcome: CallOutcome | None) -> None:
        """`outcome` None: it was no call, but a page's question whether it may make one."""
        self.under_way[provider] -= 1
        if outcome is not None:
            key = provider, endpoint, outcome
            self._counts[key] = self._counts.get(key, 0) + 1

    def items(self) -> Iterator[tuple[tuple[str, str, CallOutcome], int]]:
        return iter(sorted(self._counts.items()))


class Tallies:
    """`calls`: what became of all; the tallies are of those that use tokens."""

    def __init__(self) -> None:
        self.calls = Calls()
        self._tallies: dict[tuple[str, str], Tally] = {}

    def of(self, provider: str, endpoint: str) -> Tally:
        tally = self._tallies.get((provider, endpoint))
        if tally is None:
            tally = self._tallies[provider, endpoint] = Tally()
        return tally

    def items(self) -> Iterator[tuple[tuple[str, str], Tally]]:
        return iter(sorted(self._tallies.items()))
