"""The one writer: takes all waiting operations into one transaction and answers only after its commit.

An operation is a plain function of a transaction. One that fails is undone alone: nearly none does, so a batch runs
without savepoints, and only if one fails is all of it undone and done again, each operation inside a savepoint of its
own. InvalidRequest is an answer, not a failure: what was written before it stays. Operations are handed over together
after a turn of the event loop in which no more came, and while a commit waits for the disk the next ones gather, so the
more there is to do the more one commit carries. Where there is little to do nobody is waited for. Who is alone is not
made to wait for the thread either: the commit is made on the event loop, while the thread has nothing to do.
Nothing is ever acknowledged that a commit did not return for.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import apsw

from kvot.core.errors import InvalidRequest, StoreUnavailable
from kvot.stores.sqlite.connection import FATAL, TRANSACTION_LOST, Tx, unavailable
from kvot.stores.sqlite.flush import flush

WAITING_MAX = 10_000
"""More than a second's worth of operations: whoever comes later had better come again."""

SHARE_WITHIN_S = 0.005
"""How long an operation that nobody waits for may wait for others, to share their commit: some ten commits' time."""

IN_PLACE_S = 0.002
"""What the last commit took less than where one is made on the event loop: a disk that stands still stops that once."""

TURNS_MAX = 4
"""Of the event loop, after which operations are handed over although more still come: a busy turn takes some ms."""

FEW = 2
"""Operations of one commit, at most, after which the next one is not made to wait for more: a call's hold, and the
settlement of the call before it."""

BATCH_WEIGHT_MAX = 2_000
"""Rows after which a transaction takes no further operation, so that no answer waits for more than tens of ms."""


class _Job(NamedTuple):
    operation: Callable[..., Any]
    values: tuple[Any, ...]
    weight: int
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Writer:
    """Runs operations on a thread of its own, which alone uses the connection of `tx`."""

    def __init__(self, tx: Tx, path: Path) -> None:
        self._tx = tx
        self._path = path
        self._gathered: list[_Job] = []
        self._is_hurried = False
        self._has_few = False  # there was little to do for the last commit
        self._last_commit_s = inf
        self._turns = self._seen = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self.refusal: StoreUnavailable | None = None
        """Why nothing is written any more; None as long as all is well."""
        self.on_fatal: Callable[[str], None] | None = None
        """Called once, on the event loop, when `refusal` is set."""
        self._thread = threading.Thread(target=self._run, name="kvot-writer", daemon=True)
        self._thread.start()

    def submit(
        self,
        operation: Callable[..., Any],
        *values: Any,
        weight: int = 1,
        is_awaited: bool = True,
        is_alone: bool = False,
    ) -> asyncio.Future[Any]:
        """Have the operation done. The future resolves when it is durable, or raises StoreUnavailable.

        is_awaited: False for one that can wait for others that are, for SHARE_WITHIN_S at the most.
        is_alone: nobody minds if the event loop waits for this commit.
        """
        self.check()
        if self._waiting >= WAITING_MAX:
            raise StoreUnavailable.of(str(self._path), f"is busy: {WAITING_MAX} operations are waiting. Try again.")
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        is_idle = self._waiting == len(self._gathered)
        self._gathered.append(_Job(operation, values, weight, future, loop))
        self._waiting += 1
        if not is_awaited:
            if self._timer is None:
                self._timer = loop.call_later(SHARE_WITHIN_S, self._hand_over)
        elif is_idle and self._has_few:
            is_small = sum(job.weight for job in self._gathered) <= FEW
            if is_alone and is_small and self._last_commit_s < IN_PLACE_S:
                self._commit_in_place()
            else:
                self._hand_over()
        else:
            self.hurry()
        return future

    def _commit_in_place(self) -> None:
        """The two ways between the threads take as long as the flush of a quick disk."""
        batch = self._take_gathered()
        answers = self._commit(batch)
        self._resolve([(job.future, answer) for job, answer in zip(batch, answers, strict=True)])

    def hurry(self) -> None:
        """Hand over what is gathered as soon as a turn of the event loop has brought no more."""
        if not self._is_hurried:
            self._is_hurried = True
            self._turns = self._seen = 0
            asyncio.get_running_loop().call_soon(self._wait_for_more)

    def _wait_for_more(self) -> None:
        """Both threads share one interpreter, so that one large batch costs far less than several small ones."""
        self._turns += 1
        if self._seen < len(self._gathered) and self._turns < TURNS_MAX:
            self._seen = len(self._gathered)
            asyncio.get_running_loop().call_soon(self._wait_for_more)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        for job in self._take_gathered():
            self._jobs.put(job)

    def _take_gathered(self) -> list[_Job]:
        self._is_hurried = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        jobs, self._gathered = self._gathered, []
        return jobs

    def check(self) -> None:
        if self.refusal is not None:
            raise _again(self.refusal)
        if self._closed:
            raise StoreUnavailable.of(str(self._path), "is closed.")

    async def close(self) -> None:
        """Finish what waits, then end the thread."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    # -- on the writer's thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._take()
            if batch:
                self._deliver(batch, self._commit(batch))

    def _take(self) -> tuple[list[_Job], bool]:
        """All that waits, up to the bound; False when the writer is to end. Blocks only while nothing waits."""
        batch: list[_Job] = []
        weight = 0
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            weight += job.weight
            if weight >= BATCH_WEIGHT_MAX:
                return batch, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[_Job]) -> list[Any]:
        """One answer or exception for each operation of the batch."""
        if self.refusal is not None:
            return [_again(self.refusal) for _ in batch]
        began_s = perf_counter()
        try:
            self._tx.execute("BEGIN IMMEDIATE")
            answers = self._answers(batch)
            self._tx.execute("COMMIT")
        except apsw.Error as error:
            self._undo()
            refusal = unavailable(self._path, error)
            if isinstance(error, FATAL):
                self.refusal = refusal
            return [_again(refusal) for _ in batch]
        except Exception as error:  # the thread's outermost edge: whoever waits must hear of a fault of ours, too
            self._undo()
            what = f"is written no more, for a fault in Kvot ({type(error).__name__}). Start Kvot again."
            self.refusal = StoreUnavailable.of(str(self._path), what)
            return [_again(self.refusal) for _ in batch]
        finally:
            self._last_commit_s = perf_counter() - began_s
        return answers

    def _answers(self, batch: list[_Job]) -> list[Any]:
        try:
            answers = [self._answer(job) for job in batch]
            flush(self._tx)
            return answers
        except TRANSACTION_LOST:
            raise
        except Exception:  # of one operation: whose, and what of it is its caller's to see, the second run tells
            self._tx.forget()
            self._tx.execute("ROLLBACK")
            self._tx.execute("BEGIN IMMEDIATE")
            return [self._answer_alone(job) for job in batch]

    def _answer(self, job: _Job) -> Any:
        try:
            return job.operation(self._tx, *job.values)
        except InvalidRequest as refusal:
            return refusal

    def _answer_alone(self, job: _Job) -> Any:
        self._tx.execute("SAVEPOINT operation")
        try:
            answer = self._answer(job)
            flush(self._tx)
        except TRANSACTION_LOST:
            raise
        except Exception as error:  # the thread's outermost edge: a fault of one operation is its caller's to see
            self._tx.forget()
            self._tx.execute("ROLLBACK TO operation")
            answer = unavailable(self._path, error) if isinstance(error, apsw.Error) else error
        self._tx.execute("RELEASE operation")
        return answer

    def _undo(self) -> None:
        self._tx.forget()
        if self._tx.connection.in_transaction:
            try:
                self._tx.execute("ROLLBACK")
            except apsw.Error as error:
                self.refusal = unavailable(self._path, error)

    def _deliver(self, batch: list[_Job], answers: list[Any]) -> None:
        """Wake each event loop once for all its answers."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for job, answer in zip(batch, answers, strict=True):
            by_loop.setdefault(job.loop, []).append((job.future, answer))
        for loop, pairs in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._resolve, pairs)
            except RuntimeError:  # the loop is closed: nobody waits any more
                continue

    # -- on the event loop ---------------------------------------------------------------------------------------

    def _resolve(self, pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
        self._waiting -= len(pairs)
        self._has_few = len(pairs) <= FEW
        for future, answer in pairs:
            if future.done():  # its caller was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        if self.refusal is not None and self.on_fatal is not None:
            tell, self.on_fatal = self.on_fatal, None
            tell(self.refusal.message)


def _again(refusal: StoreUnavailable) -> StoreUnavailable:
    """One for each caller: an exception that is raised twice gathers the traces of both."""
    return StoreUnavailable(refusal.message, in_public=refusal.in_public)
