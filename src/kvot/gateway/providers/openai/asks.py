"""What a request to one of OpenAI's APIs asks for. Its bytes go on as they came, but for the members that must change.

A request that a provider could read otherwise than we do, or whose usage we would never learn, is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kvot.core.errors import InvalidRequest
from kvot.gateway.dialect import Named, Size
from kvot.gateway.providers.bounds import check_bounds, same_as
from kvot.gateway.providers.members import (
    Document,
    invalid,
    object_at,
    places_of,
    text_at,
    truth_at,
    whole_at,
    with_values,
)
from kvot.gateway.providers.openai.compatible import Compatible
from kvot.gateway.providers.openai.hosted import added_tools, hosted_tokens
from kvot.gateway.providers.openai.images import Images
from kvot.gateway.providers.openai.media import (
    STORED_TOKENS,
    TOOLS_TOKENS,
    gather_content,
    gather_input,
    gather_marks,
    gather_tools,
)
from kvot.gateway.providers.openai.names import read_named
from kvot.gateway.providers.openai.stored import read_by_response, stored_by_chat, stored_by_response
from kvot.gateway.providers.sizes import Gathered

ANSWERS_MAX = 128
"""The most answers that OpenAI gives to one request."""

RESPONSE_OUTPUT_MIN = 16
"""The lowest max_output_tokens that OpenAI's Responses takes; a lower one is its 400."""

OLD_CEILING = "max_tokens"
"""What every API that follows OpenAI's knows as the ceiling of an answer; OpenAI's own newer models refuse it."""

DEPLOYMENT = "deployment"
"""The variable of a path that names the model, at Azure: there the body's `model` counts for nothing."""
API_VERSION = "api_version"
"""Another of Azure's: the version of the API that the query names."""

_TEMPLATE = ("chat_template_kwargs", "documents")
"""What vLLM, and others that run a model's template, put into the prompt beside the messages."""
_CHAT_CEILINGS = ("max_completion_tokens", OLD_CEILING)
_CHAT_SCHEMAS = ("response_format", *_TEMPLATE, "data_sources")

# What each API has a rule for here: what the model reads, and numbers and truth values that are checked, or that may be
# many. All else are other settings, or nobody here knows what.
_CHECKED = frozenset({"stream", "background", "deferred", "n", "logit_bias"})
_CHAT = _CHECKED | {"messages", "prediction", "tools", "functions", "prompt", *_CHAT_SCHEMAS, *_CHAT_CEILINGS}
_COMPLETION = _CHECKED | {"prompt", "suffix", "messages", "best_of", OLD_CEILING}
_RESPONSE = _CHECKED | {"input", "instructions", "prompt", "tools", "text", "max_output_tokens"}
_EMBEDDINGS = frozenset({"input", "messages", *_TEMPLATE})

_FIRST_VERSION = "2024-09"
"""Azure's first that knows max_completion_tokens."""

_TRUE = b"true"


@dataclass(slots=True)
class OpenAiAsk:
    """ceilings: the members that bound an answer, of which `ceiling_to_add` is set where there is none.

    adds_usage: a stream whose client did not ask to be told the usage; we do, and take the chunk out of the reply.
    """

    document: Document
    model: str
    is_stream: bool
    size: Size
    output_max: int | None
    output_min: int = 1
    answers: int = 1
    ceilings: tuple[str, ...] = ()
    ceiling_to_add: str | None = None
    adds_usage: bool = False
    stored: Named | None = None

    def body(self, output_max: int | None = None) -> bytes:
        values = self._lowered(output_max)
        if self.adds_usage:
            values["stream_options"] = self._stream_options()
        return with_values(self.document.body, self.document.places, values) if values else self.document.body

    def _lowered(self, output_max: int | None) -> dict[str, bytes]:
        members = self.document.members
        given = {name: value for name in self.ceilings if (value := members.get(name)) is not None}
        # A server may read 256.0000000000000000001 as more than is held: all of them read 256 alike.
        values = {name: b"%d" % value for name, value in given.items() if isinstance(value, float)}
        if output_max is not None and self.ceiling_to_add is not None:
            values |= {name: b"%d" % output_max for name, value in given.items() if value < 0 or value > output_max}
            if self.output_max is None:
                values[self.ceiling_to_add] = b"%d" % output_max
        if self.output_max is not None and self._is_unsure():
            values[OLD_CEILING] = b"%d" % (self.output_max if output_max is None else output_max)
        return values

    def _is_unsure(self) -> bool:
        """A ceiling would stand in a member alone that the provider may not know, and would then not keep."""
        return self.ceiling_to_add == OLD_CEILING and self.document.members.get(OLD_CEILING) is None

    def _stream_options(self) -> bytes:
        start, end = self.document.places.get("stream_options", (0, 0))
        options = self.document.body[start:end]
        if not options.startswith(b"{"):
            options = b"{}"
        return with_values(options, places_of(options), {"include_usage": _TRUE})


def read_chat(body: bytes, variables: Mapping[str, str], provider: Compatible) -> OpenAiAsk:
    document = read_named(body)
    members = document.members
    model = _model(members, variables)
    gathered = _gathered(provider)
    images = Images(model, is_openai=provider.has_openai_models)
    found = sum(gather_content(gathered, members.get(name), images) for name in ("messages", "prediction"))
    for name in ("tools", "functions"):
        gather_tools(gathered, members.get(name))
    gather_input(gathered, members.get("prompt"))  # OpenRouter takes it here too
    _gather_schemas(gathered, members, _CHAT_SCHEMAS)
    if found and not provider.has_openai_models:
        gather_marks(gathered)
    gathered.others(members, _CHAT)
    ceilings = _ceilings(members, _CHAT_CEILINGS)
    check_bounds(members, ceilings, ("n",))
    _check_template(members)
    _check_processing(members)
    answers = whole_at(members, "n", most=ANSWERS_MAX) or 1
    ask = _generating(document, model, provider, gathered.size, answers, ceilings, _chat_ceiling(provider, variables))
    ask.stored = stored_by_chat(members)
    return ask


def _gathered(provider: Compatible) -> Gathered:
    """At OpenAI, and at Azure, the text of a message is read as it is; what template others have, nobody knows."""
    return Gathered(is_rendered=not provider.has_openai_models)


def _gather_schemas(gathered: Gathered, members: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if members.get(name) is not None:
            gathered.schema(members[name])


def _chat_ceiling(provider: Compatible, variables: Mapping[str, str]) -> str:
    """Azure's older versions do not know the newer name; they are dates, or words that come after all dates."""
    is_old = variables.get(API_VERSION, _FIRST_VERSION) < _FIRST_VERSION
    return OLD_CEILING if is_old else provider.chat_ceiling


def _model(members: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    return variables.get(DEPLOYMENT) or text_at(members, "model")


def read_completion(body: bytes, variables: Mapping[str, str], provider: Compatible) -> OpenAiAsk:
    """The old completions: `n` answers for each of its prompts, the best of `best_of` that are all paid for."""
    document = read_named(body, lists_tokens=True)
    members = document.members
    gathered = _gathered(provider)
    for name in ("prompt", "suffix"):
        gather_input(gathered, members.get(name))
    gather_content(gathered, members.get("messages"))
    gathered.others(members, _COMPLETION)
    ceilings = _ceilings(members, (OLD_CEILING,))
    check_bounds(members, ceilings, ("n", "best_of"))
    each = max(whole_at(members, name, most=ANSWERS_MAX) or 1 for name in ("n", "best_of"))
    answers = each * (_prompts(members.get("prompt")) + _embedded(members.get("prompt_embeds")))
    model = _model(members, variables)
    ask = _generating(document, model, provider, gathered.size, answers, ceilings, OLD_CEILING, least=0)
    if ask.output_max is None and provider.completion_max is not None:
        ask.output_max = provider.completion_max
    if ask.output_max == 0 and not provider.has_openai_models:  # Ollama and others take it for no ceiling
        ask.output_max, ask.output_min = None, 1
    return ask


def _prompts(prompt: object) -> int:
    """How many prompts: a list of numbers is one, a list of texts or of lists is as many as it has."""
    are_many = isinstance(prompt, list) and prompt and type(prompt[0]) is not int
    return len(prompt) if are_many else 1  # type: ignore[arg-type]


def _embedded(prompts: object) -> int:
    """vLLM's prompts that are no text; they come beside the others."""
    if prompts is None:
        return 0
    return len(prompts) if isinstance(prompts, list) else 1


def _generating(
    document: Document,
    model: str,
    provider: Compatible,
    size: Size,
    answers: int,
    ceilings: tuple[str, ...],
    ceiling_to_add: str,
    *,
    least: int = 1,
) -> OpenAiAsk:
    members = document.members
    _check_later(members)
    is_stream = truth_at(members, "stream")
    has_usage = truth_at(object_at(members, "stream_options"), "include_usage")
    adds_usage = is_stream and not has_usage and provider.takes_include_usage
    return OpenAiAsk(
        document.without_content(),
        model,
        is_stream,
        size,
        _ceiling(members, ceilings, least, provider),
        least,
        answers,
        ceilings,
        ceiling_to_add,
        adds_usage=adds_usage,
    )


def _check_later(members: Mapping[str, Any]) -> None:
    """`background` is OpenAI's word in Responses, `deferred` xAI's in Chat Completions; neither is known elsewhere."""
    for name in ("background", "deferred"):
        if truth_at(members, name):
            raise invalid(
                name,
                f"'{name}' is not possible here: the tokens of an answer that is made after its reply cannot be held "
                "to a budget. Ask for a stream instead.",
            )


def _check_template(members: Mapping[str, Any]) -> None:
    """vLLM takes one where it is told to trust its clients. What else a template is given is put over its arguments by
    some (SGLang, MLX, older vLLM): a template, other messages, or that nothing is to be made tokens."""
    if members.get("chat_template") is not None:
        raise _template_refused("chat_template", "'chat_template'")
    kwargs = members.get("chat_template_kwargs")
    for name, value in kwargs.items() if isinstance(kwargs, dict) else ():
        if name.casefold() in _RENDERED and value is not None:
            raise _template_refused("chat_template_kwargs", f"'{name[:64]}' in 'chat_template_kwargs'")


_RENDERED = ("chat_template", "conversation", "tokenize")


_PROCESSING = ("mm_processor_kwargs", "media_io_kwargs")


def _check_processing(members: Mapping[str, Any]) -> None:
    """vLLM lets a request say how many pixels it makes of an image, and how many frames of a video."""
    for name in _PROCESSING:
        if members.get(name) not in (None, {}):
            raise invalid(
                name,
                f"'{name}' is not possible here: it says how many tokens an image or a video becomes, so that they "
                "cannot be held to a budget. Leave it out: the server's own settings count.",
            )


def _template_refused(name: str, what: str) -> InvalidRequest:
    return invalid(
        name,
        f"{what} is not possible here: a template may write anything as often as it likes, so that its tokens cannot "
        "be held to a budget. Use the model's own.",
    )


def _ceilings(members: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that are read, and any others that say the same: all of them are lowered."""
    return names + same_as(members, names)


def _ceiling(members: Mapping[str, Any], names: tuple[str, ...], least: int, provider: Compatible) -> int | None:
    """The higher of two that are given: which of them a provider holds to is its own choice. -1 bounds nothing at
    servers like llama.cpp's, which take a whole number with a point, too."""
    given = {name: members[name] for name in names if members.get(name) is not None}
    if not provider.has_openai_models:
        given = {name: _whole(value) for name, value in given.items()}
        if _UNBOUNDED in given.values():
            given = {name: value for name, value in given.items() if value != _UNBOUNDED}
            _highest(given, least)
            return None
    return _highest(given, least)


_UNBOUNDED = -1


def _highest(given: Mapping[str, Any], least: int) -> int | None:
    return max((value for name in given if (value := whole_at(given, name, least)) is not None), default=None)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_response(body: bytes, _variables: Mapping[str, str], provider: Compatible) -> OpenAiAsk:
    document = read_named(body)
    members = document.members
    _check_later(members)
    _check_template(members)
    _check_processing(members)
    names = _ceilings(members, ("max_output_tokens",))
    check_bounds(members, names, ("n",))
    model, read = _response_model(members), read_by_response(members)
    return OpenAiAsk(
        document.without_content(),
        model,
        truth_at(members, "stream"),
        _response_size(members, read, model, provider),
        _ceiling(members, names, 1, provider),
        RESPONSE_OUTPUT_MIN,
        whole_at(members, "n", most=ANSWERS_MAX) or 1,  # not OpenAI's, but llama.cpp may read it here too
        names,
        ceiling_to_add=names[0],
        stored=stored_by_response(members),
    )


def _response_size(members: Mapping[str, Any], read: Named | None, model: str, provider: Compatible) -> Size:
    gathered, images = _gathered(provider), Images(model, is_openai=provider.has_openai_models)
    found = sum(gather_content(gathered, members.get(name), images) for name in ("input", "instructions", "prompt"))
    tools, added = members.get("tools"), added_tools(members.get("input"))
    gather_tools(gathered, tools)
    if added and not tools:
        gathered.media_tokens += TOOLS_TOKENS
    gathered.spare_tokens += hosted_tokens([*tools, *added] if isinstance(tools, list) else added, found)
    _gather_schemas(gathered, members, ("text",))
    if found and not provider.has_openai_models:
        gather_marks(gathered)
    gathered.others(members, _RESPONSE)
    if members.get("prompt") is not None:
        gathered.media_tokens += STORED_TOKENS
    if read is not None:
        gathered.stored_tokens = STORED_TOKENS
    return gathered.size


def _response_model(members: Mapping[str, Any]) -> str:
    """A stored prompt may name the model in its stead: then we cannot know which it is."""
    if members.get("model") is None and members.get("prompt") is not None:
        raise InvalidRequest("'model' is required here, also beside a stored prompt.")
    return text_at(members, "model")


def read_embeddings(body: bytes, variables: Mapping[str, str], provider: Compatible) -> OpenAiAsk:
    document = read_named(body, lists_tokens=True)
    members = document.members
    _check_template(members)
    _check_processing(members)
    gathered = _gathered(provider)
    gather_input(gathered, members.get("input"))
    gather_content(gathered, members.get("messages"))
    _gather_schemas(gathered, members, _TEMPLATE)
    gathered.others(members, _EMBEDDINGS)
    return OpenAiAsk(document.without_content(), _model(members, variables), False, gathered.size, 0, 0)
