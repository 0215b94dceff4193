"""What is said of a database into which a copy was begun and not finished: it must never pass for a whole one."""

from kvot.core.errors import StoreUnavailable


def unfinished_copy(shown: str) -> StoreUnavailable:
    """`shown`: what people call the database."""
    return StoreUnavailable.of(
        shown,
        "holds a part of what was to be copied into it: kvot copy was not finished. Run the same copy again, "
        "which goes on where it stopped. Or remove the database and begin with an empty one.",
    )
