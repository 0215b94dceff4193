"""What a reply of OpenAI's APIs, or of one that follows them, tells beside its tokens."""

from collections.abc import Iterator, Mapping
from typing import Any

from kvot.gateway.metering.metered import figure
from kvot.gateway.providers.openai.usage import INPUT_DETAILS, OUTPUT_DETAILS
from kvot.gateway.receipt import KINDS, Told, modality, numbers

_EXTRA = {
    "num_search_queries": "web_searches",  # Perplexity
    "num_sources_used": "sources",  # xAI
    "citation_tokens": "citation_tokens",  # Perplexity
    "cost": "cost",  # OpenRouter
    "seconds": "seconds",  # of sound
}
_COST = {"total_cost": "cost"}  # Perplexity, in an object named cost
_SEARCHES = {"num_requests": "web_searches"}  # Responses, in the object of the tool

_PLACES = dict.fromkeys(INPUT_DETAILS, "in") | dict.fromkeys(OUTPUT_DETAILS, "out")
_MEMBERS = {kind: f"{kind}_tokens" for kind in KINDS}
_NOT_TEXT = [member for kind, member in _MEMBERS.items() if kind != "text"]


def told_of(usage: object, service_tier: object = None, finish: object = None, tool_usage: object = None) -> Told:
    """tool_usage: what the API's own tools used; it is kept as a member of the usage, beside which it came."""
    if not isinstance(usage, dict):
        return Told(usage, service_tier, finish)
    extra = numbers(_EXTRA, usage)
    if isinstance(usage.get("cost"), dict):
        extra |= numbers(_COST, usage["cost"])
    if isinstance(tool_usage, dict):
        extra |= numbers(_SEARCHES, tool_usage.get("web_search"))
        usage = {**usage, "tool_usage": tool_usage}
    return Told(usage, service_tier, finish, modality=_modality(usage), extra=extra)


def _modality(usage: Mapping[str, Any]) -> Mapping[str, int]:
    """Looked for in full only where something is not text, as in few calls."""
    places = [(where, details) for name, where in _PLACES.items() if type(details := usage.get(name)) is dict]
    if not any(details.get(member) for _, details in places for member in _NOT_TEXT):
        return {}
    return modality(count for where, details in places for count in _counts(details, where))


def _counts(details: Mapping[str, Any], where: str) -> Iterator[tuple[str, str, int | None]]:
    cached = details.get("cached_tokens_details")
    for kind, member in _MEMBERS.items():
        yield kind, where, figure(details.get(member))
        if isinstance(cached, dict):
            yield kind, "cached", figure(cached.get(member))
