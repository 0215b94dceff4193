"""How much of a request's content is text, and what its images and documents count, by documented constants.

Media are looked for only where the API knows them. What a tool was asked, or any other member, is text whatever it
looks like: text that could pass for an image would not be counted.
"""

from collections.abc import Mapping
from typing import Any

from kvot.gateway.providers.sizes import Gathered

# The reasons for each figure: docs/internals/gateway.md, "Anthropic".
IMAGE_TOKENS = 1_600
PAGE_TOKENS = 4_600
PAGE_BYTES = 75_000
REFERENCE_PAGES = 10
TOOLS_TOKENS = 530

_NESTING = ("tool_result", "search_result")


def gather_blocks(gathered: Gathered, content: object) -> None:
    """Of a message's content or of the system prompt: text, or blocks."""
    left = [content]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left.extend(each)
        elif not isinstance(each, dict):
            gathered.text(each)
        elif each.get("type") == "image":
            gathered.media_tokens += IMAGE_TOKENS
        elif each.get("type") == "document":
            tokens, inner = _document(each.get("source"))
            gathered.media_tokens += tokens
            left.append(inner)
            gathered.text([each.get("title"), each.get("context")])
        elif each.get("type") in _NESTING:
            left.append(each.get("content"))
            gathered.text([value for name, value in each.items() if name != "content"])
        else:
            _gather_block(gathered, each)


def _document(source: object) -> tuple[int, object]:
    """Its tokens, and what in it is text or blocks."""
    if not isinstance(source, dict):
        return 0, None
    if source.get("type") in ("text", "content"):
        return 0, source.get("data") or source.get("content")
    data = source.get("data")
    pages = len(data) * 3 // 4 // PAGE_BYTES + 1 if isinstance(data, str) else REFERENCE_PAGES
    return pages * PAGE_TOKENS, None


def _gather_block(gathered: Gathered, block: Mapping[str, Any]) -> None:
    """Signatures are not read by the model; the thinking that they vouch for is counted as it stands."""
    for name, value in block.items():
        if name == "input":  # of a tool
            gathered.schema(value)
        elif name != "signature":
            gathered.text(value)
