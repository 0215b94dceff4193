"""Providers that refuse a stream because we ask, on our own account, to be told its usage.

Many speak OpenAI's API, and some know no `stream_options`. Their refusal is of it, in their own words (own_words.py):
the call is then sent again without, within its hold, and settled by estimate unless the usage comes unasked. No client
may bring that about, as what a model thinks unseen would then cost it next to nothing.
"""

from kvot.gateway.dialect import Ask, Endpoint
from kvot.gateway.known import Known, Served
from kvot.gateway.own_words import can_be_quoted, said_by


def ask_of(untold: Known[bool], served: Served, endpoint: Endpoint, ask: Ask, now_s: float) -> Ask:
    """The call as it is to be sent: where the provider is known to refuse it, without what we added."""
    if not untold.find(served, now_s):
        return ask
    return without_usage(endpoint, ask) or ask


def without_usage(endpoint: Endpoint, ask: Ask) -> Ask | None:
    """None where nothing was added to it."""
    return None if endpoint.usage_option is None else endpoint.usage_option.without(ask)


def refuses_usage(endpoint: Endpoint, refusal: bytes, request: bytes) -> bool:
    """Whether what a provider refused is what we added to a client's request."""
    option = endpoint.usage_option
    if option is None or option.name.encode() not in refusal:
        return False
    said, names = said_by(refusal), (option.name,)
    return said.is_about(names) or (said.mentions(names) and not can_be_quoted(request, names))
