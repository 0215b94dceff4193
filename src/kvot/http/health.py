"""Is the process alive, and may it be sent work? Paths that load balancers ask, without credentials.

`/livez` and `/readyz` are the two; many charts still probe `/healthz`, and clients of other hosts `/ping`: both are
`/livez` by another name.

Anybody may ask, so what is wrong is told without the database's file, address or user; all of it is in the log.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.window import MS_PER_DAY, MS_PER_HOUR, MS_PER_SECOND
from kvot.http import replies
from kvot.http.replies import Reply
from kvot.telemetry.logs import logger

_JSON = ((b"content-type", b"application/json; charset=utf-8"), replies.NO_STORE)
_WELL = "ok"


VERBOSE = b"verbose"

Page = Callable[[bytes], Awaitable[Reply]]
"""From the query, as it was sent, to what the path says now."""


async def _unchecked() -> None:
    """Where there is no secret to compare."""


class Health:
    """`leap_ms`: by how much the wall clock is ahead of what the process believes; 0 when all is well.

    `jwks_problem`: why the keys of bearer tokens could not be fetched the last time. Whoever comes with an API key is
    served all the same, so that is told and takes no readiness away.

    `check_secret` raises StoreUnavailable where the database was given another secret than this process has. Whoever
    gives it cannot tell the servers that run on it.
    """

    def __init__(
        self,
        ledger: Ledger,
        leap_ms: Callable[[], int] = lambda: 0,
        jwks_problem: Callable[[], str | None] = lambda: None,
        log: Any = None,
        check_secret: Callable[[], Awaitable[None]] = _unchecked,
    ) -> None:
        self._ledger = ledger
        self._leap_ms = leap_ms
        self._jwks_problem = jwks_problem
        self._log = log or logger("kvot.http")
        self._check_secret = check_secret
        self._logged: str | None = None
        self.is_draining = False

    @property
    def pages(self) -> dict[str, Page]:
        return {"/livez": self.live, "/healthz": self.live, "/ping": self.live, "/readyz": self.ready}

    async def live(self, query: bytes = b"") -> Reply:
        return replies.of_text("ok")

    async def ready(self, query: bytes = b"") -> Reply:
        """With `?verbose` each check and what it found, also where one before it has failed already."""
        is_verbose = any(each.partition(b"=")[0] == VERBOSE for each in query.split(b"&"))
        found = {"draining": self._draining(), "clock": self._leap()}
        if is_verbose or not any(found.values()):
            found["store"] = await self._store()
        reason = next(filter(None, found.values()), None)
        said: dict[str, object] = {"ready": False, "reason": reason} if reason else {"ready": True}
        if problem := self._jwks():
            said["problem"] = problem
        if is_verbose:
            said["checks"] = {name: fault or _WELL for name, fault in {**found, "token keys": problem}.items()}
        return Reply(503 if reason else 200, _JSON, msgspec.json.encode(said))

    def _draining(self) -> str | None:
        return "The server is draining: it finishes what it has and takes no more." if self.is_draining else None

    def _leap(self) -> str | None:
        leap_ms = self._leap_ms()
        if not leap_ms:
            return None
        return f"The clock leapt ahead by {in_words(leap_ms)}. Time goes on without the leap; check the clock."

    async def _store(self) -> str | None:
        try:
            await self._ledger.ready()
            await self._check_secret()
        except StoreUnavailable as error:
            self._note(error.message)
            return error.in_public
        self._note(None)
        return None

    def _note(self, fault: str | None) -> None:
        """Log what is wrong with the store when that changes: it is asked every few seconds."""
        if fault == self._logged:
            return
        self._logged = fault
        if fault is None:
            self._log.info("ready again")
        else:
            self._log.error("not ready", reason=fault)

    def _jwks(self) -> str | None:
        problem = self._jwks_problem()
        if not problem:
            return None
        return f"The keys of bearer tokens could not be fetched ({problem}). New keys are not known."


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
