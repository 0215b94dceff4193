"""What a request to Gemini asks for. Its bytes go on as they came, but for a ceiling that is lowered.

The path names the model. A body that names another is refused: the hold would be for a model that is not asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kvot.gateway.dialect import Named, Size
from kvot.gateway.providers.gemini.media import gather_contents, gather_tools
from kvot.gateway.providers.gemini.messages import Message, member, message_of, written
from kvot.gateway.providers.members import invalid, read_object
from kvot.gateway.providers.sizes import Gathered

ANSWERS_MAX = 128
"""More candidates than any model gives."""

CACHED_TOKENS = 32_000
"""For a cached content, of which a request tells only the name. See docs/internals/gateway.md, "Gemini"."""

_TOOLS, _TOOLS_CONFIG = "tools", "toolConfig"
_FORMS = ("responseSchema", "responseJsonSchema", "_responseJsonSchema", "responseFormat")
"""Of the configuration: what form the answer is to have."""

_CONFIG, _CEILING, _ANSWERS = "generationConfig", "maxOutputTokens", "candidateCount"

_READ = frozenset({"contents", "systemInstruction", _TOOLS, _TOOLS_CONFIG, _CONFIG})
"""What the model reads, and the configuration; all else are other settings, or nobody here knows what."""


@dataclass(slots=True)
class GeminiAsk:
    message: Message
    model: str
    is_stream: bool
    size: Size
    output_max: int | None
    output_min: int = 1
    answers: int = 1
    stored: Named | None = None  # nothing of what calls make is kept

    def body(self, output_max: int | None = None) -> bytes:
        if output_max is None or (self.output_max is not None and output_max >= self.output_max):
            return self.message.document.body
        config = self.message.inner(_CONFIG).with_member(_CEILING, b"%d" % output_max)
        return self.message.with_member(_CONFIG, config)


def read_generate(body: bytes, variables: Mapping[str, str]) -> GeminiAsk:
    return _generate(body, variables, is_stream=False)


def read_stream(body: bytes, variables: Mapping[str, str]) -> GeminiAsk:
    return _generate(body, variables, is_stream=True)


def _generate(body: bytes, variables: Mapping[str, str], *, is_stream: bool) -> GeminiAsk:
    message = _read(body, variables)
    contents = message.members.get("contents")
    if not isinstance(contents, list | dict):
        raise invalid("contents", "'contents' must be a list of objects.")
    config = message.inner(_CONFIG)
    answers = config.whole_at(_ANSWERS, ANSWERS_MAX) or 1
    return GeminiAsk(
        message.without_content(),
        variables["model"],
        is_stream,
        _size(message, config),
        config.whole_at(_CEILING),
        answers=answers,
    )


def read_embed(body: bytes, variables: Mapping[str, str]) -> GeminiAsk:
    message = _read(body, variables)
    content = message.members.get("content")
    if not isinstance(content, dict):
        raise invalid("content", "'content' must be an object.")
    return _embedding(message, variables, [message.members])


def read_embeds(body: bytes, variables: Mapping[str, str]) -> GeminiAsk:
    """Many at once. Each names the model, which must be the path's."""
    message = _read(body, variables)
    requests = message.members.get("requests")
    if not isinstance(requests, list) or not all(isinstance(each, dict) for each in requests):
        raise invalid("requests", "'requests' must be a list of objects.")
    for each in requests:
        _check_model(member(each, "model"), variables["model"])
    return _embedding(message, variables, [*requests, _without(message.members, "requests")])


def _without(members: Mapping[str, Any], left_out: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name != left_out}


def _embedding(message: Message, variables: Mapping[str, str], requests: Iterable[Mapping[str, Any]]) -> GeminiAsk:
    gathered = Gathered()
    for each in requests:
        gather_contents(gathered, member(each, "content"))
        if (title := member(each, "title")) is not None:
            gathered.text(title)
        gathered.others(each, written(each, ("content", "title", "model")))
    return GeminiAsk(message.without_content(), variables["model"], False, gathered.size, output_max=0, output_min=0)


def _read(body: bytes, variables: Mapping[str, str]) -> Message:
    message = message_of(read_object(body))
    _check_model(message.members.get("model"), variables["model"])
    return message


def _check_model(named: object, model: str) -> None:
    if named not in (None, model, f"models/{model}"):
        raise invalid("model", "'model' must be absent, or the model that the path names.")


def _size(message: Message, config: Message) -> Size:
    gathered = Gathered()
    gather_contents(gathered, message.members.get("contents"))
    gather_contents(gathered, message.members.get("systemInstruction"))
    if message.members.get(_TOOLS) is not None:
        gather_tools(gathered, message.members[_TOOLS])
    for members, names in ((message.members, (_TOOLS_CONFIG,)), (config.members, _FORMS)):
        for name in names:
            if members.get(name) is not None:
                gathered.schema(members[name])
    gathered.others(message.members, _READ)
    gathered.others(config.members, (*_FORMS, _CEILING, _ANSWERS))
    if message.members.get("cachedContent") is not None:
        gathered.media_tokens += CACHED_TOKENS
    return gathered.size
