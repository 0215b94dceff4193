"""Asking the person at the terminal before something that cannot be undone."""

import sys

from kvot.cli import show
from kvot.cli.options import UsageError


def agreed(what: str, question: str) -> bool:
    """Say what will be done and ask. Raises UsageError where nobody is there to answer."""
    show.note(what)
    if not sys.stdin.isatty():
        raise UsageError("Nobody is there to be asked: say --yes.")
    try:
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        show.note("")  # what is said of it stands on a line of its own
        raise
