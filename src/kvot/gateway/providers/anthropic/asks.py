"""What a request to Anthropic's Messages asks for. Its bytes go on as they came, but for a ceiling that is lowered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kvot.core.errors import InvalidRequest
from kvot.gateway.dialect import Named, Size
from kvot.gateway.providers.anthropic.media import THREAD_TOKENS, gather_blocks, gather_tools, image_spare_tokens
from kvot.gateway.providers.anthropic.stored import goes_on, stored_by_messages
from kvot.gateway.providers.bounds import check_bounds
from kvot.gateway.providers.members import (
    Document,
    check_case,
    invalid,
    object_at,
    read_object,
    text_at,
    truth_at,
    whole_at,
    with_values,
)
from kvot.gateway.providers.sizes import Gathered

_CEILING = "max_tokens"
_KNOWN = frozenset({_CEILING, "model", "stream", "messages", "system", "tools", "thinking", "fallbacks", "thread"})
"""Whose case is looked at: Ollama's server, which is written in Go, has this API too."""

_SCHEMAS = ("output_config", "output_format", "compaction", "context_management", "fallbacks")
_READ = frozenset({"messages", "system", "tools", "stream", _CEILING, *_SCHEMAS})
"""What the model reads, or is checked; all else are other settings, or nobody here knows what."""


@dataclass(slots=True)
class MessagesAsk:
    """`max_tokens` is required, so there always is a ceiling. 0 asks for no answer: it only fills the cache."""

    document: Document
    model: str
    is_stream: bool
    size: Size
    output_max: int | None
    output_min: int
    answers: int = 1
    stored: Named | None = None

    def body(self, output_max: int | None = None) -> bytes:
        if output_max is None or self.output_max is None or output_max >= self.output_max:
            return self.document.body
        if output_max < self.output_min:
            raise InvalidRequest(f"A ceiling of {output_max} tokens leaves no room for the thinking budget.")
        return with_values(self.document.body, self.document.places, {_CEILING: b"%d" % output_max})


def read_messages(body: bytes, _variables: Mapping[str, str]) -> MessagesAsk:
    document = read_object(body)
    members = document.members
    check_case(members, _KNOWN)
    check_bounds(members, (_CEILING,))
    ceiling = whole_at(members, _CEILING, least=0)
    if ceiling is None:
        raise invalid(_CEILING, f"'{_CEILING}' is required.")
    model = text_at(members, "model")
    return MessagesAsk(
        document.without_content(),
        model,
        truth_at(members, "stream"),
        _size(members, model),
        ceiling,
        min(ceiling, max(1, _thinking_budget(members) + 1)),
        stored=stored_by_messages(members),
    )


def _thinking_budget(members: Mapping[str, Any]) -> int:
    """It must stay below the ceiling. Where it does not already (some betas allow that), the ceiling is not lowered."""
    return whole_at(object_at(members, "thinking"), "budget_tokens", least=0) or 0


def _size(members: Mapping[str, Any], model: str) -> Size:
    messages = members.get("messages")
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        raise invalid("messages", "'messages' must be a list of objects.")
    gathered = Gathered()
    image_spare = image_spare_tokens(model)
    for each in messages:
        gathered.members(each, ("content",))
        gather_blocks(gathered, each.get("content"), image_spare)
    gather_blocks(gathered, members.get("system"), image_spare)
    gather_tools(gathered, members.get("tools"))
    for name in _SCHEMAS:
        if members.get(name) is not None:
            gathered.schema(members[name])
    gathered.others(members, _READ)
    if goes_on(members):
        gathered.stored_tokens = THREAD_TOKENS
    return gathered.size
