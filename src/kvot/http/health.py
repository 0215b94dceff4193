"""Is the process alive, and may it be sent work? Two paths that load balancers ask, without credentials."""

from collections.abc import Callable

import msgspec

from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.window import MS_PER_DAY, MS_PER_HOUR, MS_PER_SECOND
from kvot.http import replies
from kvot.http.replies import Reply

_JSON = ((b"content-type", b"application/json; charset=utf-8"), (b"cache-control", b"no-store"))


class Health:
    """`leap_ms`: by how much the wall clock is ahead of what the process believes; 0 when all is well.

    `jwks_problem`: why the keys of bearer tokens could not be fetched the last time. Whoever comes with an API key is
    served all the same, so that is told and takes no readiness away.
    """

    def __init__(
        self,
        ledger: Ledger,
        leap_ms: Callable[[], int] = lambda: 0,
        jwks_problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._leap_ms = leap_ms
        self._jwks_problem = jwks_problem
        self.is_draining = False

    async def live(self) -> Reply:
        return replies.of_text("ok")

    async def ready(self) -> Reply:
        reason = await self._reason()
        said: dict[str, object] = {"ready": False, "reason": reason} if reason else {"ready": True}
        if problem := self._jwks_problem():
            said["problem"] = f"The keys of bearer tokens could not be fetched ({problem}). New keys are not known."
        return Reply(503 if reason else 200, _JSON, msgspec.json.encode(said))

    async def _reason(self) -> str | None:
        if self.is_draining:
            return "The server is draining: it finishes what it has and takes no more."
        if leap_ms := self._leap_ms():
            return f"The clock leapt ahead by {in_words(leap_ms)}. Time goes on without the leap; check the clock."
        try:
            await self._ledger.ready()
        except StoreUnavailable as error:
            return error.message
        return None


def in_words(span_ms: int) -> str:
    """A span as people say it, by the greatest unit that it fills and the next: `40 days and 2 hours`."""
    units = (("day", MS_PER_DAY), ("hour", MS_PER_HOUR), ("minute", 60 * MS_PER_SECOND), ("second", MS_PER_SECOND))
    counts: list[tuple[int, str]] = []
    for name, unit_ms in units:
        count, span_ms = divmod(span_ms, unit_ms)
        if count or counts:
            counts.append((count, name))
    told = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts[:2] if count]
    return " and ".join(told) or f"{span_ms} ms"
