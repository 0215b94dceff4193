"""What else bounds an answer, or counts answers, at servers that follow one of the APIs.

Each of these names is read by some server beside, or in the place of, the one that its API has: llama.cpp takes all of
OpenAI's at each of its paths, and its own beat them. What is not read here is refused: it may say other than what is
held. A ceiling that says the same as one that is read is harmless, where whoever lowers that lowers both (`same_as`).
"""

from collections.abc import Mapping
from typing import Any

from kvot.core.errors import InvalidRequest
from kvot.gateway.providers.members import invalid

_CEILINGS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_CEILINGS |= {"n_predict", "num_predict", "max_new_tokens", "max_length"}
_UNBOUNDED = frozenset({"auto_max_new_tokens"})
"""Whatever it says beside false: as many as there is room for."""
_ANSWERS = frozenset({"n", "best_of", "n_cmpl"})

_REQUESTS = frozenset({"fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "extra_body"})
"""What a request has of others that may be made in its place (Anthropic, LiteLLM), or that is put over it (LiteLLM)."""

_PUT_OVER = "extra_body"
_READ = frozenset({"messages", "input", "prompt", "instructions", "tools", "functions", "documents", "prompt_embeds"})
_READ |= {"previous_response_id", "conversation", "request_id", "prompt_cache_options"}
_READ |= {"chat_template", "tokenize", "mm_processor_kwargs", "media_io_kwargs"}
"""What of a request is counted or checked, and so must stand in the request itself."""


def check_bounds(members: Mapping[str, Any], ceilings: tuple[str, ...], answers: tuple[str, ...] = ()) -> None:
    """ceilings, answers: the names that are read. Raises InvalidRequest where another one says something."""
    for name, value in members.items():
        folded = name.casefold()
        is_ceiling = folded in _CEILINGS or folded in _UNBOUNDED
        if is_ceiling and name not in ceilings and value is not None and value is not False:
            raise _not_read(name, ceilings)
        if folded in _ANSWERS and name not in answers and not _says_one(value):
            raise _not_read(name, answers)
        if folded in _REQUESTS:
            _check_requests(name, value)


def same_as(members: Mapping[str, Any], ceilings: tuple[str, ...]) -> tuple[str, ...]:
    """The other names under which a request says what one of its `ceilings` says, as those do that are for any
    server."""
    said = [value for name in ceilings if type(value := members.get(name)) is int and value > 0]
    others = _CEILINGS.difference(ceilings)
    return tuple(name for name in members if name in others and type(members[name]) is int and members[name] in said)


def _check_requests(name: str, requests: object) -> None:
    """At any depth, as a router's fallbacks are those of a model each: one with a bound of its own would use it in the
    place of the one that is held and lowered. An object or a list is none: a schema may have a member of that name."""
    left = [requests]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            left += each.values()
            for bound in each:
                is_put_over = name.casefold() == _PUT_OVER and bound.casefold() in _READ and each[bound] is not None
                if is_put_over or _is_bound(bound.casefold(), each[bound]):
                    message = f"A '{bound[:64]}' is not possible in '{name[:64]}'. "
                    raise invalid(name, message + "Leave it out: the request's own counts.")


def _is_bound(folded: str, value: object) -> bool:
    if folded in _UNBOUNDED:
        return value is not None and value is not False
    if isinstance(value, list | dict | bool | None):
        return False
    return folded in _CEILINGS or (folded in _ANSWERS and not _says_one(value))


def _says_one(value: object) -> bool:
    return value is None or (type(value) is not bool and value == 1)


def _not_read(name: str, read: tuple[str, ...]) -> InvalidRequest:
    advice = "use " + " or ".join(f"'{each}'" for each in read) if read else "leave it out"
    return invalid(name, f"'{name[:64]}' is not possible here, as it may say other than what is held: {advice}.")
