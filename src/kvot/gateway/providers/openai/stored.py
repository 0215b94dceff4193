"""Where a request names what the provider keeps of earlier calls: responses, conversations, items, containers, sound.

Files, vector stores and prompts are not among them: no path that makes one is passed on, so they are of whoever keeps
the account, and meant for those who call.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kvot.gateway.dialect import Named
from kvot.gateway.metering.metered import name_or_none
from kvot.gateway.providers.openai.names import read_named

REPLY_ID = "reply_id"
"""The variable of a path that names a response."""

_REQUEST = "request_id"
"""By this member vLLM and SGLang take the id of the response that is made: it may be that of one that is stored."""
_PREVIOUS = "previous_response_id"
_CACHE = "prompt_cache_options"

_Item = Mapping[str, Any]


def stored_by_response(members: Mapping[str, Any]) -> Named | None:
    """What a request to Responses names; an earlier response only if that is all."""
    return Named(_REQUEST) if members.get(_REQUEST) is not None else read_by_response(members)


def read_by_response(members: Mapping[str, Any]) -> Named | None:
    """The same of what the model would read: not of where its answer is kept."""
    if members.get("conversation") is not None:
        return Named("conversation")
    if _is_compared(members):
        return Named(_CACHE)
    if _any(members.get("input"), _is_stored):
        return Named("input")
    if _any(members.get("tools"), _is_in_container):
        return Named("tools")
    previous = members.get(_PREVIOUS)
    return None if previous is None else Named(_PREVIOUS, name_or_none(previous) or "")


def stored_in_response(body: bytes, _variables: Mapping[str, str]) -> Named | None:
    """The same of a request that has not been read. Raises InvalidRequest."""
    return stored_by_response(read_named(body).members)


def stored_in_path(_body: bytes, variables: Mapping[str, str]) -> Named:
    return Named(None, variables[REPLY_ID])


def stored_by_chat(members: Mapping[str, Any]) -> Named | None:
    """Sound of an earlier answer is named in its message."""
    if _is_compared(members):
        return Named(_CACHE)
    is_named = _any(members.get("messages"), lambda message: message.get("audio") is not None)
    return Named("messages") if is_named else None


def _is_compared(members: _Item) -> bool:
    """The cache of one response is compared with that of another, which is told of."""
    options = members.get(_CACHE)
    return isinstance(options, dict) and options.get("comparison_response_id") is not None


def _is_stored(item: _Item) -> bool:
    return _is_reference(item) or _is_in_container(item)


def _is_reference(item: _Item) -> bool:
    """An item by its id alone. One with its content in it is the client's own word, whatever id stands beside."""
    kind = item.get("type")
    if kind is None:
        return item.get("id") is not None and item.get("content") is None
    return kind == "item_reference" or (kind == "image_generation_call" and item.get("result") is None)


def _is_in_container(each: _Item) -> bool:
    """A tool; an item of the input that calls one; an item, or a group of tools, that has tools of its own."""
    environment = each.get("environment")
    places = (each, environment if isinstance(environment, dict) else {})
    is_named = any(place.get("container_id") is not None for place in places)
    return is_named or isinstance(each.get("container"), str) or _any(each.get("tools"), _is_in_container)


def _any(items: object, is_one: Callable[[_Item], bool]) -> bool:
    return isinstance(items, list) and any(type(each) is dict and is_one(each) for each in items)
