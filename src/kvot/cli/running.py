"""Runs coroutines for commands, so that Ctrl-C ends them in one line whenever it comes, and SIGTERM once they have
cleaned up: a backup its draft, say.

asyncio's own runner cancels from within the signal's handler, which may come in the midst of a callback: a connection
that is being made just then finds its future cancelled, and asyncio prints a stack trace. Nor does it wake a loop that
is just going to wait. Here the loop itself hears of the signal, and cancels between two callbacks.
"""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Runner:
    """One event loop for several coroutines, one after the other. Of the main thread."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises KeyboardInterrupt when Ctrl-C was pressed and `work` has cleaned up."""
        loop = self._runner.get_loop()
        task = loop.create_task(work)
        with _cancelled_by_sigterm(loop, task), _cancelled_by_ctrl_c(loop, task):
            return loop.run_until_complete(task)

    def close(self) -> None:
        self._runner.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """A single one, on an event loop of its own."""
    with closing(Runner()) as runner:
        return runner.run(work)


@contextmanager
def _cancelled_by_sigterm(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> Iterator[None]:
    """The process dies of the signal all the same, so that whoever sent it sees that."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    is_sent = False

    def cancel() -> None:
        nonlocal is_sent
        is_sent = True
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        if is_sent:
            signal.raise_signal(signal.SIGTERM)


@contextmanager
def _cancelled_by_ctrl_c(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> Iterator[None]:
    """The first time; the second ends whatever is going on. A command that listens itself goes on doing so."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    is_pressed = False

    def press(*_: Any) -> None:
        nonlocal is_pressed
        if is_pressed or task.done():
            raise KeyboardInterrupt
        is_pressed = True

    loop.add_signal_handler(signal.SIGINT, task.cancel)
    signal.signal(signal.SIGINT, press)  # beside it: the loop is woken by the number of the signal, not by this
    try:
        yield
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        loop.remove_signal_handler(signal.SIGINT)
