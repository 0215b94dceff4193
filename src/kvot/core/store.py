"""The seam between the ledger and its engines: the operation, not the query.

Each operation is one atomic, durable step. An engine never reads a clock (`now_ms` is given) and never decides
policy (`Rules` are given when it is opened). Every write first advances the company's clock to `max(clock, now_ms)`
and closes the holds that are due by then, in order of expiry (then of id), whatever comes of the rest; a company
comes into being with its first write. Reads change nothing: they see due holds as closed without closing them, and
time as `max(clock, now_ms)`.

An engine raises StoreUnavailable when it cannot answer, InvalidRequest(code "BeyondRetention") when a read asks for
what has been pruned, and nothing else. Meanings of all numbers: docs/internals/ledger.md.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from kvot.core.budget import Budget, PartialBudget, Rules
from kvot.core.model import (
    CompanyBudget,
    Correction,
    Decision,
    EventColumns,
    Hold,
    HoldChange,
    HoldEnd,
    NewEvent,
    NewHold,
    Pruned,
    Recorded,
    Series,
    Settlement,
    Share,
    SharedVerification,
    Status,
    Usage,
    Verification,
)

OnEvents = Callable[[int], None]
"""Told of so many events more that a long operation has dealt with."""


TAG_DIGITS = 10
"""Of the tag in the id of a hold: lower-case hexadecimal ones."""


def ignore(events: int) -> None:
    """Nobody is to be told."""


class Store(Protocol):
    @property
    def rules(self) -> Rules: ...

    # -- usage ---------------------------------------------------------------------------------------------------

    async def record(self, company_id: str, event: NewEvent, *, now_ms: int) -> Recorded:
        """Count an event once, over budget too. DONE, REPLAYED, CONFLICT, IN_FUTURE, BEYOND_RETENTION, COUNTER_FULL.

        An event without a time gets the company's clock. Same content means every field that the client sent.
        """
        ...

    async def record_many(self, events: EventColumns, *, now_ms: int) -> list[Status]:
        """Record a batch as if its events one by one, in order, durable together; one status each."""
        ...

    async def correct(self, company_id: str, correction: Correction, *, now_ms: int) -> Recorded:
        """Add to, or take from, an earlier event at its own time.

        DONE, REPLAYED, CONFLICT, NOT_FOUND, NOT_CORRECTABLE, BEYOND_RETENTION, BELOW_ZERO (the event and its
        corrections together may not fall below zero, so usage only falls as time passes), COUNTER_FULL.
        """
        ...

    async def usage(
        self, company_id: str, *, now_ms: int, at_ms: int | None = None, window_ms: int | None = None
    ) -> Usage:
        """Usage at an instant (None: now), in the budget's window or another, against the budget of that instant."""
        ...

    async def series(
        self, company_id: str, edges_ms: Sequence[int], *, now_ms: int, window_ms: int | None = None
    ) -> Series:
        """Tokens between neighbouring edges (ascending), and the rolling usage at each edge.

        `window_ms` None: at each edge the window of the budget of that instant.
        """
        ...

    async def breakdown(self, company_id: str, by: str, *, first_hour: int, end_hour: int, now_ms: int) -> list[Share]:
        """Tokens by "model", "user", "feature" or "source" over whole hours `[first_hour, end_hour)`, most first."""
        ...

    async def fits_at(self, company_id: str, tokens: int, *, now_ms: int) -> int | None:
        """The first instant from now on at which so many tokens fit if nothing else happens; None if they never will.

        Counted as reserve counts: events ahead of the clock are in, holds run out when they are due (a dispatched one
        then counts as used for a window).
        """
        ...

    # -- holds ---------------------------------------------------------------------------------------------------

    async def reserve(self, company_id: str, hold: NewHold, *, now_ms: int, is_alone: bool = False) -> Decision:
        """Set tokens aside if all used (events ahead of the clock too) and held tokens and these fit the limit.

        is_alone: no other call is served, so that an engine may do this without making way for any.

        DONE, REPLAYED, CONFLICT, IN_DOUBT, OVER_LIMIT. A refusal is not remembered. The replay of a hold answers with
        the hold as it now stands, also when it is closed.
        """
        ...

    async def dispatch(self, company_id: str, hold_id: str, *, now_ms: int) -> HoldChange:
        """Mark the hold's call as sent: from now on an expired hold is charged. DONE, REPLAYED, NOT_FOUND, CLOSED."""
        ...

    async def renew(self, company_id: str, hold_id: str, ttl_ms: int, *, now_ms: int) -> HoldChange:
        """Let an open hold last until `ttl_ms` from now, never shorter than it does. DONE, NOT_FOUND, CLOSED."""
        ...

    async def settle(self, company_id: str, hold_id: str, settlement: Settlement, *, now_ms: int) -> HoldChange:
        """Replace a hold by what was used, also above the hold and also after it ran out.

        DONE, REPLAYED, CONFLICT (settled otherwise, or released), NOT_FOUND, BEYOND_RETENTION, COUNTER_FULL.
        A hold that ran out uncharged is recorded now; one that was charged at its estimate is corrected to the figure
        at the time of the charge. A settlement carries the hold's provider, model, user and feature where its own are
        None. The event's id is `settlement_event_id(hold_id)`. The receipt stands with the event, or the correction,
        that this makes; a retry may bring another, and the first one stays.
        """
        ...

    @property
    def settles_soon(self) -> bool:
        """Whether what is asked after `settle_soon` has returned, by whomever, is answered as after the settlement."""
        ...

    def settle_soon(
        self, company_id: str, hold_id: str, settlement: Settlement, *, now_ms: int
    ) -> Awaitable[HoldChange]:
        """As `settle`; but where `settles_soon`, the settlement has its place when this returns. Elsewhere nothing is
        done until what is returned is awaited.

        What is returned has the answer once it is durable, and raises StoreUnavailable if it never will be. If the
        process dies between, the hold is as it was: open, and charged when it runs out. Raises StoreUnavailable at once
        where nothing more is taken.
        """
        ...

    async def release(self, company_id: str, hold_id: str, *, actor: str | None = None, now_ms: int) -> HoldChange:
        """Drop a hold whose call used nothing. DONE, REPLAYED, CONFLICT (settled), NOT_FOUND, BEYOND_RETENTION.

        A hold that ran out uncharged stays EXPIRED (REPLAYED); one that was charged is corrected to zero. That leaves a
        line in the audit log, in the same transaction, of whose doing it is. `actor` None: nobody's decision, and no
        line: so the gateway drops the holds of calls that were refused.
        """
        ...

    async def hold(self, company_id: str, hold_id: str, *, now_ms: int) -> HoldChange:
        """The hold as it stands, due ones seen as closed. DONE or NOT_FOUND."""
        ...

    async def open_holds(self, company_id: str, *, limit: int, now_ms: int) -> list[Hold]:
        """The open holds, those first that last longest; at most `limit`. Those of one instant come in any order."""
        ...

    async def tagged_holds(
        self, company_id: str, tags: Sequence[str], *, within_ms: int, limit: int, now_ms: int
    ) -> list[HoldEnd]:
        """The holds whose ids are UUIDs that end in one of the tags (`TAG_DIGITS`), those first that were made last.

        Looked for among the last `limit` that were made within so long before the company's clock, and among the
        `limit` open ones that last longest. Due ones are seen as closed.
        """
        ...

    async def expire(self, company_id: str | None = None, *, now_ms: int) -> int:
        """Close the due holds of a company, or of every one; how many. Never needed for a right answer: it makes
        charges durable."""
        ...

    # -- budgets -------------------------------------------------------------------------------------------------

    async def set_budget(
        self, company_id: str, budget: Budget | PartialBudget, *, actor: str, reason: str | None, now_ms: int
    ) -> CompanyBudget:
        """Takes effect at the company's clock; what a partial budget leaves out stays as it is then.

        The same budget again is a new line of history all the same.

        Raises InvalidRequest "BeyondRetention" when the new window would reach below the floor of what is kept.
        """
        ...

    async def budget(self, company_id: str, *, now_ms: int, at_ms: int | None = None) -> CompanyBudget: ...

    # -- keeping -------------------------------------------------------------------------------------------------

    async def companies(self) -> list[str]:
        """Every company with a ledger or a budget, sorted."""
        ...

    async def prune(self, company_id: str, before_ms: int, *, now_ms: int, on_events: "OnEvents" = ignore) -> Pruned:
        """Forget events, closed holds and rollup hours at or before `floor_before(before_ms)`.

        Stored replies that are older than they are kept go with them.

        The floor is `floor_before(min(before_ms, clock - window_ms))`, so the window of the company's budget stays
        whole, and never sinks. Ids of forgotten events are forgotten with them. Every question above the floor keeps
        its answer.

        The floor is raised at once; what it forgets may be deleted in pieces, between which other writes are taken.
        `on_events` is told of how many events each piece was. What an end on the way leaves is seen by no question, but
        ids may still be known; the next prune deletes it.
        """
        ...

    async def verify(self, company_id: str, *, now_ms: int) -> Verification:
        """Recompute every kept number from the events. A difference puts the company in doubt; none takes it out."""
        ...

    async def verify_shared(self, company_id: str | None = None, *, now_ms: int) -> SharedVerification:
        """What `verify` of each company cannot see: clocks that are more than `LEAP_MAX_MS` later than now; and, where
        no company is named, rows of companies that have no row of their own, and the audit log. Changes nothing.

        A clock that is ahead puts nobody in doubt: a machine's clock that was set right does that, too.
        """
        ...

    async def ready(self) -> None:
        """Return if writes can be taken on a current schema; raise StoreUnavailable with the reason if not.

        A database into which a copy was begun and not finished is never ready, so that it does not pass for whole.
        """
        ...

    async def close(self) -> None:
        """Finish what was taken, then let go of everything. Later calls raise StoreUnavailable."""
        ...


def settlement_event_id(hold_id: str) -> str:
    """The id of the event that a hold ends in. The arrow keeps it apart from clients' ids, which are visible ASCII."""
    return f"hold→{hold_id}"


def late_settlement_event_id(hold_id: str) -> str:
    """The id of the correction that turns a charge at the estimate into the figure that came late."""
    return f"late→{hold_id}"


def unheld_event_id(hold_id: str) -> str:
    """The id of the event that counts what the call of a hold used, where somebody else had dropped the hold."""
    return f"unheld→{hold_id}"
