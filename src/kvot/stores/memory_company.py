"""One company of the reference engine: the rules of the ledger as plainly as they can be written.

It keeps what happened (events, holds, budget changes) in dictionaries, and every number is summed from them when it is
asked for: no running totals, no indexes, nothing that could be wrong on its own. What the numbers mean:
docs/internals/ledger.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from kvot.core.budget import Budget, BudgetChange, Rules, fits
from kvot.core.errors import beyond_retention
from kvot.core.model import (
    TOTAL_MAX,
    CallDetail,
    Correction,
    Event,
    Hold,
    HoldEnd,
    HoldState,
    Kind,
    NewEvent,
    NewHold,
    Pruned,
    Series,
    Settlement,
    Share,
    Source,
    Status,
    Usage,
    described,
)
from kvot.core.store import late_settlement_event_id, settlement_event_id
from kvot.core.stored_replies import FORGOTTEN_AT_ONCE_MAX, REPLIES_KEPT_MS, StoredReply
from kvot.core.window import floor_before

_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Company:
    """What happened in one company, and the sums over it. `clock_ms` is its time; only `advance` moves it."""

    rules: Rules
    clock_ms: int = 0
    floor_ms: int | None = None  # detail at or before it is forgotten; None: nothing ever was
    forgotten_tokens: int = 0
    events: dict[str, Event] = field(default_factory=dict)
    sent: dict[str, NewEvent | Correction] = field(default_factory=dict)  # by event id, as the client sent it
    holds: dict[str, Hold] = field(default_factory=dict)
    asked: dict[str, NewHold] = field(default_factory=dict)  # by hold id, as the client sent it
    settled: dict[str, Settlement] = field(default_factory=dict)  # the same
    changes: list[BudgetChange] = field(default_factory=list)
    replies: dict[tuple[str, str], StoredReply] = field(default_factory=dict)  # by provider and id

    # -- time ------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> int:
        """Let time pass, never backward, and close the holds that are due by then. How many were."""
        self.clock_ms = max(self.clock_ms, now_ms)
        due = [hold for hold in self._open_holds() if hold.expires_at_ms <= self.clock_ms]
        for hold in sorted(due, key=lambda hold: (hold.expires_at_ms, hold.hold_id)):
            self._run_out(hold)
        return len(due)

    def seen_at(self, now_ms: int) -> "Company":
        """A copy on which time has passed: what a read at `now_ms` sees."""
        copy = replace(
            self,
            events=dict(self.events),
            sent=dict(self.sent),
            holds=dict(self.holds),
            asked=dict(self.asked),
            settled=dict(self.settled),
            changes=list(self.changes),
            replies=dict(self.replies),
        )
        copy.advance(now_ms)
        return copy

    def _open_holds(self) -> list[Hold]:
        return [hold for hold in self.holds.values() if hold.state is HoldState.OPEN]

    def _run_out(self, hold: Hold) -> None:
        """Close a due hold at the instant it ran out; charge its estimate if its call was sent."""
        if not hold.dispatched:
            self._close(hold, HoldState.EXPIRED, hold.expires_at_ms)
            return
        self._close(hold, HoldState.CHARGED, hold.expires_at_ms)
        event_id = settlement_event_id(hold.hold_id)
        self.events[event_id] = Event(
            event_id, hold.expires_at_ms, False, hold.amount, Kind.EXPIRY, Source.ESTIMATED, described(hold)
        )

    def _close(self, hold: Hold, state: HoldState, at_ms: int) -> None:
        self.holds[hold.hold_id] = hold._replace(state=state, closed_at_ms=at_ms)

    # -- numbers ---------------------------------------------------------------------------------------------

    def used(self, at_ms: int, window_ms: int) -> int:
        """Tokens of the events in `(at_ms - window_ms, at_ms]`."""
        return self._tokens_between(at_ms - window_ms + 1, at_ms + 1)

    def held(self, at_ms: int) -> int:
        """Tokens of the holds that were, are or will be open at an instant."""
        return sum(hold.amount for hold in self.holds.values() if hold.created_at_ms <= at_ms < end_of(hold))

    def committed(self) -> int:
        """What counts against the limit now: used, held, and the events ahead of the clock."""
        after_ms = self.clock_ms - self.budget(self.clock_ms).window_ms
        used_and_ahead = sum(event.tokens for event in self.events.values() if event.at_ms > after_ms)
        return used_and_ahead + self.held(self.clock_ms)

    def fits_now(self, tokens: int) -> bool:
        return fits(self.committed(), tokens, self.budget(self.clock_ms).token_limit)

    def fits_at(self, tokens: int) -> int | None:
        """The first instant from now on at which so many tokens fit if nothing else happens."""
        for at_ms in self._instants_of_change():
            if self.seen_at(at_ms).fits_now(tokens):
                return at_ms
        return None

    def _instants_of_change(self) -> list[int]:
        """Now, and every later instant at which an event leaves the window, a hold runs out or its charge leaves."""
        window_ms = self.budget(self.clock_ms).window_ms
        leaves = {event.at_ms + window_ms for event in self.events.values()}
        runs_out = {hold.expires_at_ms for hold in self._open_holds()}
        charge_leaves = {at_ms + window_ms for at_ms in runs_out}
        later = {at_ms for at_ms in leaves | runs_out | charge_leaves if at_ms > self.clock_ms}
        return [self.clock_ms, *sorted(later)]

    def budget(self, at_ms: int) -> Budget:
        """The last budget that was set by then, in the order of setting."""
        budget = self.rules.default_budget
        for change in self.changes:
            if change.effective_at_ms <= at_ms:
                budget = change.budget
        return budget

    def usage(self, company_id: str, at_ms: int | None = None, window_ms: int | None = None) -> Usage:
        at_ms = self.clock_ms if at_ms is None else at_ms
        budget = self.budget(at_ms)
        window_ms = budget.window_ms if window_ms is None else window_ms
        self._need_detail_after(at_ms - window_ms)
        used, held = self.used(at_ms, window_ms), self.held(at_ms)
        return Usage(company_id, at_ms, window_ms, used, held, budget.token_limit)

    def series(self, edges_ms: Sequence[int], window_ms: int | None) -> Series:
        windows = [window_ms or self.budget(edge_ms).window_ms for edge_ms in edges_ms]
        for edge_ms, width_ms in zip(edges_ms, windows, strict=True):
            self._need_detail_after(edge_ms - width_ms)
        tokens = [self._tokens_between(first_ms, end_ms) for first_ms, end_ms in pairwise(edges_ms)]
        rolling = [self.used(edge_ms, width_ms) for edge_ms, width_ms in zip(edges_ms, windows, strict=True)]
        return Series(tuple(edges_ms), tuple(tokens), tuple(rolling))

    def breakdown(self, by: str, first_ms: int, end_ms: int) -> list[Share]:
        self._need_detail_after(first_ms - 1)
        groups: dict[str | None, list[Event]] = {}
        for event in self.events.values():
            if first_ms <= event.at_ms < end_ms:
                groups.setdefault(label_of(event, by), []).append(event)
        shares = [share_of(label, events) for label, events in groups.items()]
        return sorted(shares, key=lambda share: (-share.tokens, share.label is None, share.label or ""))

    def _tokens_between(self, first_ms: int, end_ms: int) -> int:
        return sum(event.tokens for event in self.events.values() if first_ms <= event.at_ms < end_ms)

    def _worth(self, event_id: str) -> int:
        """What an event and its corrections come to."""
        corrections = sum(event.tokens for event in self.events.values() if event.ref == event_id)
        return self.events[event_id].tokens + corrections

    # -- bounds ----------------------------------------------------------------------------------------------

    def _need_detail_after(self, after_ms: int) -> None:
        if self.floor_ms is not None and after_ms < self.floor_ms:
            raise beyond_retention(self.floor_ms)

    def _is_beyond_retention(self, at_ms: int) -> bool:
        is_forgotten = self.floor_ms is not None and at_ms <= self.floor_ms
        return is_forgotten or self.clock_ms - at_ms > self.rules.retention_ms

    def _is_full(self, tokens: int) -> bool:
        total = self.forgotten_tokens + sum(event.tokens for event in self.events.values())
        return total + tokens > TOTAL_MAX

    # -- events ----------------------------------------------------------------------------------------------

    def record(self, event: NewEvent) -> Status:
        content = event._replace(receipt=None)
        if event.event_id in self.events:
            return self._replay(event.event_id, content)
        at_ms = self.clock_ms if event.at_ms is None else event.at_ms
        if at_ms > self.clock_ms + self.rules.future_max_ms:
            return Status.IN_FUTURE
        if self._is_beyond_retention(at_ms):
            return Status.BEYOND_RETENTION
        if self._is_full(event.tokens):
            return Status.COUNTER_FULL
        at_given = event.at_ms is not None
        self.events[event.event_id] = Event(
            event.event_id, at_ms, at_given, event.tokens, Kind.USAGE, event.source, event.detail, receipt=event.receipt
        )
        self.sent[event.event_id] = content
        return Status.DONE

    def correct(self, correction: Correction) -> Status:
        # Who corrects is not part of what was sent: it comes from the credential.
        content = correction._replace(actor="")
        if correction.event_id in self.events:
            return self._replay(correction.event_id, content)
        target = self.events.get(correction.target_id)
        if target is None:
            return Status.NOT_FOUND
        if target.kind is Kind.CORRECTION:
            return Status.NOT_CORRECTABLE
        if self._is_beyond_retention(target.at_ms):
            return Status.BEYOND_RETENTION
        if self._worth(target.event_id) + correction.tokens < 0:
            return Status.BELOW_ZERO
        if self._is_full(correction.tokens):
            return Status.COUNTER_FULL
        self._add_correction(correction.event_id, target, Settlement(correction.tokens), correction.reason)
        self.sent[correction.event_id] = content
        return Status.DONE

    def _replay(self, event_id: str, content: NewEvent | Correction) -> Status:
        return Status.REPLAYED if self.sent.get(event_id) == content else Status.CONFLICT

    def _add_correction(self, event_id: str, target: Event, difference: Settlement, reason: str | None) -> None:
        """At the target's time and under its labels, so that it moves the same sums that the target moved."""
        self.events[event_id] = Event(
            event_id,
            target.at_ms,
            False,
            difference.tokens,
            Kind.CORRECTION,
            Source.CORRECTED,
            CallDetail(*target.detail[:4], *difference.detail[4:]),
            target.event_id,
            reason,
            difference.receipt,
        )

    # -- holds -----------------------------------------------------------------------------------------------

    def reserve(self, hold: NewHold) -> Status:
        if hold.hold_id in self.holds:
            return Status.REPLAYED if self.asked[hold.hold_id] == hold else Status.CONFLICT
        if not self.fits_now(hold.amount):
            return Status.OVER_LIMIT
        self.add_hold(hold)
        return Status.DONE

    def add_hold(self, hold: NewHold) -> None:
        self.asked[hold.hold_id] = hold
        self.holds[hold.hold_id] = Hold(
            *hold,
            created_at_ms=self.clock_ms,
            expires_at_ms=self.clock_ms + hold.ttl_ms,
            state=HoldState.OPEN,
            closed_at_ms=None,
            actual=None,
        )

    def open_holds(self) -> list[Hold]:
        return sorted(self._open_holds(), key=lambda hold: -hold.expires_at_ms)

    def tagged_holds(self, tags: Sequence[str], within_ms: int, limit: int) -> list[HoldEnd]:
        newest = sorted(self.holds.values(), key=lambda hold: -hold.created_at_ms)
        recent = [hold for hold in newest if hold.created_at_ms > self.clock_ms - within_ms][:limit]
        seen = {hold.hold_id for hold in (*recent, *self.open_holds()[:limit])}
        return [self._end(hold) for hold in newest if hold.hold_id in seen and _is_tagged(hold.hold_id, tags)]

    def _end(self, hold: Hold) -> HoldEnd:
        settled = self.settled.get(hold.hold_id)
        tokens = hold.amount if settled is None else settled.tokens
        source = None if settled is None else settled.source
        return HoldEnd(hold.hold_id, hold.state, hold.expires_at_ms, hold.closed_at_ms, tokens, source)

    def dispatch(self, hold_id: str) -> Status:
        hold = self.holds.get(hold_id)
        if hold is None:
            return Status.NOT_FOUND
        if hold.dispatched:
            return Status.REPLAYED
        if hold.state is not HoldState.OPEN:
            return Status.CLOSED
        self.holds[hold_id] = hold._replace(dispatched=True)
        return Status.DONE

    def renew(self, hold_id: str, ttl_ms: int) -> Status:
        hold = self.holds.get(hold_id)
        if hold is None:
            return Status.NOT_FOUND
        if hold.state is not HoldState.OPEN:
            return Status.CLOSED
        self.holds[hold_id] = hold._replace(expires_at_ms=max(hold.expires_at_ms, self.clock_ms + ttl_ms))
        return Status.DONE

    def settle(self, hold_id: str, settlement: Settlement) -> Status:
        hold = self.holds.get(hold_id)
        if hold is None:
            return Status.NOT_FOUND
        if hold.state is HoldState.SETTLED:
            return Status.REPLAYED if self.settled[hold_id] == _as_compared(settlement) else Status.CONFLICT
        if hold.state is HoldState.RELEASED:
            return Status.CONFLICT
        if hold.state is HoldState.CHARGED:
            status = self._correct_charge(hold, settlement)
        else:
            status = self._record_settlement(hold, settlement)
        if status is Status.DONE:
            self._close(hold._replace(actual=settlement.tokens), HoldState.SETTLED, self._closed_at(hold))
            self.settled[hold_id] = _as_compared(settlement)
        return status

    def release(self, hold_id: str) -> Status:
        hold = self.holds.get(hold_id)
        if hold is None:
            return Status.NOT_FOUND
        if hold.state in (HoldState.RELEASED, HoldState.EXPIRED):
            return Status.REPLAYED
        if hold.state is HoldState.SETTLED:
            return Status.CONFLICT
        status = self._correct_charge(hold, Settlement(0)) if hold.state is HoldState.CHARGED else Status.DONE
        if status is Status.DONE:
            self._close(hold, HoldState.RELEASED, self._closed_at(hold))
        return status

    def _closed_at(self, hold: Hold) -> int:
        """A hold that ran out stopped holding tokens then, whatever is learnt later."""
        return self.clock_ms if hold.closed_at_ms is None else hold.closed_at_ms

    def _record_settlement(self, hold: Hold, settlement: Settlement) -> Status:
        if self._is_full(settlement.tokens):
            return Status.COUNTER_FULL
        event_id = settlement_event_id(hold.hold_id)
        detail = described(hold, settlement.detail)
        self.events[event_id] = Event(
            event_id,
            self.clock_ms,
            False,
            settlement.tokens,
            Kind.SETTLEMENT,
            settlement.source,
            detail,
            receipt=settlement.receipt,
        )
        return Status.DONE

    def _correct_charge(self, hold: Hold, figure: Settlement) -> Status:
        """Make the charge, with whatever corrections it has had, come to the figure."""
        charge = self.events[settlement_event_id(hold.hold_id)]
        difference = figure._replace(tokens=figure.tokens - self._worth(charge.event_id))
        if self._is_beyond_retention(charge.at_ms):
            return Status.BEYOND_RETENTION
        if self._is_full(difference.tokens):
            return Status.COUNTER_FULL
        self._add_correction(late_settlement_event_id(hold.hold_id), charge, difference, None)
        return Status.DONE

    # -- budgets and keeping ---------------------------------------------------------------------------------

    def set_budget(self, change: BudgetChange) -> None:
        self._need_detail_after(self.clock_ms - change.budget.window_ms)
        self.changes.append(change)

    def prune(self, before_ms: int) -> Pruned:
        window_start_ms = self.clock_ms - self.budget(self.clock_ms).window_ms
        floor_ms = floor_before(min(before_ms, window_start_ms))
        self.floor_ms = floor_ms if self.floor_ms is None else max(self.floor_ms, floor_ms)
        forgotten = [event for event in self.events.values() if event.at_ms <= self.floor_ms]
        for event in forgotten:
            del self.events[event.event_id]
            self.sent.pop(event.event_id, None)
            self.forgotten_tokens += event.tokens
        for hold in list(self.holds.values()):
            if self._is_forgotten(hold, self.floor_ms):
                self._forget(hold.hold_id)
        self._forget_replies(len(self.replies))
        return Pruned(self.floor_ms, len(forgotten))

    def _is_forgotten(self, hold: Hold, floor_ms: int) -> bool:
        """A hold is remembered as long as its event is, or the id could be taken a second time."""
        has_event = settlement_event_id(hold.hold_id) in self.events
        return hold.closed_at_ms is not None and hold.closed_at_ms <= floor_ms and not has_event

    def _forget(self, hold_id: str) -> None:
        del self.holds[hold_id], self.asked[hold_id]
        self.settled.pop(hold_id, None)

    # -- stored replies --------------------------------------------------------------------------------------

    def remember(self, provider: str, reply_id: str, tokens: int | None) -> None:
        self.replies[provider, reply_id] = StoredReply(provider, reply_id, self.clock_ms, tokens)
        self._forget_replies(FORGOTTEN_AT_ONCE_MAX)

    def find_reply(self, provider: str, reply_id: str) -> StoredReply | None:
        reply = self.replies.get((provider, reply_id))
        return reply if reply is not None and reply.at_ms > self.clock_ms - REPLIES_KEPT_MS else None

    def _forget_replies(self, count: int) -> None:
        """The oldest of those that are not kept any longer, at most `count`."""
        last_ms = self.clock_ms - REPLIES_KEPT_MS
        old = sorted((reply.at_ms, which) for which, reply in self.replies.items() if reply.at_ms <= last_ms)
        for _, which in old[:count]:
            del self.replies[which]


def _is_tagged(hold_id: str, tags: Sequence[str]) -> bool:
    return hold_id.endswith(tuple(tags)) and _UUID.fullmatch(hold_id) is not None


def _as_compared(settlement: Settlement) -> Settlement:
    """What makes a retry the same."""
    return settlement._replace(receipt=None)


def end_of(hold: Hold) -> int:
    """The first instant at which a hold no longer holds tokens, as far as is known."""
    return hold.expires_at_ms if hold.closed_at_ms is None else hold.closed_at_ms


def label_of(event: Event, by: str) -> str | None:
    if by == "source":
        return event.source.value
    label: str | None = getattr(event.detail, by)
    return label


def share_of(label: str | None, events: list[Event]) -> Share:
    return Share(
        label,
        len(events),
        sum(event.tokens for event in events),
        sum(event.detail.input_tokens or 0 for event in events),
        sum(event.detail.output_tokens or 0 for event in events),
    )
