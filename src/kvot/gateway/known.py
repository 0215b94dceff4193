"""What a refusal taught of a model: kept for an hour, so that the next calls go right at once."""

from collections import OrderedDict
from typing import Generic, NamedTuple, TypeVar

UNACCEPTED = frozenset({400, 422})
"""What servers answer to a member that they do not know, or to a value that they do not take."""

KEPT_S = 3_600.0
"""Then it is tried again: providers learn, and what we add is worth a refusal in an hour."""

MODELS_MAX = 16_384
"""Remembered, of all companies. A client chooses the model's name, so there must be a bound; what is forgotten costs a
refusal more."""

T = TypeVar("T")


class Served(NamedTuple):
    """A model, as a company is served it by a provider. A router's models need not be alike, nor are one model's limits
    for two accounts; and whatever a refusal says, no company may teach another's calls."""

    provider: str
    company_id: str
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
