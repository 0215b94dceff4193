"""Logging as it is when Kvot serves, for one test."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog

from kvot.telemetry.logs import configure


@contextmanager
def logging_to(stream: TextIO) -> Iterator[None]:
    """Loggers do not keep the stream, and all is as before afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    configure(stream)
    structlog.configure(cache_logger_on_first_use=False)
    try:
        yield
    finally:
        root.handlers[:], root.level, logging.raiseExceptions = before
        structlog.reset_defaults()
