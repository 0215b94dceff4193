"""Is the process alive, and may it be sent work? Two paths that load balancers ask, without credentials."""

from collections.abc import Callable

import msgspec

from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.http import replies
from kvot.http.replies import Reply

_JSON = ((b"content-type", b"application/json; charset=utf-8"), (b"cache-control", b"no-store"))


class Health:
    """`leap_ms`: by how much the wall clock is ahead of what the process believes; 0 when all is well."""

    def __init__(self, ledger: Ledger, leap_ms: Callable[[], int] = lambda: 0) -> None:
        self._ledger = ledger
        self._leap_ms = leap_ms
        self.is_draining = False

    async def live(self) -> Reply:
        return replies.of_text("ok")

    async def ready(self) -> Reply:
        reason = await self._reason()
        body = msgspec.json.encode({"ready": False, "reason": reason} if reason else {"ready": True})
        return Reply(503 if reason else 200, _JSON, body)

    async def _reason(self) -> str | None:
        if self.is_draining:
            return "The server is draining: it finishes what it has and takes no more."
        if leap_ms := self._leap_ms():
            return f"The clock leapt ahead by {leap_ms} ms. Time goes on without the leap; check the clock."
        try:
            await self._ledger.ready()
        except StoreUnavailable as error:
            return error.message
        return None
