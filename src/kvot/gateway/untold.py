"""Providers that refuse a stream because we ask, on our own account, to be told its usage.

Many speak OpenAI's API, and some know no `stream_options`. Their refusal names it: the call is then sent again
without, within its hold, and settled by estimate unless the usage comes unasked.
"""

from kvot.gateway.dialect import Ask, Endpoint
from kvot.gateway.known import UNACCEPTED, Known, Served


def ask_of(untold: Known[bool], served: Served, endpoint: Endpoint, ask: Ask, now_s: float) -> Ask:
    """The call as it is to be sent: where the provider is known to refuse it, without what we added."""
    if not untold.find(served, now_s):
        return ask
    return without_usage(endpoint, ask) or ask


def without_usage(endpoint: Endpoint, ask: Ask) -> Ask | None:
    """None where nothing was added to it."""
    return None if endpoint.usage_option is None else endpoint.usage_option.without(ask)


def refuses_usage(endpoint: Endpoint, status: int, refusal: bytes) -> bool:
    """Whether what a provider refused is what we may have added."""
    option = endpoint.usage_option
    return option is not None and status in UNACCEPTED and option.name in refusal
