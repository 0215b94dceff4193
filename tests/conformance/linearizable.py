"""Is there an order in which a recorded history could have happened, one operation at a time? (Wing and Gong, 1993)

A history is of one company: what clients asked and when, and what they were told and when. An operation takes effect
at one instant between its call and its answer. One without an answer is unknown, not failed: it took effect at any
time after its call, or never. What each operation must answer is worked out by `Book`, which shares no code with any
engine and knows no time: every operation of a history is of the same millisecond.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kvot.core.model import Status

STATES_MAX = 1_000_000
"""Looked at before the search gives up; a history of 300 operations takes some thousand, seldom some ten thousand."""


class Operation(NamedTuple):
    """`name`: reserve, settle, release, record or usage. `id` and `tokens` mean nothing for usage."""

    name: str
    id: str = ""
    tokens: int = 0


class Answer(NamedTuple):
    """What came of it, and the company's usage after it."""

    status: Status
    used: int
    held: int


class Call(NamedTuple):
    """One call of a client. `called` and `returned` are places on one line of instants; None: it was never answered."""

    operation: Operation
    called: int
    returned: int | None = None
    answer: Answer | None = None


class Kept(NamedTuple):
    """What is kept under an id: for a hold its amount, how it ended (None: it is open) and at what."""

    tokens: int
    end: str | None = None
    settled: int = 0


class Book(NamedTuple):
    """All that one company's ledger knows."""

    limit: int
    used: int = 0
    held: int = 0
    kept: frozenset[tuple[str, Kept]] = frozenset()

    def after(self, operation: Operation) -> "tuple[Book, Answer]":
        """The book after an operation, and what it answers."""
        found = dict(self.kept).get(operation.id)
        if operation.name == "usage":
            return self._told(Status.DONE)
        if operation.name == "record":
            return self._record(operation, found)
        if operation.name == "reserve":
            return self._reserve(operation, found)
        return self._end(operation, found)

    def _told(self, status: Status) -> "tuple[Book, Answer]":
        return self, Answer(status, self.used, self.held)

    def _with(self, id_: str, was: Kept | None, now: Kept, used: int, held: int) -> "tuple[Book, Answer]":
        before = self.kept if was is None else self.kept - {(id_, was)}
        return Book(self.limit, self.used + used, self.held + held, before | {(id_, now)})._told(Status.DONE)

    def _record(self, operation: Operation, found: Kept | None) -> "tuple[Book, Answer]":
        if found is None:
            return self._with(operation.id, None, Kept(operation.tokens), operation.tokens, 0)
        return self._told(Status.REPLAYED if found.tokens == operation.tokens else Status.CONFLICT)

    def _reserve(self, operation: Operation, found: Kept | None) -> "tuple[Book, Answer]":
        if found is not None:
            return self._told(Status.REPLAYED if found.tokens == operation.tokens else Status.CONFLICT)
        if self.used + self.held + operation.tokens > self.limit:
            return self._told(Status.OVER_LIMIT)
        return self._with(operation.id, None, Kept(operation.tokens), 0, operation.tokens)

    def _end(self, operation: Operation, found: Kept | None) -> "tuple[Book, Answer]":
        if found is None:
            return self._told(Status.NOT_FOUND)
        settled = operation.tokens if operation.name == "settle" else 0
        if found.end is None:
            ended = found._replace(end=operation.name, settled=settled)
            return self._with(operation.id, found, ended, settled, -found.tokens)
        is_same = (found.end, found.settled) == (operation.name, settled)
        return self._told(Status.REPLAYED if is_same else Status.CONFLICT)


class Verdict(NamedTuple):
    """`stuck`: the calls of which none could come next after the longest order that was found; empty when legal."""

    is_legal: bool
    states: int
    stuck: tuple[Call, ...] = ()


class Undecided(Exception):
    """The search took more states than it may."""


def judge(history: Sequence[Call], limit: int) -> Verdict:
    """Search for an order, depth first. Which operations led to which book is looked at once. Raises Undecided."""
    calls = sorted(history, key=lambda call: call.called)
    needed = sum(1 << number for number, call in enumerate(calls) if call.returned is not None)
    seen: set[int] = set()
    stack = [(0, Book(limit))]
    longest = 0
    while stack:
        done, book = stack.pop()
        if done & needed == needed:
            return Verdict(True, len(seen))
        if done.bit_count() > longest.bit_count():
            longest = done
        for next_ in _steps(calls, done, book):
            if (known := _mark(*next_)) not in seen:
                seen.add(known)
                stack.append(next_)
        if len(seen) > STATES_MAX:
            raise Undecided(f"{len(history)} calls: more than {STATES_MAX} states")
    return Verdict(False, len(seen), tuple(calls[number] for number in _next(calls, longest)))


def _mark(done: int, book: Book) -> int:
    """What is kept of a state that was looked at, since books would fill the memory. Two alike would be a false alarm.

    Python's hash of an integer is its remainder by 2^61 - 1, by which operation 61 is as good as operation 0: a retry
    61 calls after a call that never took effect looked as if it had been tried. That of its digits has no such pattern.
    """
    return hash((f"{done:x}", book))


def _steps(calls: Sequence[Call], done: int, book: Book) -> Iterator[tuple[int, Book]]:
    """Unknown operations first, so that the stack takes them last: most orders do without. One that changes nothing
    may as well never have happened."""
    known: list[tuple[int, Book]] = []
    for number in _next(calls, done):
        after, answer = book.after(calls[number].operation)
        if calls[number].returned is None:
            if after != book:
                yield done | 1 << number, after
        elif answer == calls[number].answer:
            known.append((done | 1 << number, after))
    yield from reversed(known)


def _next(calls: Sequence[Call], done: int) -> Iterator[int]:
    """The operations that may come next: called before any that is still to come had returned."""
    first = (~done & (done + 1)).bit_length() - 1
    horizon: float = float("inf")
    for number in range(first, len(calls)):
        if done >> number & 1:
            continue
        call = calls[number]
        if call.called > horizon:
            return
        yield number
        if call.returned is not None:
            horizon = min(horizon, call.returned)
