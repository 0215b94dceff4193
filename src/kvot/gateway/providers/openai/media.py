"""How much of a request's messages is text, and what its images, sound and files count, by documented constants.

The estimate must not be too low for what a request may cost, nor need a look into the media. What is counted as an
image is decided by the type of its part, never by how a text begins: a text that looks like data is text.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kvot.gateway.providers.sizes import Gathered, base64_bytes

# The reasons for each figure: docs/internals/gateway.md, "media constants of OpenAI".
IMAGE_TOKENS = 2_500
IMAGE_LOW_TOKENS = 450
WAV_BYTES_PER_TOKEN = 1_600
AUDIO_BYTES_PER_TOKEN = 400
FILE_BYTES_PER_TOKEN = 4
FILE_TOKENS_MAX = 200_000
FILE_REFERENCE_TOKENS = 25_000
STORED_TOKENS = 32_000
TOOLS_TOKENS = 256

_Part = Mapping[str, Any]


def _image(part: _Part) -> tuple[int, str]:
    image = part.get("image_url")
    place = image if isinstance(image, dict) else part
    return IMAGE_LOW_TOKENS if place.get("detail") == "low" else IMAGE_TOKENS, "image_url"


def _sound(part: _Part) -> tuple[int, str]:
    sound = part.get("input_audio")
    if not isinstance(sound, dict):
        return 0, "input_audio"
    bytes_per_token = WAV_BYTES_PER_TOKEN if sound.get("format") == "wav" else AUDIO_BYTES_PER_TOKEN
    return _decoded_bytes(sound.get("data")) // bytes_per_token + 1, "input_audio"


def _chat_file(part: _Part) -> tuple[int, str]:
    file = part.get("file")
    return _file(file)[0] if isinstance(file, dict) else 0, "file"


def _file(part: _Part) -> tuple[int, str]:
    data = part.get("file_data")
    if not isinstance(data, str):
        return FILE_REFERENCE_TOKENS, "file_data"
    return min(FILE_TOKENS_MAX, _decoded_bytes(data) // FILE_BYTES_PER_TOKEN + 1), "file_data"


def _made_image(part: _Part) -> tuple[int, str]:
    return IMAGE_TOKENS, "result"


def _decoded_bytes(data: object) -> int:
    return base64_bytes(data) if isinstance(data, str) else 0


MEDIA: dict[str, Callable[[_Part], tuple[int, str]]] = {
    "image_url": _image,  # Chat Completions
    "input_image": _image,
    "computer_screenshot": _image,
    "image_generation_call": _made_image,
    "input_audio": _sound,
    "file": _chat_file,
    "input_file": _file,
}
"""By a part's type: the tokens that it counts, and the member that is then not text."""


def gather_content(gathered: Gathered, content: object) -> None:
    """Of messages or input items, at any depth: all strings are text but what MEDIA takes and encrypted reasoning."""
    left = [content]
    while left:
        each = left.pop()
        if isinstance(each, str):
            gathered.text(each)
        elif isinstance(each, list):
            left.extend(each)
        elif isinstance(each, dict):
            tokens, members = _without_media(each)
            gathered.media_tokens += tokens
            left.extend(members)
            if "tools" in each:  # found by an earlier turn, and offered to the model again with their names
                gathered.schema(each["tools"])


def _without_media(part: dict[str, Any]) -> tuple[int, list[Any]]:
    kind = part.get("type")
    count = MEDIA.get(kind) if isinstance(kind, str) else None
    if count is not None:
        tokens, name = count(part)
        return tokens, [value for member, value in part.items() if member != name]
    encrypted = part.get("encrypted_content")
    if isinstance(encrypted, str):
        # Reasoning of an earlier turn, which the model reads again: as many tokens as that much text may have.
        tokens = _decoded_bytes(encrypted) // FILE_BYTES_PER_TOKEN
        return tokens, [value for member, value in part.items() if member != "encrypted_content"]
    return 0, list(part.values())


def gather_tools(gathered: Gathered, tools: object) -> None:
    """Where there are any, the API adds instructions of its own."""
    if tools:
        gathered.media_tokens += TOOLS_TOKENS
        gathered.schema(tools)


def gather_input(gathered: Gathered, value: object) -> None:
    """What embeddings and the old completions read: text, texts, or numbers, each of which is one token."""
    gathered.text(value)
    items = value if isinstance(value, list) else [value]
    gathered.media_tokens += sum(type(each) is int for each in items)
    nested = [each for each in items if isinstance(each, list)]
    gathered.media_tokens += sum(type(each) is int for inner in nested for each in inner)
