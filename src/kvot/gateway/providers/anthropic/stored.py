"""Where a request names what Anthropic keeps of earlier calls: threads, containers, messages to be compared with.

Nobody knows which company made them, so none of them has a reply's id here: they are named by their member alone.
"""

from collections.abc import Mapping
from typing import Any

from kvot.gateway.dialect import Named
from kvot.gateway.providers.members import read_object

THREAD = "thread"

_PREVIOUS = "previous_message_id"


def stored_by_messages(members: Mapping[str, Any]) -> Named | None:
    """What a request to Messages names; the thread before all else, as its history is read."""
    if goes_on(members):
        return Named(THREAD)
    if _is_container(members.get("container")):
        return Named("container")
    return Named("diagnostics") if _has(members.get("diagnostics"), _PREVIOUS) else None


def stored_in_messages(body: bytes, _variables: Mapping[str, str]) -> Named | None:
    """The same of a request that has not been read. Raises InvalidRequest."""
    return stored_by_messages(read_object(body).members)


def goes_on(members: Mapping[str, Any]) -> bool:
    """From an earlier turn of a thread. One that plainly begins a thread does not; whatever else there may be does."""
    thread = members.get(THREAD)
    if thread is None:
        return False
    return not isinstance(thread, dict) or thread.get("type") != "create" or _has(thread, _PREVIOUS)


def _is_container(container: object) -> bool:
    """An object without an id asks for a new one."""
    return container is not None and (not isinstance(container, dict) or _has(container, "id"))


def _has(value: object, name: str) -> bool:
    return isinstance(value, dict) and value.get(name) is not None
