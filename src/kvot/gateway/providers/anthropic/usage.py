"""A usage object of Anthropic's as parts that do not overlap.

What the figures include stands in docs/internals/gateway.md, "Counting" and "Anthropic". Sources: the type definitions
of the official client; the documentation of compaction and of the advisor tool.
"""

from collections.abc import Mapping
from typing import Any

from kvot.gateway.metering.metered import figure
from kvot.gateway.receipt import MEMBERS_MAX, TOO_LARGE, Told, kept, numbers
from kvot.gateway.tokens import TokenCount

_INPUT, _OUTPUT = "input_tokens", "output_tokens"
_WRITE, _READ = "cache_creation_input_tokens", "cache_read_input_tokens"
_FIGURES = (_INPUT, _OUTPUT, _WRITE, _READ)

_BILLED_BESIDE = ("compaction", "advisor_message")
"""Iterations whose tokens are not in the figures of the whole; those of the other kinds are."""


class Usage:
    """What a reply has told so far. A figure is of the reply until now: a later one takes its place."""

    __slots__ = ("_beside", "_figures", "_raw", "_thinking")

    def __init__(self) -> None:
        self._raw: Any = {}
        self._figures: dict[str, int] = {}
        self._beside: dict[str, int] = {}
        self._thinking = 0

    def take(self, usage: object, event_bytes: int) -> bool:
        """Whether it was an object with an output's figure, and without one that cannot be true; else none is taken."""
        if not isinstance(usage, dict):
            return False
        self._keep(usage, event_bytes)
        figures = _figures(usage)
        beside = _beside(usage.get("iterations"))
        if figures is None or beside is None:
            return False
        self._figures |= figures
        self._beside = beside or self._beside
        self._thinking = _thinking(usage) or self._thinking
        return _OUTPUT in figures

    @property
    def tokens(self) -> TokenCount | None:
        """None as long as the input is not known, or as all is zero."""
        if _INPUT not in self._figures or not any(self._figures.values()):
            return None
        input_tokens, output, write, read = (self._figures.get(n, 0) + self._beside.get(n, 0) for n in _FIGURES)
        thinking = min(self._thinking, output)
        return TokenCount(input_tokens, read, write, output - thinking, thinking)

    def _keep(self, usage: dict[str, Any], event_bytes: int) -> None:
        is_kept = self._raw is not TOO_LARGE and kept(usage, event_bytes) is usage
        told = {name: value for name, value in usage.items() if value is not None} if is_kept else {}
        is_kept = is_kept and len(told) + len(self._raw) <= MEMBERS_MAX
        self._raw = self._raw | told if is_kept else TOO_LARGE

    def told(self, finish: object) -> Told:
        """The object is all that was told, the latest of each member."""
        raw = self._raw
        if raw is TOO_LARGE:
            return Told(raw, finish=finish)
        writes = numbers(_WRITES, raw.get("cache_creation"))
        return Told(
            raw or None,
            raw.get("service_tier"),
            finish,
            figure(writes.get("5m")) or 0,
            figure(writes.get("1h")) or 0,
            extra=numbers(_TOOLS, raw.get("server_tool_use")),
        )


_WRITES = {"ephemeral_5m_input_tokens": "5m", "ephemeral_1h_input_tokens": "1h"}
_TOOLS = {
    "web_search_requests": "web_searches",
    "web_fetch_requests": "web_fetches",
    "code_execution_requests": "code_executions",
    "tool_search_requests": "tool_searches",
}


def _figures(usage: Mapping[str, Any]) -> dict[str, int] | None:
    """The figures that are there; None where one of them cannot be true."""
    told = {name: value for name in _FIGURES if (value := usage.get(name)) is not None}
    figures = {name: count for name, value in told.items() if (count := figure(value)) is not None}
    return figures if len(figures) == len(told) else None


def _beside(iterations: object) -> dict[str, int] | None:
    """The sums of the iterations that are billed beside the rest."""
    if not isinstance(iterations, list):
        return {}
    sums: dict[str, int] = {}
    for each in iterations:
        if not isinstance(each, dict) or each.get("type") not in _BILLED_BESIDE:
            continue
        figures = _figures(each)
        if figures is None:
            return None
        for name, count in figures.items():
            sums[name] = sums.get(name, 0) + count
    return sums


def _thinking(usage: Mapping[str, Any]) -> int:
    details = usage.get("output_tokens_details")
    return figure(details.get("thinking_tokens")) or 0 if isinstance(details, dict) else 0
