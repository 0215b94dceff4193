"""The oracle: what the ledger must answer, from a list of facts and the definitions alone.

It never forgets, closes or charges anything. It writes down what was taken and when; whether a hold is open, has run
out or was charged, what is in the window and what pruning has put out of reach is worked out at every question. It
shares no code with any engine, and none of the sums in `kvot.core`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from kvot.core.budget import Budget, BudgetChange, Rules
from kvot.core.model import (
    CallDetail,
    Correction,
    Decision,
    Hold,
    HoldChange,
    HoldState,
    NewEvent,
    NewHold,
    Pruned,
    Recorded,
    Series,
    Settlement,
    Share,
    Source,
    Status,
    Usage,
)

PRUNED_IN_STEPS_OF_MS = 16_777_216
"""4.66 hours: pruning cuts at multiples of it."""

LABELS = ("provider", "model", "user", "feature")


class Beyond(Exception):
    """The question reaches below the floor of what is kept."""


class Fact(NamedTuple):
    """So many tokens at such a time. `about`: the id of the fact that it corrects; `content`: what was sent."""

    id: str
    at_ms: int
    tokens: int
    source: Source
    detail: CallDetail
    about: str | None = None
    content: object = None


@dataclass
class Life:
    """A hold: what was asked, from when until when, sent or not, and how its client ended it, if it did."""

    asked: NewHold
    begin_ms: int
    until_ms: int
    sent: bool
    end: HoldState | None = None
    end_ms: int = 0
    settlement: Settlement | None = None

    def ran_out_by(self, now_ms: int) -> bool:
        return self.until_ms <= now_ms and (self.end is None or self.end_ms >= self.until_ms)

    def state_at(self, now_ms: int) -> HoldState:
        if self.end is not None:
            return self.end
        if self.until_ms > now_ms:
            return HoldState.OPEN
        return HoldState.CHARGED if self.sent else HoldState.EXPIRED

    def closed_ms(self, now_ms: int) -> int | None:
        if self.ran_out_by(now_ms):
            return self.until_ms
        return None if self.end is None else self.end_ms

    def holds_at(self, at_ms: int) -> bool:
        ended = self.end is not None and self.end_ms <= at_ms
        return self.begin_ms <= at_ms < self.until_ms and not ended

    def shown(self, now_ms: int) -> Hold:
        state, closed_ms = self.state_at(now_ms), self.closed_ms(now_ms)
        actual = None if self.settlement is None else self.settlement.tokens
        asked = self.asked._replace(dispatched=self.sent)
        return Hold(*asked, self.begin_ms, self.until_ms, state, closed_ms, actual)


@dataclass
class Book:
    """What is known of one company."""

    name: str
    rules: Rules
    now_ms: int = 0
    floor_ms: int = -(10**15)
    facts: list[Fact] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    changes: list[BudgetChange] = field(default_factory=list)

    # -- definitions -------------------------------------------------------------------------------------------------

    def all_facts(self, now_ms: int) -> Iterator[Fact]:
        """What was written down, and a charge for every hold that ran out after its call was sent."""
        yield from self.facts
        for life in self.lives:
            if life.sent and life.ran_out_by(now_ms):
                labels = CallDetail(*life.asked[4:])
                yield Fact(f"hold→{life.asked.hold_id}", life.until_ms, life.asked.amount, Source.ESTIMATED, labels)

    def used(self, now_ms: int, at_ms: int, window_ms: int) -> int:
        if at_ms - window_ms < self.floor_ms:
            raise Beyond
        return sum(fact.tokens for fact in self.all_facts(now_ms) if at_ms - window_ms < fact.at_ms <= at_ms)

    def held(self, at_ms: int) -> int:
        return sum(life.asked.amount for life in self.lives if life.holds_at(at_ms))

    def budget(self, at_ms: int) -> Budget:
        return next(
            (change.budget for change in reversed(self.changes) if change.effective_at_ms <= at_ms),
            self.rules.default_budget,
        )

    def fits(self, at_ms: int, tokens: int) -> bool:
        """Would so many tokens be admitted at an instant if nothing else happened until then?"""
        limit, days = self.budget(at_ms)
        start_ms = at_ms - days * 86_400_000
        used = sum(fact.tokens for fact in self.all_facts(at_ms) if fact.at_ms > start_ms)
        return used + self.held(at_ms) + tokens <= limit

    def fits_at(self, now_ms: int, tokens: int) -> int | None:
        window_ms = self.budget(now_ms).window_days * 86_400_000
        ends = [fact.at_ms + window_ms for fact in self.all_facts(now_ms)]
        ends += [life.until_ms + extra for life in self.lives for extra in (0, window_ms)]
        instants = [now_ms, *sorted(end_ms for end_ms in ends if end_ms > now_ms)]
        return next((at_ms for at_ms in instants if self.fits(at_ms, tokens)), None)

    def usage(self, now_ms: int, at_ms: int | None = None, window_ms: int | None = None) -> Usage:
        at_ms = now_ms if at_ms is None else at_ms
        limit, days = self.budget(at_ms)
        window_ms = days * 86_400_000 if window_ms is None else window_ms
        used = self.used(now_ms, at_ms, window_ms)
        return Usage(self.name, at_ms, window_ms, used, self.held(at_ms), limit)

    # -- what is remembered ------------------------------------------------------------------------------------------

    def fact(self, fact_id: str) -> Fact | None:
        known = (fact for fact in self.all_facts(self.now_ms) if fact.at_ms > self.floor_ms)
        return next((fact for fact in known if fact.id == fact_id), None)

    def life(self, hold_id: str, now_ms: int) -> Life | None:
        """The hold of that id, unless pruning reached both its end and the fact that it ended in."""
        life = next((life for life in reversed(self.lives) if life.asked.hold_id == hold_id), None)
        if life is None:
            return None
        closed_ms = life.closed_ms(now_ms)
        ended_in = self.fact(f"hold→{hold_id}")
        return life if closed_ms is None or closed_ms > self.floor_ms or ended_in else None

    def worth(self, fact_id: str) -> int:
        facts = [fact for fact in self.all_facts(self.now_ms) if fact.at_ms > self.floor_ms]
        return sum(fact.tokens for fact in facts if fact_id in (fact.id, fact.about))

    def too_old(self, at_ms: int) -> bool:
        return at_ms <= self.floor_ms or at_ms < self.now_ms - self.rules.retention_days * 86_400_000


class Oracle:
    """All companies. Writes come with the time of the caller and are written down at the time of the company."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.books: dict[str, Book] = {}

    def write(self, company: str, now_ms: int) -> Book:
        book = self.books.setdefault(company, Book(company, self.rules))
        book.now_ms = max(book.now_ms, now_ms)
        return book

    def read(self, company: str, now_ms: int) -> tuple[Book, int]:
        book = self.books.get(company) or Book(company, self.rules)
        return book, max(book.now_ms, now_ms)

    # -- events ------------------------------------------------------------------------------------------------------

    def record(self, company: str, event: NewEvent, now_ms: int) -> Recorded:
        book = self.write(company, now_ms)
        at_ms = book.now_ms if event.at_ms is None else event.at_ms
        earlier = book.fact(event.event_id)
        if earlier is not None:
            if earlier.content == event:
                return Recorded(Status.REPLAYED, book.usage(book.now_ms), earlier.at_ms)
            return Recorded(Status.CONFLICT, book.usage(book.now_ms))
        if at_ms - book.now_ms > self.rules.future_max_ms:
            return Recorded(Status.IN_FUTURE, book.usage(book.now_ms))
        if book.too_old(at_ms):
            return Recorded(Status.BEYOND_RETENTION, book.usage(book.now_ms))
        fact = Fact(event.event_id, at_ms, event.tokens, event.source, event.detail, None, event)
        book.facts.append(fact)
        return Recorded(Status.DONE, book.usage(book.now_ms), at_ms)

    def correct(self, company: str, correction: Correction, now_ms: int) -> Recorded:
        book = self.write(company, now_ms)
        status, at_ms = self._correct(book, correction)
        return Recorded(status, book.usage(book.now_ms), at_ms)

    def _correct(self, book: Book, correction: Correction) -> tuple[Status, int | None]:
        content = (correction.target_id, correction.tokens, correction.reason)
        earlier = book.fact(correction.event_id)
        if earlier is not None:
            return (Status.REPLAYED, earlier.at_ms) if earlier.content == content else (Status.CONFLICT, None)
        target = book.fact(correction.target_id)
        if target is None:
            return Status.NOT_FOUND, None
        if target.about is not None:
            return Status.NOT_CORRECTABLE, None
        if book.too_old(target.at_ms):
            return Status.BEYOND_RETENTION, None
        if book.worth(target.id) + correction.tokens < 0:
            return Status.BELOW_ZERO, None
        labels = CallDetail(*target.detail[:4])
        fact = Fact(correction.event_id, target.at_ms, correction.tokens, Source.CORRECTED, labels, target.id, content)
        book.facts.append(fact)
        return Status.DONE, target.at_ms

    # -- holds -------------------------------------------------------------------------------------------------------

    def reserve(self, company: str, asked: NewHold, now_ms: int) -> Decision:
        book = self.write(company, now_ms)
        life = book.life(asked.hold_id, book.now_ms)
        if life is not None:
            if life.asked != asked:
                return Decision(Status.CONFLICT, book.usage(book.now_ms))
            return Decision(Status.REPLAYED, book.usage(book.now_ms), life.shown(book.now_ms))
        if not book.fits(book.now_ms, asked.amount):
            at_ms = book.fits_at(book.now_ms, asked.amount)
            wait_ms = None if at_ms is None else at_ms - now_ms
            return Decision(Status.OVER_LIMIT, book.usage(book.now_ms), None, wait_ms)
        life = Life(asked, book.now_ms, book.now_ms + asked.ttl_ms, asked.dispatched)
        book.lives.append(life)
        return Decision(Status.DONE, book.usage(book.now_ms), life.shown(book.now_ms))

    def dispatch(self, company: str, hold_id: str, now_ms: int) -> HoldChange:
        book = self.write(company, now_ms)
        life = book.life(hold_id, book.now_ms)
        if life is None:
            return changed(book, Status.NOT_FOUND, None)
        if life.sent:
            return changed(book, Status.REPLAYED, life)
        if life.state_at(book.now_ms) is not HoldState.OPEN:
            return changed(book, Status.CLOSED, life)
        life.sent = True
        return changed(book, Status.DONE, life)

    def renew(self, company: str, hold_id: str, ttl_ms: int, now_ms: int) -> HoldChange:
        book = self.write(company, now_ms)
        life = book.life(hold_id, book.now_ms)
        if life is None:
            return changed(book, Status.NOT_FOUND, None)
        if life.state_at(book.now_ms) is not HoldState.OPEN:
            return changed(book, Status.CLOSED, life)
        life.until_ms = max(life.until_ms, book.now_ms + ttl_ms)
        return changed(book, Status.DONE, life)

    def settle(self, company: str, hold_id: str, settlement: Settlement, now_ms: int) -> HoldChange:
        book = self.write(company, now_ms)
        life = book.life(hold_id, book.now_ms)
        if life is None:
            return changed(book, Status.NOT_FOUND, None)
        if life.end is not None:
            same = life.end is HoldState.SETTLED and life.settlement == settlement
            return changed(book, Status.REPLAYED if same else Status.CONFLICT, life)
        if life.state_at(book.now_ms) is HoldState.CHARGED:
            if book.too_old(life.until_ms):
                return changed(book, Status.BEYOND_RETENTION, life)
            book.facts.append(late_figure(book, life, settlement.tokens, settlement.detail))
        else:
            detail = filled(settlement.detail, life.asked)
            fact = Fact(f"hold→{hold_id}", book.now_ms, settlement.tokens, settlement.source, detail)
            book.facts.append(fact)
        life.end, life.end_ms, life.settlement = HoldState.SETTLED, book.now_ms, settlement
        return changed(book, Status.DONE, life)

    def release(self, company: str, hold_id: str, now_ms: int) -> HoldChange:
        book = self.write(company, now_ms)
        life = book.life(hold_id, book.now_ms)
        if life is None:
            return changed(book, Status.NOT_FOUND, None)
        state = life.state_at(book.now_ms)
        if state is HoldState.SETTLED:
            return changed(book, Status.CONFLICT, life)
        if state in (HoldState.RELEASED, HoldState.EXPIRED):
            return changed(book, Status.REPLAYED, life)
        if state is HoldState.CHARGED:
            if book.too_old(life.until_ms):
                return changed(book, Status.BEYOND_RETENTION, life)
            book.facts.append(late_figure(book, life, 0, CallDetail()))
        life.end, life.end_ms = HoldState.RELEASED, book.now_ms
        return changed(book, Status.DONE, life)

    def hold(self, company: str, hold_id: str, now_ms: int) -> HoldChange:
        book, now_ms = self.read(company, now_ms)
        life = book.life(hold_id, now_ms)
        status = Status.NOT_FOUND if life is None else Status.DONE
        return HoldChange(status, book.usage(now_ms), None if life is None else life.shown(now_ms))

    def expire(self, now_ms: int) -> int:
        """How many holds ran out since each company's last write."""
        due = 0
        for company, book in self.books.items():
            due += sum(life.end is None and book.now_ms < life.until_ms <= now_ms for life in book.lives)
            self.write(company, now_ms)
        return due

    # -- budgets, reports, keeping -----------------------------------------------------------------------------------

    def set_budget(self, company: str, budget: Budget, actor: str, now_ms: int) -> tuple[BudgetChange, ...]:
        book = self.write(company, now_ms)
        if book.now_ms - budget.window_days * 86_400_000 < book.floor_ms:
            raise Beyond
        book.changes.append(BudgetChange(book.now_ms, budget, actor, None))
        return tuple(book.changes)

    def series(self, company: str, edges_ms: list[int], window_ms: int | None, now_ms: int) -> Series:
        book, now_ms = self.read(company, now_ms)
        rolling = [book.usage(now_ms, edge_ms, window_ms).tokens_used for edge_ms in edges_ms]
        facts = list(book.all_facts(now_ms))
        tokens = [
            sum(fact.tokens for fact in facts if first_ms <= fact.at_ms < end_ms)
            for first_ms, end_ms in pairwise(edges_ms)
        ]
        return Series(tuple(edges_ms), tuple(tokens), tuple(rolling))

    def breakdown(self, company: str, by: str, first_hour: int, end_hour: int, now_ms: int) -> dict[str | None, Share]:
        book, now_ms = self.read(company, now_ms)
        if first_hour * 3_600_000 <= book.floor_ms:
            raise Beyond
        shares: dict[str | None, Share] = {}
        for fact in book.all_facts(now_ms):
            if first_hour <= fact.at_ms // 3_600_000 < end_hour:
                label = str(fact.source) if by == "source" else getattr(fact.detail, by)
                _, events, tokens, in_tokens, out_tokens = shares.get(label, Share(label, 0, 0, 0, 0))
                in_tokens += fact.detail.input_tokens or 0
                out_tokens += fact.detail.output_tokens or 0
                shares[label] = Share(label, events + 1, tokens + fact.tokens, in_tokens, out_tokens)
        return shares

    def prune(self, company: str, before_ms: int, now_ms: int) -> Pruned:
        book = self.write(company, now_ms)
        asked_ms = min(before_ms, book.now_ms - book.budget(book.now_ms).window_days * 86_400_000)
        floor_ms = max(book.floor_ms, asked_ms - asked_ms % PRUNED_IN_STEPS_OF_MS - 1)
        forgotten = sum(book.floor_ms < fact.at_ms <= floor_ms for fact in book.all_facts(book.now_ms))
        book.floor_ms = floor_ms
        return Pruned(floor_ms, forgotten)


def changed(book: Book, status: Status, life: Life | None) -> HoldChange:
    return HoldChange(status, book.usage(book.now_ms), None if life is None else life.shown(book.now_ms))


def late_figure(book: Book, life: Life, tokens: int, detail: CallDetail) -> Fact:
    """What brings the charge of a hold, and all that was corrected of it, to so many tokens."""
    hold_id = life.asked.hold_id
    detail = CallDetail(*life.asked[4:], *detail[4:])
    difference = tokens - book.worth(f"hold→{hold_id}")
    return Fact(f"late→{hold_id}", life.until_ms, difference, Source.CORRECTED, detail, f"hold→{hold_id}")


def filled(detail: CallDetail, asked: NewHold) -> CallDetail:
    said = {label: getattr(detail, label) for label in LABELS}
    return detail._replace(**{label: getattr(asked, label) if said[label] is None else said[label] for label in LABELS})
