"""Where a request names what the provider keeps of earlier calls: responses, conversations, items, containers, sound.

Files, vector stores and prompts are not among them: no path that makes one is passed on, so they are of whoever keeps
the account, and meant for those who call.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kvot.gateway.providers.members import read_object

_Item = Mapping[str, Any]


def stored_by_response(members: Mapping[str, Any]) -> str | None:
    """The first such member of a request to Responses; None: it names nothing."""
    for name in ("previous_response_id", "conversation"):
        if members.get(name) is not None:
            return name
    if _any(members.get("input"), _is_reference):
        return "input"
    return "tools" if _any(members.get("tools"), _is_in_container) else None


def stored_in_response(body: bytes) -> str | None:
    """The same of a request that has not been read. Raises InvalidRequest."""
    return stored_by_response(read_object(body).members)


def stored_by_chat(members: Mapping[str, Any]) -> str | None:
    """Sound of an earlier answer is named in its message."""
    return "messages" if _any(members.get("messages"), lambda message: message.get("audio") is not None) else None


def _is_reference(item: _Item) -> bool:
    """An item by its id alone. One with its content in it is the client's own word, whatever id stands beside."""
    kind = item.get("type")
    if kind is None:
        return item.get("id") is not None and item.get("content") is None
    return kind == "item_reference" or (kind == "image_generation_call" and item.get("result") is None)


def _is_in_container(tool: _Item) -> bool:
    environment = tool.get("environment")
    is_named = isinstance(environment, dict) and environment.get("container_id") is not None
    return is_named or isinstance(tool.get("container"), str)


def _any(items: object, is_one: Callable[[_Item], bool]) -> bool:
    return isinstance(items, list) and any(type(each) is dict and is_one(each) for each in items)
