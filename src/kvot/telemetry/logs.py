"""Logs: one event per line on standard error, as JSON unless a person is watching. Never a body, a header or a key."""

import contextlib
import logging
import sys
from typing import Any, TextIO

import structlog


def configure(stream: TextIO = sys.stderr, *, level: str = "info", has_colours: bool = True) -> None:
    """Set up logging for a process. Called once, by whoever starts it. `level`: the least that is logged.

    What libraries log through the standard library comes out in the same form, from warnings on.
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
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[remove_meta, last], foreign_pre_chain=common))
    logging.basicConfig(handlers=[handler], level=max(least, logging.WARNING), force=True)


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
