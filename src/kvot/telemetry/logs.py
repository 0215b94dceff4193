"""Logs: one event per line on standard error, as JSON unless a person is watching. Never a body, a header or a key."""

import sys
from typing import Any, TextIO

import structlog


def configure(stream: TextIO = sys.stderr) -> None:
    """Set up logging for a process. Called once, by whoever starts it."""
    last: Any = structlog.dev.ConsoleRenderer() if stream.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            last,
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> Any:
    """A logger that says which room speaks."""
    return structlog.get_logger(room=name)
