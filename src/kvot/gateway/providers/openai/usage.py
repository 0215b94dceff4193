"""A usage object of OpenAI's APIs, or of one that follows them, as parts that do not overlap.

What the figures include stands in the table "counting" of docs/internals/gateway.md.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kvot.gateway.metering.metered import figure
from kvot.gateway.providers.openai.compatible import Compatible
from kvot.gateway.tokens import Reported, TokenCount

# Names of one figure, in Chat Completions and in Responses; the first that is there and can be true counts.
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")
_CACHE_READ = (
    "cached_tokens",
    "prompt_cache_hit_tokens",  # DeepSeek
    "cache_read_input_tokens",  # Perplexity, Databricks
    "cached_prompt_text_tokens",  # xAI, formerly
)
_CACHE_WRITE = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")
_REASONING = ("reasoning_tokens",)


def chat_usage(usage: object, provider: Compatible, *, is_final: bool) -> Reported | None:
    """Of Chat Completions and the old completions. None where there is none, or none that can be true."""
    return _reported(usage, provider.chat_excludes, is_final=is_final)


def response_usage(usage: object, tool_usage: object = None) -> Reported | None:
    """Of Responses, where every provider counts the reasoning as output. It comes once, at the end.

    tool_usage: what the API's own tools used beside it, by their names, where a tool is a model (`image_gen`). None as
    a whole where a figure of it cannot be true.
    """
    reported = _reported(usage, (), is_final=True)
    for tool in tool_usage.values() if reported is not None and isinstance(tool_usage, dict) else ():
        reported = _with_tool(reported, tool)
    return reported


def _with_tool(reported: Reported | None, tool: object) -> Reported | None:
    if reported is None or not isinstance(tool, dict):
        return reported
    told = [tool.get("input_tokens") or 0, tool.get("output_tokens") or 0]
    input_tokens, output_tokens = map(figure, told)
    if input_tokens is None or output_tokens is None:
        return None
    uncached, read, written, visible, reasoning = reported.tokens
    tokens = TokenCount(uncached + input_tokens, read, written, visible + output_tokens, reasoning)
    return reported._replace(tokens=tokens)


def embedding_usage(usage: object) -> Reported | None:
    """Of embeddings: input alone, which some tell as a total alone (Voyage)."""
    if not isinstance(usage, dict):
        return None
    is_total = all(usage.get(name) is None for name in _INPUT)
    inputs = {"prompt_tokens": usage.get("total_tokens")} if is_total else {}
    return _reported({**usage, **inputs, "completion_tokens": 0}, (), is_final=True)


def _reported(usage: object, excludes: tuple[str, ...], *, is_final: bool) -> Reported | None:
    if not isinstance(usage, dict):
        return None
    if any(name in usage and usage[name] is not None and figure(usage[name]) is None for name in _INPUT + _OUTPUT):
        return None
    input_tokens, output_tokens = _first(_INPUT, usage), _first(_OUTPUT, usage)
    if input_tokens is None or output_tokens is None or input_tokens + output_tokens == 0:
        return None
    return _parts(usage, input_tokens, output_tokens, excludes, is_final=is_final)


def _parts(
    usage: Mapping[str, Any], input_tokens: int, output_tokens: int, excludes: tuple[str, ...], *, is_final: bool
) -> Reported:
    total = figure(usage.get("total_tokens"))
    input_places = (*_objects(usage, INPUT_DETAILS), usage)
    output_places = (*_objects(usage, OUTPUT_DETAILS), usage)
    reasoning = _first(_REASONING, *output_places) or 0
    is_outside = "reasoning_tokens" in excludes or _is_outside(reasoning, output_tokens, input_tokens, total)
    others = sum(_first((name,), *output_places) or 0 for name in excludes if name != "reasoning_tokens")
    visible = (output_tokens if is_outside else output_tokens - reasoning) + others
    read, written = _first(_CACHE_READ, *input_places) or 0, _first(_CACHE_WRITE, *input_places) or 0
    if read + written > input_tokens:  # a detail that cannot be: what it is a part of still counts
        read = written = 0
    tokens = TokenCount(input_tokens - read - written, read, written, visible, reasoning)
    return Reported(tokens, is_final, total_mismatch=None if total == tokens.total else total)


def _is_outside(reasoning: int, output_tokens: int, input_tokens: int, total: int | None) -> bool:
    """Whether the reply itself shows that the reasoning is beside the output: by its total, or by being the more."""
    return reasoning > output_tokens or (reasoning > 0 and total == input_tokens + output_tokens + reasoning)


def _objects(usage: Mapping[str, Any], names: Iterable[str]) -> list[Mapping[str, Any]]:
    return [usage[name] for name in names if isinstance(usage.get(name), dict)]


def _first(names: Iterable[str], *places: Mapping[str, Any]) -> int | None:
    for place in places:
        for name in names:
            value = figure(place.get(name))
            if value is not None:
                return value
    return None
