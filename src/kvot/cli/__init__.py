"""The command line: parse, call, print. Every command is a request of the contract, put to a target.

Exit codes: 0 done, 1 failed or refused, 2 not understood, 130 interrupted. Never a stack trace for what was foreseen.
"""

import sys
from collections.abc import Sequence

from kvot import __version__

INTERRUPTED = 130
"""What shells say of Ctrl-C: 128 and the number of the signal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. `kvot` on the command line."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["--version"]:  # asked by scripts, and not worth loading anything for
        print(__version__)
        return 0
    try:
        from kvot.cli.app import run

        return run(arguments)
    except KeyboardInterrupt:  # while still loading: a command that runs tells it itself
        print("kvot: Interrupted.", file=sys.stderr)
        return INTERRUPTED
