"""How much of a request's messages is text, and what its images, sound and files count, by documented constants.

The estimate must not be too low for what a request may cost, nor need a look into the media. What is counted as an
image is decided by the type of its part, never by how a text begins: a text that looks like data is text.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from kvot.gateway.providers.openai.images import ELSEWHERE_TOKENS, ELSEWHERE_TOKENS_MAX, Images
from kvot.gateway.providers.sizes import IMAGE_MARK, UNWRITTEN, Gathered, base64_bytes, encrypted_tokens

# The reasons for each figure: docs/internals/gateway.md, "media constants of OpenAI".
WAV_BYTES_PER_TOKEN = 1_600
AUDIO_BYTES_PER_TOKEN = 400
FILE_BYTES_PER_TOKEN = 4
FILE_TOKENS_MAX = 200_000
FILE_REFERENCE_TOKENS = 25_000
STORED_TOKENS = 32_000
TOOLS_TOKENS = 256

_Part = Mapping[str, Any]


class _Medium(NamedTuple):
    """What a part counts. name: the member that has it. beside: what that member has beside the data, or in the place
    of data. spare_tokens: as in `Size`."""

    tokens: int
    name: str | None
    beside: object = None
    spare_tokens: int = 0
    is_image: bool = False


def _image(part: _Part, images: Images) -> _Medium:
    image = part.get("image_url")
    place, data = (image, image.get("url")) if isinstance(image, dict) else (part, image)
    tokens, most = images.counted(data, place.get("detail"))
    return _Medium(tokens, "image_url", _beside(image, "url"), most - tokens, is_image=True)


def _made_image(part: _Part, images: Images) -> _Medium:
    result = part.get("result")
    tokens, most = images.counted(result)
    return _Medium(tokens, "result", _beside(result), most - tokens, is_image=True)


def _sound(part: _Part, _images: Images) -> _Medium:
    sound = part.get("input_audio")
    if not isinstance(sound, dict):
        return _Medium(0, "input_audio", sound)
    bytes_per_token = WAV_BYTES_PER_TOKEN if sound.get("format") == "wav" else AUDIO_BYTES_PER_TOKEN
    tokens = _decoded_bytes(sound.get("data")) // bytes_per_token + 1
    return _Medium(tokens, "input_audio", _beside(sound, "data"))


def _chat_file(part: _Part, _images: Images) -> _Medium:
    file = part.get("file")
    if not isinstance(file, dict):
        return _Medium(0, "file", file)
    return _Medium(_file_tokens(file), "file", _beside(file, "file_data"), _file_spare(file))


def _file(part: _Part, _images: Images) -> _Medium:
    return _Medium(_file_tokens(part), "file_data", _beside(part.get("file_data")), _file_spare(part))


def _by_url(name: str, bytes_per_token: int | None = None) -> Callable[[_Part, Images], _Medium]:
    """bytes_per_token: of one that is itself in its URL; None: it counts as one that is elsewhere."""

    def count(part: _Part, _images: Images) -> _Medium:
        place = part.get(name)
        url = place.get("url") if isinstance(place, dict) else place
        tokens = FILE_REFERENCE_TOKENS
        if bytes_per_token is not None and isinstance(url, str) and url[:5].lower() == "data:":
            tokens = min(FILE_TOKENS_MAX, _decoded_bytes(url) // bytes_per_token + 1)
        return _Medium(tokens, name, _beside(place, "url"))

    return count


def _beside(place: object, data: str = "") -> object:
    """What a medium's member has beside its data, which may be the member itself."""
    if isinstance(place, dict):
        return {name: value for name, value in place.items() if name != data or not isinstance(value, str)}
    return None if isinstance(place, str) else place


def _file_spare(file: _Part) -> int:
    """One of text may have a token for each byte."""
    data = file.get("file_data")
    if not isinstance(data, str) or data[:10].lower() != "data:text/":
        return 0
    return max(0, _decoded_bytes(data) - _file_tokens(file))


def _file_tokens(file: _Part) -> int:
    data = file.get("file_data")
    if not isinstance(data, str):
        return FILE_REFERENCE_TOKENS
    return min(FILE_TOKENS_MAX, _decoded_bytes(data) // FILE_BYTES_PER_TOKEN + 1)


def _decoded_bytes(data: object) -> int:
    return base64_bytes(data) if isinstance(data, str) else 0


MEDIA: dict[str, Callable[[_Part, Images], _Medium]] = {
    "image_url": _image,  # Chat Completions
    "input_image": _image,
    "computer_screenshot": _image,
    "image_generation_call": _made_image,
    "input_audio": _sound,
    "file": _chat_file,
    "input_file": _file,
    "video_url": _by_url("video_url"),  # vLLM, SGLang, OpenRouter
    "audio_url": _by_url("audio_url", AUDIO_BYTES_PER_TOKEN),
    "document_url": _by_url("document_url", FILE_BYTES_PER_TOKEN),  # Mistral
}
"""By a part's type."""

_BY_MEMBER = ("image_url", "audio_url", "input_audio", "video_url")
"""What vLLM takes a part for that has no type, or a `uuid`: the first of these that is there, also if it is null, as a
`uuid` alone may name what was sent before."""

_ANY_MODEL = Images("", is_openai=False)


def gather_content(gathered: Gathered, content: object, images: Images = _ANY_MODEL) -> int:
    """Of messages or input items, at any depth: all is text but what MEDIA takes and encrypted reasoning.

    How many images are among them. None is no content.
    """
    found = 0
    left = [] if content is None else [content]
    while left:
        each = left.pop()
        if isinstance(each, str):
            gathered.text(each)
        elif isinstance(each, dict):
            medium = _medium(each, images)
            gathered.media_tokens += medium.tokens
            gathered.spare_tokens += medium.spare_tokens
            found += medium.is_image
            left.extend(_members(gathered, each, medium))
        elif isinstance(each, list):
            gathered.frame()
            left.extend(each)
        else:
            gathered.schema(each)
    return found


def _members(gathered: Gathered, part: _Part, medium: _Medium) -> Iterator[object]:
    """Gathers what stands in no content, and gives what may."""
    gathered.frame()
    for name, value in part.items():
        if name not in UNWRITTEN:
            gathered.name(name)
        if name == medium.name:
            if medium.beside is not None:
                yield medium.beside
        elif name == "arguments" and isinstance(value, str):
            gathered.arguments(value)
        elif name in _NO_CONTENT:
            gathered.schema(value)
        else:
            yield value


_NO_CONTENT = ("arguments", "tools")
"""What looks like an image there is text. The tools are those that an earlier turn found, and are offered again."""


def _medium(part: dict[str, Any], images: Images) -> _Medium:
    kind = _kind(part)
    count = MEDIA.get(kind) if isinstance(kind, str) else None
    if count is not None:
        return count(part, images)
    # Reasoning of an earlier turn, which the model reads again: as many tokens as that much text may have.
    name = "data" if kind == "reasoning.encrypted" else "encrypted_content"  # OpenRouter's
    encrypted = part.get(name)
    return _Medium(encrypted_tokens(encrypted), name) if isinstance(encrypted, str) else _NO_MEDIUM


def _kind(part: _Part) -> object:
    """A message has no type either, and is none."""
    kind = part.get("type")
    if "role" not in part and (kind is None or part.get("uuid") is not None):
        return next((name for name in _BY_MEMBER if name in part), kind)
    return kind


_NO_MEDIUM = _Medium(0, None)


def gather_marks(gathered: Gathered) -> None:
    """Of a request with images, when all texts are gathered: Ollama puts one wherever `[img-0]` stands."""
    marks = gathered.count(IMAGE_MARK)
    gathered.media_tokens += ELSEWHERE_TOKENS * marks
    gathered.spare_tokens += (ELSEWHERE_TOKENS_MAX - ELSEWHERE_TOKENS) * marks


def gather_tools(gathered: Gathered, tools: object) -> None:
    """Where there are any, the API adds instructions of its own."""
    if tools:
        gathered.media_tokens += TOOLS_TOKENS
        gathered.schema(tools)


def gather_input(gathered: Gathered, value: object) -> None:
    """What embeddings and the old completions read: text, texts, or numbers, each of them a token. None is none."""
    items = value if isinstance(value, list) else [value]
    for each in _others(gathered, [] if value is None else items):
        if isinstance(each, list):
            gathered.frame()
            for inner in _others(gathered, each):
                gathered.schema(inner)
        else:
            gathered.text(each)


def _others(gathered: Gathered, items: list[Any]) -> list[Any]:
    """Those that are no numbers, when the numbers are counted."""
    others = [each for each in items if type(each) is not int]
    gathered.media_tokens += len(items) - len(others)
    return others
