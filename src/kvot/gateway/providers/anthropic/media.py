"""How much of a request's content is text, and what its images and documents count, by documented constants.

Media are looked for only where the API knows them. What a tool was asked, or any other member, is text whatever it
looks like: text that could pass for an image would not be counted.
"""

from collections.abc import Mapping
from typing import Any

from kvot.gateway.dialect import Size
from kvot.gateway.metered import text_bytes

# The reasons for each figure: docs/internals/gateway.md, "Anthropic".
IMAGE_TOKENS = 1_600
PAGE_TOKENS = 4_600
PAGE_BYTES = 75_000
REFERENCE_PAGES = 10

_NESTING = ("tool_result", "search_result")


def blocks_size(content: object) -> Size:
    """Of a message's content or of the system prompt: text, or blocks."""
    text, media_tokens = 0, 0
    left = [content]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left.extend(each)
        elif not isinstance(each, dict):
            text += text_bytes(each)
        elif each.get("type") == "image":
            media_tokens += IMAGE_TOKENS
        elif each.get("type") == "document":
            tokens, inner = _document(each.get("source"))
            media_tokens += tokens
            left.append(inner)
            text += text_bytes([each.get("title"), each.get("context")])
        elif each.get("type") in _NESTING:
            left.append(each.get("content"))
            text += text_bytes([value for name, value in each.items() if name != "content"])
        else:
            text += _text(each)
    return Size(text, media_tokens)


def _document(source: object) -> tuple[int, object]:
    """Its tokens, and what in it is text or blocks."""
    if not isinstance(source, dict):
        return 0, None
    if source.get("type") in ("text", "content"):
        return 0, source.get("data") or source.get("content")
    data = source.get("data")
    pages = len(data) * 3 // 4 // PAGE_BYTES + 1 if isinstance(data, str) else REFERENCE_PAGES
    return pages * PAGE_TOKENS, None


def _text(block: Mapping[str, Any]) -> int:
    """Signatures are not read by the model; the thinking that they vouch for is counted as it stands."""
    return text_bytes([value for name, value in block.items() if name != "signature"])
