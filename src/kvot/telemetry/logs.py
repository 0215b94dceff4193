"""Logs: one event per line on standard error, as JSON unless a person is watching. Never a body, a header or a key.

So of a fault it is logged what it is and where it happened, but not its text, which may hold what a client sent.
"""

import asyncio
import contextlib
import logging
import sys
from typing import Any, TextIO

import structlog


def configure(stream: TextIO = sys.stderr, *, level: str = "info", has_colours: bool = True) -> None:
    """Set up logging for a process. Called once, by whoever starts it. `level`: the least that is logged.

    What libraries log through the standard library comes out in the same form, from warnings on, faults without text.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    last: Any = structlog.processors.JSONRenderer()
    if stream.isatty():
        last = structlog.dev.ConsoleRenderer(colors=has_colours)
    common: list[Any] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    structlog.configure(
        processors=[*common, last],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *names: _Lines(stream),
        cache_logger_on_first_use=True,
    )
    logging.raiseExceptions = False
    handler = logging.StreamHandler(stream)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    processors = [remove_meta, _faults_without_text, last]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors, foreign_pre_chain=common))
    logging.basicConfig(handlers=[handler], level=max(least, logging.WARNING), force=True)


def in_background(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An event loop's exception handler, for faults that nobody waits for. Its own would log their text, and the values
    that were handed to what failed."""
    error = context.get("exception")
    what = {"reason": context["message"]} if error is None else without_text(error)
    logger("kvot").error("unforeseen error", **what)


def ended(task: asyncio.Task[Any]) -> None:
    """What to call when a task ends that nobody waits for, and that should not."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger("kvot").error("unforeseen error", **without_text(error))


def without_text(error: BaseException) -> dict[str, Any]:
    """What it is and where it happened, innermost last: file, line and function of the last few frames."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/kvot/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "at": frames[-8:]}


def _faults_without_text(_: Any, __: str, event: Any) -> Any:
    """Of what libraries log."""
    found = event.pop("exc_info", None)
    error = found[1] if isinstance(found, tuple) else found
    return event | without_text(error) if isinstance(error, BaseException) else event


class _Lines:
    """Writes lines. One that cannot be written, to a full disk or a closed pipe, is lost: no request fails for it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg


def logger(name: str) -> Any:
    """A logger that says which room speaks."""
    return structlog.get_logger(room=name)
