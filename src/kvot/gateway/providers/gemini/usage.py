"""Gemini's usageMetadata as parts that do not overlap.

What the figures include stands in docs/internals/gateway.md, "Counting" and "Gemini". A figure that is absent is 0.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kvot.gateway.metering.metered import figure
from kvot.gateway.receipt import KINDS, Told, modality
from kvot.gateway.tokens import Reported, TokenCount

_FIGURES = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
)


def read_usage(usage: object, *, is_final: bool) -> Reported | None:
    """None where there is none, or where one of its figures cannot be true."""
    if not isinstance(usage, dict):
        return None
    told = [usage.get(name) for name in _FIGURES]
    figures = [0 if each is None else figure(each) for each in told]
    if None in figures or not any(figures):
        return None
    prompt, tool, cached, candidates, thoughts, total = (each or 0 for each in figures)
    read = cached if cached <= prompt else 0  # a part that exceeds its whole cannot be; the whole still counts
    tokens = TokenCount(prompt + tool - read, read, 0, candidates, thoughts)
    is_mismatch = told[-1] is not None and total != tokens.total
    return Reported(tokens, is_final, total_mismatch=total if is_mismatch else None)


_DETAILS = {
    "promptTokensDetails": "in",
    "toolUsePromptTokensDetails": "tool_in",
    "candidatesTokensDetails": "out",
    "cacheTokensDetails": "cached",
}


def told_of(usage: object, finish: object) -> Told:
    """What a reply tells beside its tokens."""
    if not isinstance(usage, dict):
        return Told(usage, finish=finish)
    tier = usage.get("serviceTier") or usage.get("trafficType")  # the latter is Vertex's
    return Told(usage, tier, finish, modality=modality(_counts(usage)))


def _counts(usage: Mapping[str, Any]) -> Iterator[tuple[str, str, int | None]]:
    for name, where in _DETAILS.items():
        details = usage.get(name)
        for each in details if isinstance(details, list) else ():
            kind = each.get("modality") if isinstance(each, dict) else None
            if isinstance(kind, str) and kind.lower() in KINDS:
                yield kind.lower(), where, figure(each.get("tokenCount"))
