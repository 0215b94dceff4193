"""The command line: parse, call, print. Every command is a request of the contract, put to a target.

Exit codes: 0 done, 1 failed or refused, 2 not understood, 130 interrupted. Never a stack trace for what was foreseen.
"""

import sys
from collections.abc import Sequence

from kvot import __version__
from kvot.cli import streams

FAILED = 1
INTERRUPTED = 130
"""What shells say of Ctrl-C: 128 and the number of the signal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. `kvot` on the command line."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not streams.are_usable():
        return FAILED
    try:
        if arguments == ["--version"]:  # asked by scripts, and not worth loading anything for
            print(__version__, flush=True)
            return 0
        from kvot.cli.app import run

        code = run(arguments)
        sys.stdout.flush()
        return code
    except OSError as error:  # all others are told by the command itself
        streams.tell_unwritable(error)
        return FAILED
    except KeyboardInterrupt:  # while still loading: a command that runs tells it itself
        print("kvot: Interrupted.", file=sys.stderr)
        return INTERRUPTED
