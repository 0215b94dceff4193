"""What a request to Ollama asks for. Its bytes go on as they came, but for a ceiling that is lowered or added.

Ollama takes the members of a request by their names in any case, and the last of those. One that is not in lower case
is refused: it could say something else than what is read here. The names of its options are exact, but others that
have this API, and are written in Go too, take those in any case as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kvot.core.model import TOKENS_MAX
from kvot.gateway.dialect import Named, Size
from kvot.gateway.providers.bounds import check_bounds
from kvot.gateway.providers.members import (
    Document,
    check_case,
    invalid,
    object_at,
    places_of,
    read_object,
    text_at,
    truth_at,
    with_values,
)
from kvot.gateway.providers.sizes import IMAGE_MARK, Gathered

IMAGE_TOKENS = 1_600
"""See docs/internals/gateway.md, "Ollama"."""

_OPTIONS, _CEILING = "options", "num_predict"
_UNBOUNDED_LEAST = -2
"""-1: without end, -2: until the context is full. 0 bounds nothing either."""

_TEXTS = ("prompt", "system", "suffix")

_KNOWN = frozenset({"model", "stream", "options", "messages", "tools", "input"})
_KNOWN |= {"prompt", "system", "template", "suffix", "images", "context"}
_COUNTED = frozenset({"images"})
"""Of a message: all else counts as text, by whatever name."""


@dataclass(slots=True)
class OllamaAsk:
    document: Document
    model: str
    is_stream: bool
    size: Size
    output_max: int | None
    output_min: int = 1
    answers: int = 1
    stored: Named | None = None  # nothing of what calls make is kept

    def body(self, output_max: int | None = None) -> bytes:
        body = self.document.body
        if output_max is None or (self.output_max is not None and output_max >= self.output_max):
            return body
        places = self.document.places
        start, end = places.get(_OPTIONS, (0, 0))
        options = body[start:end] if self.document.members.get(_OPTIONS) is not None else b"{}"
        lowered = with_values(options, places_of(options), {_CEILING: b"%d" % output_max})
        return with_values(body, places, {_OPTIONS: lowered})


def read_chat(body: bytes, _variables: Mapping[str, str]) -> OllamaAsk:
    document = _read(body)
    messages = document.members.get("messages")
    if not isinstance(messages, list | None) or not all(isinstance(each, dict) for each in messages or ()):
        raise invalid("messages", "'messages' must be a list of objects.")
    gathered = _gathered()
    for each in messages or ():
        check_case(each, _COUNTED)
        gathered.members(each, ("images",))
        _gather_images(gathered, each)
    if document.members.get("tools") is not None:
        gathered.schema(document.members["tools"])
    _gather_marks(gathered, any(each.get("images") for each in messages or ()))
    _gather_others(gathered, document.members, ("messages", "tools"))
    return _generating(document, gathered.size)


def _gathered() -> Gathered:
    """Its templates write tools and arguments as Go does."""
    return Gathered(escapes_html=True)


def read_generate(body: bytes, _variables: Mapping[str, str]) -> OllamaAsk:
    document = _read(body, lists_tokens=True)
    members = document.members
    _check_template(members)
    gathered = _gathered()
    for name in _TEXTS:
        if members.get(name) is not None:
            gathered.text(members[name])
    _gather_images(gathered, members)
    _gather_marks(gathered, bool(members.get("images")))
    context = members.get("context")  # an earlier conversation: its tokens themselves
    if isinstance(context, list):
        numbers = sum(type(each) is int for each in context)
        gathered.media_tokens += numbers
        context = None if numbers == len(context) else context
    _gather_others(gathered, members, (*_TEXTS, "images", *(("context",) if context is None else ())))
    return _generating(document, gathered.size)


def _check_template(members: Mapping[str, Any]) -> None:
    """An empty one is the model's own."""
    if members.get("template") not in (None, ""):
        raise invalid(
            "template",
            "'template' is not possible here: a template may write anything as often as it likes, so that its tokens "
            "cannot be held to a budget. Use the model's own, or `raw` with the whole prompt.",
        )


def read_embed(body: bytes, _variables: Mapping[str, str]) -> OllamaAsk:
    """Of both its forms: `input`, which may be many texts, and the older one's `prompt`."""
    document = _read(body)
    gathered = _gathered()
    for name in ("input", "prompt"):
        value = document.members.get(name)
        for each in value if isinstance(value, list) else [value] if value is not None else []:
            gathered.text(each)
    gathered.others(document.members, ("input", "prompt"))
    model = text_at(document.members, "model")
    return OllamaAsk(document.without_content(), model, False, gathered.size, output_max=0, output_min=0)


def _read(body: bytes, *, lists_tokens: bool = False) -> Document:
    document = read_object(body, lists_tokens=lists_tokens)
    check_case(document.members, _KNOWN)
    return document


def _generating(document: Document, size: Size) -> OllamaAsk:
    members = document.members
    is_stream = members.get("stream") is None or truth_at(members, "stream")
    return OllamaAsk(document.without_content(), text_at(members, "model"), is_stream, size, _ceiling(members))


def _ceiling(members: Mapping[str, Any]) -> int | None:
    """Ollama knows no other; servers that have its API beside OpenAI's may, and may take it first."""
    options = object_at(members, _OPTIONS)
    check_case(options, frozenset({_CEILING}))
    check_bounds(options, (_CEILING,))
    check_bounds(members, (f"{_OPTIONS}.{_CEILING}",))
    value = options.get(_CEILING)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and (type(value) is not int or not _UNBOUNDED_LEAST <= value <= TOKENS_MAX):
        raise invalid(_CEILING, f"'{_CEILING}' must be a whole number, or -1 or -2 for no bound.")
    return value if value is not None and value > 0 else None


def _gather_others(gathered: Gathered, members: Mapping[str, Any], read: Iterable[str]) -> None:
    """All but what is read, or checked."""
    gathered.others(members, (*read, "stream", _OPTIONS))
    gathered.others(object_at(members, _OPTIONS), (_CEILING,))


def _gather_marks(gathered: Gathered, has_images: bool) -> None:
    """When all texts are gathered."""
    if has_images:
        gathered.media_tokens += IMAGE_TOKENS * gathered.count(IMAGE_MARK)


def _gather_images(gathered: Gathered, place: Mapping[str, Any]) -> None:
    images = place.get("images")
    if isinstance(images, list):
        gathered.media_tokens += IMAGE_TOKENS * len(images)
    elif images is not None:
        gathered.schema(images)
