"""Standard input, output and error, made fit for what commands do with them. What their callers closed is not there at
all, and the next file that is opened would get its number."""

import os
import sys
from io import TextIOWrapper


def are_usable() -> bool:
    """False, and said so, where standard output is closed: what a command prints, a new key say, would be lost."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 (open for as long as the process lives)
    if sys.stdout is None:
        print("kvot: Standard output is closed, so nothing was done. To see nothing, say >/dev/null.", file=sys.stderr)
        return False
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # names are what callers say, and terminals have few letters
    return True


def tell_unwritable(error: OSError) -> None:
    """Of standard output, to whom it concerns: whoever read it and has gone asks for no more."""
    if not isinstance(error, BrokenPipeError):
        print(f"kvot: Standard output cannot be written: {error.strerror}.", file=sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python tries once more as it ends, and complains
