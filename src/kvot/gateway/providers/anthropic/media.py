"""How much of a request's content is text, and what its images and documents count, by documented constants.

Media are looked for only where the API knows them. What a tool was asked, or any other member, is text whatever it
looks like: text that could pass for an image would not be counted.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kvot.core.model import TOKENS_MAX
from kvot.gateway.providers.sizes import Gathered, base64_bytes, encrypted_tokens

# The reasons for each figure: docs/internals/gateway.md, "Anthropic".
IMAGE_TOKENS = 1_600
IMAGE_TOKENS_MAX = 4_784
PAGE_TOKENS = 4_600
PAGE_BYTES = 75_000
REFERENCE_PAGES = 10
TOOLS_TOKENS = 530
OWN_TOOL_TOKENS = 735
FETCHED_TOKENS = 25_000
THREAD_TOKENS = 32_000

_SMALL_IMAGES = re.compile(
    r"claude-(?:instant|[23](?!\d)|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:[-@]\d{8}|-latest)?(?![\w.@-]))"
)
"""Models up to 4.6, for which an image is made so small that it has no more than IMAGE_TOKENS."""
_NESTING = ("tool_result", "search_result")


@lru_cache(maxsize=1_024)
def image_spare_tokens(model: str) -> int:
    """What an image may count beyond IMAGE_TOKENS."""
    return 0 if _SMALL_IMAGES.match(model) else IMAGE_TOKENS_MAX - IMAGE_TOKENS


def gather_blocks(gathered: Gathered, content: object, image_spare: int) -> None:
    """Of a message's content or of the system prompt: text, or blocks; None is none. image_spare: as of
    `image_spare_tokens`."""
    left = [] if content is None else [content]
    while left:
        each = left.pop()
        if isinstance(each, list):
            gathered.frame()
            left.extend(each)
        elif not isinstance(each, dict):
            gathered.text(each)
        elif each.get("type") == "image":
            gathered.media_tokens += IMAGE_TOKENS
            gathered.spare_tokens += image_spare
            gathered.others(each, ("source",))
            _gather_beside(gathered, each.get("source"), "data")
        elif each.get("type") == "document":
            left.extend(_gather_document(gathered, each, image_spare))
        elif each.get("type") in _NESTING:
            left += [each["content"]] if "content" in each else []
            gathered.members(each, ("content",))
        else:
            _gather_block(gathered, each)


def _gather_document(gathered: Gathered, block: Mapping[str, Any], image_spare: int) -> list[object]:
    """Gathers all but what in it is text or blocks, which it gives."""
    source = block.get("source")
    for name in ("title", "context"):
        if name in block:
            gathered.text(block[name])
    gathered.others(block, ("source", "title", "context"))
    if isinstance(source, dict) and source.get("type") in ("text", "content"):
        gathered.others(source, ("data", "content"))
        return [source[name] for name in ("data", "content") if name in source]
    pages = _pages(source)
    gathered.media_tokens += pages * PAGE_TOKENS
    gathered.spare_tokens += pages * image_spare
    _gather_beside(gathered, source, "data")
    return []


def _pages(source: object) -> int:
    if not isinstance(source, dict):
        return 0
    data = source.get("data")
    return base64_bytes(data) // PAGE_BYTES + 1 if isinstance(data, str) else REFERENCE_PAGES


def _gather_beside(gathered: Gathered, source: object, data: str) -> None:
    """What a source has beside the data that counts as a medium."""
    if isinstance(source, dict):
        gathered.others(source, (data,) if isinstance(source.get(data), str) else ())
    elif source is not None:
        gathered.schema(source)


def gather_tools(gathered: Gathered, tools: object) -> None:
    """Where there are any, the API adds instructions of its own; and of its own tools their definitions, too."""
    if not tools:
        return
    gathered.schema(tools)
    gathered.media_tokens += TOOLS_TOKENS
    for tool in tools if isinstance(tools, list) else ():
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind != "custom":
            gathered.spare_tokens += OWN_TOOL_TOKENS + (_fetched(tool) if kind.startswith("web_fetch") else 0)


def _fetched(tool: Mapping[str, Any]) -> int:
    """Of one page: as much as the request lets it be, or what Anthropic calls a large one."""
    most = tool.get("max_content_tokens")
    return most if type(most) is int and 0 < most <= TOKENS_MAX else FETCHED_TOKENS


def _gather_block(gathered: Gathered, block: Mapping[str, Any]) -> None:
    """Signatures are not read by the model; the thinking that they vouch for is counted as it stands."""
    apart = ["signature"] if isinstance(block.get("signature"), str) else []
    if block.get("type") == "redacted_thinking":
        apart += _gather_encrypted(gathered, block, "data")
    results = block.get("content")
    if block.get("type") == "web_search_tool_result" and isinstance(results, list):
        gathered.frame()
        for each in results:
            if isinstance(each, dict):
                gathered.members(each, _gather_encrypted(gathered, each, "encrypted_content"))
            else:
                gathered.text(each)
        apart.append("content")
    gathered.members(block, apart)


def _gather_encrypted(gathered: Gathered, place: Mapping[str, Any], name: str) -> list[str]:
    """The name, if it counts apart by that."""
    data = place.get(name)
    if not isinstance(data, str):
        return []
    gathered.media_tokens += encrypted_tokens(data)
    return [name]
