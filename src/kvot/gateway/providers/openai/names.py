"""By which names the members of a request to OpenAI's APIs are read, at every provider that follows them.

A name that a provider could take for one of these, and we would not, is refused.
"""

from kvot.gateway.providers.members import Document, check_case, object_at, read_object

_USAGE = frozenset({"include_usage"})
_KNOWN = frozenset({"model", "stream", "stream_options", "store", "background", "deferred"})
_KNOWN |= {"max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of"}
_KNOWN |= {"messages", "prediction", "prompt", "suffix", "input", "instructions"}
_KNOWN |= {"tools", "functions", "response_format", "text"}
_KNOWN |= {"chat_template", "chat_template_kwargs", "documents", "data_sources"}
_KNOWN |= {"mm_processor_kwargs", "media_io_kwargs", "prompt_embeds"}
_KNOWN |= {"conversation", "previous_response_id"}


def read_named(body: bytes, *, lists_tokens: bool = False) -> Document:
    """As `read_object`, of a request whose members have the names that are read. Raises InvalidRequest."""
    document = read_object(body, lists_tokens=lists_tokens)
    check_case(document.members, _KNOWN)
    check_case(object_at(document.members, "stream_options"), _USAGE)
    return document
