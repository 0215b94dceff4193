"""Asking the person at the terminal before something that cannot be undone."""

import sys
from typing import Annotated

from cyclopts import Parameter

from kvot.cli import show
from kvot.cli.options import UsageError

Yes = Annotated[bool, Parameter(negative="", show_default=False, help="Do not ask.")]
"""Of every command that asks: for scripts, which nobody sits before."""


def agreed(what: str, question: str) -> bool:
    """Say what will be done and ask. Raises UsageError where nobody is there to answer."""
    show.note(what)
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask at, so nothing was done. Say --yes to go on without being asked.")
    try:
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        is_agreed = sys.stdin.readline().strip().lower() in ("y", "yes")
        if not is_agreed:
            show.note("Nothing was done.")
        return is_agreed
    except KeyboardInterrupt:
        show.note("")  # what is said of it stands on a line of its own
        raise
