"""What a refusal taught of a model: kept for an hour, so that the next calls go right at once."""

from collections import OrderedDict
from typing import Generic, NamedTuple, TypeVar

UNACCEPTED = frozenset({400, 422})
"""What servers answer to a member that they do not know, or to a value that they do not take."""

KEPT_S = 3_600.0
"""Then it is tried again: providers learn, and what we add is worth a refusal in an hour."""

MODELS_MAX = 1_024
"""Remembered. A client chooses the model's name, so there must be a bound; what is forgotten costs one refusal more."""

T = TypeVar("T")


class Served(NamedTuple):
    """A model, as an account at a provider is served it. `account`: the company whose own it is; empty: ours. A
    router's models need not be alike, nor are one model's limits for two accounts."""

    provider: str
    account: str
    model: str


class Known(Generic[T]):
    """`now_s` is any clock that only goes forward."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Served, tuple[T, float]] = OrderedDict()

    def find(self, served: Served, now_s: float) -> T | None:
        value, at_s = self._kept.get(served, (None, 0.0))
        return value if at_s > now_s - KEPT_S else None

    def remember(self, served: Served, value: T, now_s: float) -> None:
        self._kept[served] = value, now_s
        self._kept.move_to_end(served)
        if len(self._kept) > MODELS_MAX:
            self._kept.popitem(last=False)
