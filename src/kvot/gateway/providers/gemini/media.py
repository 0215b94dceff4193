"""How much of a request's contents is text, and what its images, sound, video and files count, by documented constants.

Media are looked for only where the API knows them: text that could pass for an image elsewhere is text.
"""

from typing import Any

from kvot.gateway.dialect import Size
from kvot.gateway.metered import text_bytes
from kvot.gateway.providers.gemini.messages import camel_case, items, member
from kvot.gateway.providers.sizes import base64_bytes, schema_bytes

# The reasons for each figure: docs/internals/gateway.md, "Gemini".
IMAGE_TOKENS = 1_600
REFERENCE_TOKENS = 25_000
BYTES_PER_TOKEN = (
    ("audio/wav", 1_000),
    ("audio/x-wav", 1_000),
    ("audio/l16", 1_000),
    ("audio/pcm", 1_000),
    ("audio/", 250),
    ("video/", 400),
    ("application/pdf", 130),
)
"""By how the media type begins; the first counts."""

_MEDIA = frozenset({"inlineData", "fileData"})


def contents_size(contents: object) -> Size:
    """Of one content or a list of them: objects with parts, or text."""
    text, media_tokens = 0, 0
    for content in items(contents):
        if not isinstance(content, dict):
            text += text_bytes(content)
            continue
        for part in items(member(content, "parts")):
            size = _part_size(part)
            text += size.text_bytes
            media_tokens += size.media_tokens
    return Size(text, media_tokens)


def _part_size(part: object) -> Size:
    if not isinstance(part, dict):
        return Size(text_bytes(part))
    reply = member(part, "functionResponse")
    pieces = [part, *items(member(reply, "parts"))]
    media = [_inline(data) for each in pieces if (data := member(each, "inlineData")) is not None]
    references = sum(member(each, "fileData") is not None for each in pieces)
    text = schema_bytes([value for name, value in _members(part) if name not in {*_MEDIA, "functionResponse"}])
    text += schema_bytes([value for name, value in _members(reply) if name != "parts"])
    return Size(
        text + sum(each.text_bytes for each in media),
        references * REFERENCE_TOKENS + sum(each.media_tokens for each in media),
    )


def _inline(blob: object) -> Size:
    kind, data = member(blob, "mimeType"), member(blob, "data")
    if not isinstance(kind, str) or not isinstance(data, str):
        return Size(text_bytes(blob))
    kind = kind.lower()
    if kind.startswith("image/"):
        return Size(0, IMAGE_TOKENS)
    for beginning, bytes_per_token in BYTES_PER_TOKEN:
        if kind.startswith(beginning):
            return Size(0, base64_bytes(data) // bytes_per_token + 1)
    return Size(base64_bytes(data))  # a file of text


def _members(value: object) -> list[tuple[str, Any]]:
    """By name in camelCase; thought signatures are not text that the model reads."""
    if not isinstance(value, dict):
        return []
    named = [(camel_case(name), each) for name, each in value.items()]
    return [(name, each) for name, each in named if name != "thoughtSignature"]
