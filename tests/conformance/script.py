"""The script: hundreds of random lives of a ledger, played on an engine and on the oracle, every answer compared.

Times are drawn from edges: the instants at which an event enters or leaves a window, a hold runs out, a slot of the
sidecar ends, the floor or retention lies, each one millisecond to either side. Random times never meet them.
"""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from kvot.core.budget import Budget, Rules
from kvot.core.errors import InvalidRequest
from kvot.core.model import CallDetail, Correction, EventColumns, NewEvent, NewHold, Settlement, Source
from kvot.core.window import SHIFTS
from tests.conformance.oracle import Beyond, Oracle
from tests.conformance.scene import COMPANY, DAY, HOUR, MINUTE, OTHER, T0, Engine, FullStore, Scene

T = TypeVar("T")

RULES = Rules(default_budget=Budget(300, 2), retention_days=6, future_max_ms=5 * MINUTE)
"""A small world, so that windows, retention and pruning meet within a few steps."""

BEYOND = "BeyondRetention"
COMPANIES = st.sampled_from([COMPANY, OTHER])
EVENTS = st.sampled_from([f"e{number}" for number in range(10)])
HOLDS = st.sampled_from([f"h{number}" for number in range(6)])
CORRECTIONS = st.sampled_from([f"c{number}" for number in range(16)])
TOKENS = st.one_of(st.integers(0, 5), st.integers(0, 120))
TTLS = st.sampled_from([1, 2, 256, 1000, MINUTE, HOUR])
NUDGES = st.sampled_from([-1, 0, 0, 1])
MODELS = st.sampled_from([None, "m", "n"])
USERS = st.sampled_from([None, "u"])
SPLITS = st.none() | TOKENS
DETAILS = st.tuples(st.none(), MODELS, USERS, st.none(), SPLITS, SPLITS, st.none(), st.none()).map(CallDetail._make)
LATE_DETAILS = SPLITS.map(lambda tokens: CallDetail(output_tokens=tokens))
SOURCES = st.sampled_from([Source.REPORTED, Source.REPORTED, Source.PARTIAL])
NEW_HOLDS = st.tuples(HOLDS, TOKENS, TTLS, st.booleans(), st.none(), MODELS, USERS, st.none()).map(NewHold._make)
BUDGETS = st.builds(Budget, token_limit=st.sampled_from([0, 60, 300, 1000]), window_days=st.integers(1, 6))


class Script(RuleBasedStateMachine):
    """One life. `now_ms` is the caller's clock, which may go backward; the companies' own cannot."""

    engine: Engine

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.scene = self.run(Scene.open(self.engine, Path(self.folder.name), RULES))
        self.oracle = Oracle(RULES)
        self.now_ms = T0
        self.sent: list[Callable[[], None]] = []  # everything with an id that was sent, to be sent again

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            try:
                self.run(self.scene.close())
            finally:
                self.loop.close()
                self.folder.cleanup()

    def run(self, answer: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(answer)

    @property
    def store(self) -> FullStore:
        return self.scene.store

    def ask(self, answer: Coroutine[Any, Any, T]) -> T | str:
        """The engine's answer, or that it reaches below the floor."""
        try:
            return self.run(answer)
        except InvalidRequest as error:
            return error.code

    def expect(self, question: Callable[[], T]) -> T | str:
        try:
            return question()
        except Beyond:
            return BEYOND

    # -- times -------------------------------------------------------------------------------------------------------

    def edges(self, company: str) -> list[int]:
        """The instants at which an answer may change, for a company, in the order of their nearness to its clock."""
        book, now_ms = self.oracle.read(company, self.now_ms)
        window_ms = book.budget(now_ms).window_ms
        facts = {fact.at_ms for fact in book.all_facts(now_ms)}
        ends = {life.until_ms for life in book.lives}
        leaves = {at_ms + window_ms for at_ms in facts | ends}
        changes = {change.effective_at_ms for change in book.changes}
        slots = {(now_ms >> shift) + step << shift for shift in SHIFTS[1:] for step in (0, 1)}
        slots |= {(now_ms - window_ms >> SHIFTS[-1]) + step << SHIFTS[-1] for step in (-1, 0, 1)}
        starts = {now_ms, now_ms - window_ms, now_ms - RULES.retention_ms, now_ms + RULES.future_max_ms}
        floors = {book.floor_ms, book.floor_ms + window_ms} if book.floor_ms > 0 else set()
        edges = facts | ends | leaves | changes | slots | starts | floors
        return sorted(edges, key=lambda edge_ms: (abs(edge_ms - now_ms), edge_ms))

    def draw_instant(self, data: st.DataObject, company: str) -> int:
        edges = self.edges(company)
        return data.draw(st.sampled_from(edges[:12]) | st.sampled_from(edges)) + data.draw(NUDGES)

    @rule(step_ms=st.sampled_from([0, 1, 2, 255, 256, MINUTE, DAY]))
    def wait(self, step_ms: int) -> None:
        self.now_ms += step_ms

    @rule(data=st.data(), company=COMPANIES)
    def wait_for_an_edge(self, data: st.DataObject, company: str) -> None:
        ahead = [edge_ms for edge_ms in self.edges(company) if edge_ms > self.now_ms]
        self.now_ms = data.draw(st.sampled_from(ahead[:12])) + data.draw(NUDGES)

    @rule(step_ms=st.sampled_from([1, 2, MINUTE, DAY]))
    def go_back(self, step_ms: int) -> None:
        self.now_ms -= step_ms

    # -- events ------------------------------------------------------------------------------------------------------

    def draw_event(self, data: st.DataObject, company: str) -> NewEvent:
        at_ms = self.draw_instant(data, company) if data.draw(st.booleans()) else None
        tokens = max(1, data.draw(TOKENS))
        return NewEvent(data.draw(EVENTS), tokens, at_ms, data.draw(SOURCES), data.draw(DETAILS))

    @rule(data=st.data(), company=COMPANIES, retries=st.integers(0, 2))
    def record(self, data: st.DataObject, company: str, retries: int) -> None:
        event = self.draw_event(data, company)
        self.send(lambda: self.play_record(company, event))
        for _ in range(retries):
            self.now_ms = self.oracle.read(company, self.now_ms)[1] + 1
            self.play_record(company, event)

    def play_record(self, company: str, event: NewEvent) -> None:
        answer = self.run(self.store.record(company, event, now_ms=self.now_ms))
        assert answer == self.oracle.record(company, event, self.now_ms)

    @rule(data=st.data(), companies=st.lists(COMPANIES, max_size=5))
    def record_many(self, data: st.DataObject, companies: list[str]) -> None:
        batch = [(company, self.draw_event(data, company)) for company in companies]
        answer = self.run(self.store.record_many(EventColumns.of(batch), now_ms=self.now_ms))
        assert answer == [self.oracle.record(company, event, self.now_ms).status for company, event in batch]

    @rule(data=st.data(), company=COMPANIES, reason=st.sampled_from([None, "r"]), times=st.integers(1, 3))
    def correct(self, data: st.DataObject, company: str, reason: str | None, times: int) -> None:
        """Correct one event up to three times, to the last token that it and its corrections hold and one beyond."""
        book, now_ms = self.oracle.read(company, self.now_ms)
        target_ids = sorted({fact.id for fact in book.all_facts(now_ms)})
        if not target_ids:
            self.play_record(company, NewEvent("e0", 10))
        target_id = data.draw(st.sampled_from(target_ids or ["e0"]))
        for _ in range(times):
            worth = self.oracle.read(company, self.now_ms)[0].worth(target_id)
            tokens = data.draw(st.sampled_from([-worth - 1, -worth, -(worth // 2), 1, 40]))
            correction = Correction(data.draw(CORRECTIONS), target_id, tokens, "operator", reason)
            self.send(partial(self.play_correct, company, correction))

    def play_correct(self, company: str, correction: Correction) -> None:
        answer = self.run(self.store.correct(company, correction, now_ms=self.now_ms))
        assert answer == self.oracle.correct(company, correction, self.now_ms)

    def send(self, play: Callable[[], None]) -> None:
        self.sent.append(play)
        play()

    @rule(data=st.data(), step_ms=st.sampled_from([0, 1]))
    def send_again(self, data: st.DataObject, step_ms: int) -> None:
        self.now_ms += step_ms
        if self.sent:
            data.draw(st.sampled_from(self.sent[-3:]) | st.sampled_from(self.sent))()

    # -- holds -------------------------------------------------------------------------------------------------------

    @rule(company=COMPANIES, asked=NEW_HOLDS)
    def reserve(self, company: str, asked: NewHold) -> None:
        self.send(lambda: self.play_reserve(company, asked))

    @rule(data=st.data(), company=COMPANIES, hold_id=HOLDS, over=st.sampled_from([0, 0, 1]), ahead=st.booleans())
    def reserve_what_is_left(self, data: st.DataObject, company: str, hold_id: str, over: int, ahead: bool) -> None:
        """To the last token and one above, sometimes with an event ahead of the clock that takes from it unseen."""
        usage = self.run(self.store.usage(company, now_ms=self.now_ms))
        if ahead:
            self.play_record(company, NewEvent(data.draw(EVENTS), 1, usage.at_ms + 1))
        left = max(0, usage.token_limit - usage.tokens_used - usage.tokens_held)
        asked = NewHold(hold_id, left + over, data.draw(TTLS))
        self.send(lambda: self.play_reserve(company, asked))

    def play_reserve(self, company: str, asked: NewHold) -> None:
        answer = self.run(self.store.reserve(company, asked, now_ms=self.now_ms))
        assert answer == self.oracle.reserve(company, asked, self.now_ms)

    def draw_hold_id(self, data: st.DataObject, company: str) -> str:
        """One that the company has asked for; one of the last three, or any."""
        asked = list(dict.fromkeys(life.asked.hold_id for life in self.oracle.read(company, self.now_ms)[0].lives))
        if not asked:
            self.play_reserve(company, NewHold("h0", 1, MINUTE))
        return data.draw(st.sampled_from(asked[-3:] or ["h0"]) | st.sampled_from(asked or ["nobody"]))

    @rule(data=st.data(), company=COMPANIES)
    def dispatch(self, data: st.DataObject, company: str) -> None:
        self.play_dispatch(company, self.draw_hold_id(data, company))

    def play_dispatch(self, company: str, hold_id: str) -> None:
        answer = self.run(self.store.dispatch(company, hold_id, now_ms=self.now_ms))
        assert answer == self.oracle.dispatch(company, hold_id, self.now_ms)

    @rule(data=st.data(), company=COMPANIES, ttl_ms=TTLS)
    def renew(self, data: st.DataObject, company: str, ttl_ms: int) -> None:
        self.play_renew(company, self.draw_hold_id(data, company), ttl_ms)

    def play_renew(self, company: str, hold_id: str, ttl_ms: int) -> None:
        answer = self.run(self.store.renew(company, hold_id, ttl_ms, now_ms=self.now_ms))
        assert answer == self.oracle.renew(company, hold_id, ttl_ms, self.now_ms)

    @rule(data=st.data(), company=COMPANIES, tokens=TOKENS, detail=LATE_DETAILS, source=SOURCES)
    def settle(self, data: st.DataObject, company: str, tokens: int, detail: CallDetail, source: Source) -> None:
        hold_id = self.draw_hold_id(data, company)
        settlement = Settlement(tokens, source, detail)
        self.send(lambda: self.play_settle(company, hold_id, settlement))

    def play_settle(self, company: str, hold_id: str, settlement: Settlement) -> None:
        answer = self.run(self.store.settle(company, hold_id, settlement, now_ms=self.now_ms))
        assert answer == self.oracle.settle(company, hold_id, settlement, self.now_ms)

    @rule(data=st.data(), company=COMPANIES)
    def release(self, data: st.DataObject, company: str) -> None:
        self.play_release(company, self.draw_hold_id(data, company))

    def play_release(self, company: str, hold_id: str) -> None:
        answer = self.run(self.store.release(company, hold_id, now_ms=self.now_ms))
        assert answer == self.oracle.release(company, hold_id, self.now_ms)

    @rule(
        data=st.data(),
        company=COMPANIES,
        asked=NEW_HOLDS,
        steps=st.lists(st.sampled_from(["dispatch", "renew", "wait"]), max_size=3),
        late_ms=st.sampled_from([-1, 0, 1, MINUTE, DAY]),
        ends=st.lists(st.sampled_from(["settle", "release", "look"]), min_size=1, max_size=3),
    )
    def live(
        self, data: st.DataObject, company: str, asked: NewHold, steps: list[str], late_ms: int, ends: list[str]
    ) -> None:
        """A hold from its making to its end, near the instant at which it runs out: chance alone seldom gets there."""
        self.play_reserve(company, asked)
        book, now_ms = self.oracle.read(company, self.now_ms)
        life = book.life(asked.hold_id, now_ms)
        for step in steps if life else []:
            self.play_step(data, company, asked.hold_id, step)
        self.now_ms = max(self.now_ms, life.until_ms + late_ms if life else 0)
        for end in ends:
            self.play_step(data, company, asked.hold_id, end)

    def play_step(self, data: st.DataObject, company: str, hold_id: str, step: str) -> None:
        match step:
            case "wait":
                self.now_ms += data.draw(st.sampled_from([1, 100]))
            case "dispatch":
                self.play_dispatch(company, hold_id)
            case "renew":
                self.play_renew(company, hold_id, data.draw(TTLS))
            case "settle":
                self.play_settle(company, hold_id, Settlement(data.draw(TOKENS)))
            case "release":
                self.play_release(company, hold_id)
            case "look":
                self.play_look(company, hold_id)

    @rule(data=st.data(), company=COMPANIES)
    def look(self, data: st.DataObject, company: str) -> None:
        self.play_look(company, self.draw_hold_id(data, company))

    def play_look(self, company: str, hold_id: str) -> None:
        answer = self.run(self.store.hold(company, hold_id, now_ms=self.now_ms))
        assert answer == self.oracle.hold(company, hold_id, self.now_ms)

    @rule()
    def expire_and_verify(self) -> None:
        assert self.run(self.store.expire(now_ms=self.now_ms)) == self.oracle.expire(self.now_ms)
        for company, book in self.oracle.books.items():
            # A write, so that no engine need move the clock of a company in which nothing was due.
            self.run(self.store.release(company, "nobody", now_ms=self.now_ms))
            proof = self.run(self.store.verify(company, now_ms=self.now_ms))
            assert proof.differences == ()
            if book.floor_ms < 0:
                facts = list(book.all_facts(book.now_ms))
                assert (proof.events, proof.tokens) == (len(facts), sum(fact.tokens for fact in facts))

    # -- budgets, reports, keeping -----------------------------------------------------------------------------------

    @rule(company=COMPANIES, budget=BUDGETS)
    def set_budget(self, company: str, budget: Budget) -> None:
        write = self.store.set_budget(company, budget, actor="ann", reason=None, now_ms=self.now_ms)
        answer = self.ask(write)
        expected = self.expect(lambda: self.oracle.set_budget(company, budget, "ann", self.now_ms))
        if expected == BEYOND:
            assert answer == BEYOND
            self.run(self.store.release(company, "nobody", now_ms=self.now_ms))  # the clock moved, at the latest now
        else:
            assert not isinstance(answer, str)
            assert (answer.budget, answer.changes) == (budget, expected)

    @rule(data=st.data(), company=COMPANIES)
    def prune(self, data: st.DataObject, company: str) -> None:
        """Prune, with an event on either side of where the cut will be, if it is where it should be."""
        book, now_ms = self.oracle.read(company, self.now_ms)
        latest_ms = now_ms - book.budget(now_ms).window_ms
        before_ms = latest_ms - data.draw(st.sampled_from([0, 1, HOUR, DAY])) + data.draw(NUDGES)
        cut_ms = min(before_ms, latest_ms) >> SHIFTS[-1] << SHIFTS[-1]
        for event_id, at_ms in (("below", cut_ms - 1), ("at", cut_ms), ("above", cut_ms + HOUR)):
            if data.draw(st.booleans()):
                self.play_record(company, NewEvent(event_id, 10, at_ms))
        answer = self.run(self.store.prune(company, before_ms, now_ms=self.now_ms))
        assert answer == self.oracle.prune(company, before_ms, self.now_ms)
        # The whole of what is left, and one millisecond more than there is.
        self.compare_usage(company, now_ms, now_ms - answer.floor_at_ms)
        self.compare_usage(company, now_ms, now_ms - answer.floor_at_ms + 1)

    @rule()
    def reopen(self) -> None:
        self.run(self.scene.reopen())

    @rule(data=st.data(), company=COMPANIES, window_ms=st.sampled_from([None, None, 1, 256, DAY, 6 * DAY]))
    def look_back_or_ahead(self, data: st.DataObject, company: str, window_ms: int | None) -> None:
        at_ms = self.draw_instant(data, company)
        self.compare_usage(company, at_ms, window_ms)
        budget = self.run(self.store.budget(company, now_ms=self.now_ms, at_ms=at_ms)).budget
        assert budget == self.oracle.read(company, self.now_ms)[0].budget(at_ms)

    @rule(data=st.data(), company=COMPANIES, window_ms=st.sampled_from([None, DAY]))
    def chart(self, data: st.DataObject, company: str, window_ms: int | None) -> None:
        edges_ms = sorted(self.draw_instant(data, company) for _ in range(4))
        answer = self.ask(self.store.series(company, edges_ms, now_ms=self.now_ms, window_ms=window_ms))
        assert answer == self.expect(lambda: self.oracle.series(company, edges_ms, window_ms, self.now_ms))

    @rule(data=st.data(), company=COMPANIES, by=st.sampled_from(["provider", "model", "user", "feature", "source"]))
    def break_down(self, data: st.DataObject, company: str, by: str) -> None:
        first_hour = self.draw_instant(data, company) // HOUR
        end_hour = first_hour + data.draw(st.sampled_from([1, 2, 24, 400]))
        hours = {"first_hour": first_hour, "end_hour": end_hour, "now_ms": self.now_ms}
        answer = self.ask(self.store.breakdown(company, by, **hours))
        expected = self.expect(lambda: self.oracle.breakdown(company, by, **hours))
        assert (answer if isinstance(answer, str) else {share.label: share for share in answer}) == expected

    @rule(company=COMPANIES, tokens=TOKENS)
    def ask_when_it_fits(self, company: str, tokens: int) -> None:
        answer = self.run(self.store.fits_at(company, tokens, now_ms=self.now_ms))
        book, now_ms = self.oracle.read(company, self.now_ms)
        assert answer == book.fits_at(now_ms, tokens)

    def compare_usage(self, company: str, at_ms: int | None = None, window_ms: int | None = None) -> None:
        answer = self.ask(self.store.usage(company, now_ms=self.now_ms, at_ms=at_ms, window_ms=window_ms))
        book, now_ms = self.oracle.read(company, self.now_ms)
        assert answer == self.expect(lambda: book.usage(now_ms, at_ms, window_ms))

    @invariant()
    def both_companies_agree(self) -> None:
        if hasattr(self, "scene"):
            for company in (COMPANY, OTHER):
                self.compare_usage(company)


def play_script(engine: Engine, *, lives: int, steps: int = 30, shrinks: bool = True, seeded: bool = False) -> None:
    """Play so many lives on an engine; raise what failed, reduced to its shortest form."""
    phases = [Phase.generate, Phase.shrink] if shrinks else [Phase.generate]
    how = settings(
        max_examples=lives,
        stateful_step_count=steps,
        deadline=None,
        phases=phases,
        database=None,
        derandomize=seeded,
        suppress_health_check=list(HealthCheck),
        print_blob=shrinks,
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(type("Script", (Script,), {"engine": engine}), settings=how)
