"""Providers that refuse a stream because we ask, on our own account, to be told its usage.

Many speak OpenAI's API, and some know no `stream_options`. Their refusal names it: the call is then sent again
without, within its hold, and settled by estimate unless the usage comes unasked. That they refuse is remembered, so
that the next calls go right at once.
"""

from collections import OrderedDict

from kvot.gateway.dialect import Ask, Endpoint

UNACCEPTED = frozenset({400, 422})
"""What servers answer to a member that they do not know."""

KEPT_S = 3_600.0
"""Then it is tried again: providers learn, and a call that is settled by its usage is worth a refusal in an hour."""

MODELS_MAX = 1_024
"""Remembered, by provider and model, as a router's models need not be alike. A client chooses the model's name, so
there must be a bound; whoever is forgotten costs one refusal more."""


class Untold:
    """Who refuses to be asked. `now_s` is any clock that only goes forward."""

    def __init__(self) -> None:
        self._known_at_s: OrderedDict[tuple[str, str], float] = OrderedDict()

    def ask_of(self, provider: str, endpoint: Endpoint, ask: Ask, now_s: float) -> Ask:
        """The call as it is to be sent: where the provider is known to refuse it, without what we added."""
        known_at_s = self._known_at_s.get((provider, ask.model))
        if known_at_s is None or known_at_s <= now_s - KEPT_S:
            return ask
        return without_usage(endpoint, ask) or ask

    def remember(self, provider: str, model: str, now_s: float) -> None:
        """That it refused the one and took the other."""
        self._known_at_s[provider, model] = now_s
        self._known_at_s.move_to_end((provider, model))
        if len(self._known_at_s) > MODELS_MAX:
            self._known_at_s.popitem(last=False)


def without_usage(endpoint: Endpoint, ask: Ask) -> Ask | None:
    """None where nothing was added to it."""
    return None if endpoint.usage_option is None else endpoint.usage_option.without(ask)


def is_refused(endpoint: Endpoint, status: int, refusal: bytes) -> bool:
    """Whether what a provider refused is what we may have added."""
    option = endpoint.usage_option
    return option is not None and status in UNACCEPTED and option.name in refusal
