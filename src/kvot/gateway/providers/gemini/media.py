"""How much of a request's contents is text, and what its images, sound, video and files count, by documented constants.

Media are looked for only where the API knows them: text that could pass for an image elsewhere is text.
"""

from typing import Any

from kvot.gateway.providers.gemini.messages import camel_case, items, member
from kvot.gateway.providers.sizes import Gathered, base64_bytes

# The reasons for each figure: docs/internals/gateway.md, "Gemini".
IMAGE_TOKENS, IMAGE_TOKENS_MAX = 1_600, 2_304
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


def gather_contents(gathered: Gathered, contents: object) -> None:
    """Of one content or a list of them: objects with parts, or text."""
    for content in items(contents):
        if not isinstance(content, dict):
            gathered.text(content)
            continue
        for part in items(member(content, "parts")):
            _gather_part(gathered, part)


def _gather_part(gathered: Gathered, part: object) -> None:
    if not isinstance(part, dict):
        gathered.text(part)
        return
    reply = member(part, "functionResponse")
    for each in (part, *items(member(reply, "parts"))):
        if (data := member(each, "inlineData")) is not None:
            _gather_inline(gathered, data)
        if member(each, "fileData") is not None:
            gathered.media_tokens += REFERENCE_TOKENS
    for name, value in _members(part):
        if name not in {*_MEDIA, "functionResponse"}:
            gathered.schema(value)
    for name, value in _members(reply):
        if name != "parts":
            gathered.schema(value)


def _gather_inline(gathered: Gathered, blob: object) -> None:
    kind, data = member(blob, "mimeType"), member(blob, "data")
    if not isinstance(kind, str) or not isinstance(data, str):
        gathered.text(blob)
        return
    kind = kind.lower()
    for beginning, bytes_per_token in BYTES_PER_TOKEN:
        if kind.startswith(beginning):
            gathered.media_tokens += base64_bytes(data) // bytes_per_token + 1
            return
    if kind.startswith("image/"):
        gathered.media_tokens += IMAGE_TOKENS
        gathered.spare_tokens += IMAGE_TOKENS_MAX - IMAGE_TOKENS
    else:
        gathered.encoded_text(data)


def _members(value: object) -> list[tuple[str, Any]]:
    """By name in camelCase; thought signatures are not text that the model reads."""
    if not isinstance(value, dict):
        return []
    named = [(camel_case(name), each) for name, each in value.items()]
    return [(name, each) for name, each in named if name != "thoughtSignature"]
