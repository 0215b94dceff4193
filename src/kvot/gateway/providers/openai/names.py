"""By which names the members of a request to OpenAI's APIs are read, at every provider that follows them.

A name that a provider could take for one of these, and we would not, is refused.
"""

from collections.abc import Mapping
from typing import Any

from kvot.core.errors import InvalidRequest
from kvot.gateway.providers.members import Document, check_case, invalid, object_at, read_object

_USAGE = frozenset({"include_usage"})
_KNOWN = frozenset({"model", "stream", "stream_options", "store", "background", "deferred"})
_KNOWN |= {"max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of"}
_KNOWN |= {"messages", "prediction", "prompt", "suffix", "input", "instructions"}
_KNOWN |= {"tools", "functions", "response_format", "text"}
_KNOWN |= {"chat_template", "chat_template_kwargs", "documents", "data_sources"}
_KNOWN |= {"conversation", "previous_response_id"}

_CEILINGS_OF_OTHERS = frozenset({"n_predict", "num_predict", "max_new_tokens", "max_length"})
_ANSWERS_OF_OTHERS = frozenset({"n_cmpl"})


def read_named(body: bytes, *, lists_tokens: bool = False) -> Document:
    """As `read_object`, of a request whose members have the names that are read. Raises InvalidRequest."""
    document = read_object(body, lists_tokens=lists_tokens)
    check_case(document.members, _KNOWN)
    check_case(object_at(document.members, "stream_options"), _USAGE)
    return document


def check_bounds(members: Mapping[str, Any], ceilings: tuple[str, ...]) -> None:
    """Refuse what some servers bound an answer by, or count answers by, and hold to in the stead of what is read here:
    llama.cpp's own names beat those of OpenAI. ceilings: those that are read."""
    for name, value in members.items():
        folded = name.casefold()
        if value is None:
            continue
        if folded in _CEILINGS_OF_OTHERS:
            raise _not_read(name, " or ".join(f"'{each}'" for each in ceilings))
        if folded in _ANSWERS_OF_OTHERS:
            raise _not_read(name, "'n'")


def _not_read(name: str, read: str) -> InvalidRequest:
    return invalid(name, f"'{name}' is not possible here, as it may say other than what is held: use {read}.")
