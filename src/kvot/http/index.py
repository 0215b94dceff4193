"""`GET /api`: what can be asked here, for programs that explore."""

from collections.abc import Iterable

import msgspec

from kvot.contract.describe import Operation
from kvot.http.replies import Reply
from kvot.http.surface import Answer, Asked
from kvot.http.table import API

_HEADERS = ((b"content-type", b"application/json; charset=utf-8"),)
_UNTAGGED = "apis"


class ApiIndex:
    """The list does not change while the process runs."""

    def __init__(self, routes: Iterable[Operation]) -> None:
        self._reply = Reply(200, _HEADERS, msgspec.json.encode(_by_tag(routes)))

    def find(self, path: str) -> Answer | None:
        return self._answer if path.lower().rstrip("/") == API.rstrip("/") else None

    async def _answer(self, asked: Asked) -> Reply:
        return self._reply


def _by_tag(routes: Iterable[Operation]) -> dict[str, list[dict[str, object]]]:
    listed: dict[str, list[dict[str, object]]] = {}
    for operation in routes:
        for tag in operation.tags or (_UNTAGGED,):
            listed.setdefault(tag, []).append(_entry(operation))
    return listed


def _entry(operation: Operation) -> dict[str, object]:
    route = operation.routes[0]
    return {
        "name": operation.name,
        "returns": operation.response.__name__ if operation.response else None,
        "description": route.summary,
        "notes": route.notes,
        "links": {"api": API + operation.name, "ui": f"/json/metadata?op={operation.name}"},
    }
