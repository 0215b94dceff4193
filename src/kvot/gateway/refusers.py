"""Models that refuse something which we add to requests on our own account. They are remembered, so that the next calls
go right at once."""

from collections import OrderedDict

UNACCEPTED = frozenset({400, 422})
"""What servers answer to a member that they do not know, or to a value that they do not take."""

KEPT_S = 3_600.0
"""Then it is tried again: providers learn, and what we add is worth a refusal in an hour."""

MODELS_MAX = 1_024
"""Remembered, by provider and model, as a router's models need not be alike. A client chooses the model's name, so
there must be a bound; whoever is forgotten costs one refusal more."""


class Refusers:
    """`now_s` is any clock that only goes forward."""

    def __init__(self) -> None:
        self._known_at_s: OrderedDict[tuple[str, str], float] = OrderedDict()

    def knows(self, provider: str, model: str, now_s: float) -> bool:
        known_at_s = self._known_at_s.get((provider, model))
        return known_at_s is not None and known_at_s > now_s - KEPT_S

    def remember(self, provider: str, model: str, now_s: float) -> None:
        """That it refused the one and took the other."""
        self._known_at_s[provider, model] = now_s
        self._known_at_s.move_to_end((provider, model))
        if len(self._known_at_s) > MODELS_MAX:
            self._known_at_s.popitem(last=False)
