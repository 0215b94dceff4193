"""How much of a request's contents is text, and what its images, sound, video and files count, by documented constants.

Media are looked for only where the API knows them: text that could pass for an image elsewhere is text.
"""

from math import ceil, isnan
from typing import Any

from kvot.gateway.providers.gemini.messages import items, member, written
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

FETCHED_TOKENS = 25_000
FRAMES_MAX = 24
"""The most of a video's frames in a second that a request may ask for."""

_MEDIA = ("inlineData", "fileData")
_APART = (*_MEDIA, "functionResponse")
_SIGNATURE = "thoughtSignature"


def gather_contents(gathered: Gathered, contents: object) -> None:
    """Of one content or a list of them: objects with parts, or text."""
    for content in items(contents):
        if not isinstance(content, dict):
            gathered.text(content)
            continue
        gathered.members(content, written(content, ("parts",)))
        for part in items(member(content, "parts")):
            _gather_part(gathered, part)


def _gather_part(gathered: Gathered, part: object) -> None:
    if not isinstance(part, dict):
        gathered.text(part)
        return
    signature = (_SIGNATURE,) if isinstance(member(part, _SIGNATURE), str) else ()  # no text that the model reads
    gathered.members(part, written(part, (*_APART, *signature)))
    _gather_media(gathered, part)
    reply = member(part, "functionResponse")
    if not isinstance(reply, dict):
        gathered.others({"functionResponse": reply}, () if reply is not None else ("functionResponse",))
        return
    gathered.members(reply, written(reply, ("parts",)))
    for each in items(member(reply, "parts")):
        if isinstance(each, dict):
            gathered.others(each, written(each, _MEDIA))
            _gather_media(gathered, each)
        else:
            gathered.text(each)


def _gather_media(gathered: Gathered, part: dict[str, Any]) -> None:
    frames = _frames(part)
    if (blob := member(part, "inlineData")) is not None:
        _gather_inline(gathered, blob, frames)
    if (file := member(part, "fileData")) is not None:
        gathered.media_tokens += ceil(REFERENCE_TOKENS * frames)
        _gather_beside(gathered, file, "fileUri")


def _frames(part: dict[str, Any]) -> float:
    """How many of a second's frames are looked at, at least the one that is without this. A number may be text."""
    value = member(member(part, "videoMetadata"), "fps")
    try:
        frames = float(value) if isinstance(value, int | float | str) else 1.0
    except (ValueError, OverflowError):
        return FRAMES_MAX
    return min(FRAMES_MAX, max(1.0, frames)) if not isnan(frames) else FRAMES_MAX


def _gather_inline(gathered: Gathered, blob: object, frames: float) -> None:
    kind, data = member(blob, "mimeType"), member(blob, "data")
    if not isinstance(kind, str) or not isinstance(data, str):
        gathered.schema(blob)
        return
    _gather_beside(gathered, blob, "data")
    kind = kind.lower()
    for beginning, bytes_per_token in BYTES_PER_TOKEN:
        if kind.startswith(beginning):
            times = frames if beginning == "video/" else 1
            gathered.media_tokens += ceil((base64_bytes(data) // bytes_per_token + 1) * times)
            return
    if kind.startswith("image/"):
        gathered.media_tokens += IMAGE_TOKENS
        gathered.spare_tokens += IMAGE_TOKENS_MAX - IMAGE_TOKENS
    else:
        gathered.encoded_text(data)


def _gather_beside(gathered: Gathered, medium: object, data: str) -> None:
    """What stands beside the member that counts as a medium."""
    if isinstance(medium, dict):
        gathered.others(medium, written(medium, (data,)) if isinstance(member(medium, data), str) else ())
    else:
        gathered.schema(medium)


def gather_tools(gathered: Gathered, tools: object) -> None:
    """As a schema. What is read from the web stands in no request: one page of it is held."""
    gathered.schema(tools)
    if any(member(tool, "urlContext") is not None for tool in items(tools)):
        gathered.spare_tokens += FETCHED_TOKENS
