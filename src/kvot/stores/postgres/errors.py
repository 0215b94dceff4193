"""What goes wrong with a database server, told as StoreUnavailable: the cause, what to do, and what is unknown.

No driver's error leaves this package. A message names the database without its password and never holds a row.
"""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from kvot.core.errors import OUTCOME_UNKNOWN, InvalidRequest, KvotError, StoreUnavailable, beyond_retention

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""All that the driver raises when it cannot do as it is told."""

_BEYOND_RETENTION = "KV001"
_BACKLOG = "KV003"

_SAID = {
    "KV002": "does not run in READ COMMITTED. Set default_transaction_isolation back to 'read committed'.",
    _BACKLOG: "is closing thousands of holds that ran out. Nothing was done; try again.",
    "25006": "is read-only: a replica, most likely. Name the primary in the database's URL.",
    "3D000": "does not exist. Make it (createdb), then run: kvot migrate --database URL",
    "3F000": "has no ledger yet. Run: kvot migrate --database URL",
    "42501": "forbids Kvot's user what it needs. Run kvot migrate as the schema's owner, or grant the rights.",
    "42883": "has another schema than this Kvot needs. Run: kvot migrate --database URL",
    "42P01": "has no ledger yet. Run: kvot migrate --database URL",
    "53100": "cannot grow: its disk is full. Make room; nothing that was acknowledged is lost.",
    "53300": "takes no more connections. Lower `connections` in the URL, or put a pooler before it.",
    "55P03": "is busy: a lock was not given in time. Nothing was done; try again.",
    "57014": "took too long and was stopped. Nothing was done; try again.",
    "57P03": "is starting or stopping. Try again.",
}
_SAID_OF_CLASS = {
    "28": "refuses the user or the password of the URL. Check both, and pg_hba.conf.",
    "53": "is out of resources. Give it room; nothing that was acknowledged is lost.",
    "57": f"stopped in the middle. {OUTCOME_UNKNOWN}",
    "08": f"cannot be reached. {OUTCOME_UNKNOWN}",
    "58": f"has a failing disk. Look at its log. {OUTCOME_UNKNOWN}",
    "XX": "is damaged or at fault. Look at its log, and run kvot verify.",
}

_DID_NOTHING = frozenset({"25006", "53300", "57014", "57P03"})
"""States that say so themselves, beside those by which `undid_itself` goes."""


class NewerSchema(Exception):
    """Why a database is refused to which a later Kvot has added steps, all of ours being as they were."""

    def __init__(self, newest: str) -> None:
        super().__init__(newest)
        self.newest = newest

    def refusal(self, shown: str) -> StoreUnavailable:
        """A new one each time: what is raised is not raised again elsewhere."""
        what = f"was made by a newer Kvot (schema {self.newest}). Upgrade Kvot, or restore a backup."
        refusal = StoreUnavailable.of(shown, what, did_nothing=True)
        refusal.__cause__ = self
        return refusal


def told(shown: str, error: BaseException) -> KvotError:
    """What a driver's error means for whoever runs Kvot."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state == _BEYOND_RETENTION:
            return told_beyond(error.message or "")
        advice = _SAID.get(state) or _SAID_OF_CLASS.get(state[:2])
        did_nothing = undid_itself(error) or state[:2] == "28" or state in _DID_NOTHING
        if advice is None:
            return _in_its_words(shown, error.message or "", state, did_nothing)
        return StoreUnavailable.of(shown, advice, did_nothing=did_nothing)
    if isinstance(error, TimeoutError):
        return StoreUnavailable.of(shown, f"did not answer in time. {OUTCOME_UNKNOWN}")
    if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        said = f"{shown} cannot be asked with these options in its URL: {error}. Nothing was done."
        in_public = "The database cannot be asked with the options in its URL."
        return StoreUnavailable(said, in_public=in_public, did_nothing=True)
    return StoreUnavailable.of(shown, f"cannot be reached, or the connection was lost. {OUTCOME_UNKNOWN}")


def _in_its_words(shown: str, said: str, state: str, did_nothing: bool) -> StoreUnavailable:
    """The server's own words may name anything."""
    message = f"{shown} could not be used: {said} (SQLSTATE {state})"
    in_public = f"The database could not be used (SQLSTATE {state})."
    return StoreUnavailable(message, in_public=in_public, did_nothing=did_nothing)


def told_beyond(said: str) -> InvalidRequest:
    """From what kvot.beyond says, which names the floor in milliseconds."""
    found = re.search(r"[0-9]+", said)
    return InvalidRequest(said, code="BeyondRetention") if found is None else beyond_retention(int(found[0]))


@contextmanager
def connecting(shown: str) -> Iterator[None]:
    """Around the making of a connection: before there is one nothing can have been sent, so nothing was done."""
    try:
        yield
    except (OSError, asyncpg.ConnectionDoesNotExistError) as error:
        reason = f"cannot be reached: {_why_not_reached(error)}. Nothing was done; try again."
        raise StoreUnavailable.of(shown, reason, did_nothing=True) from error


def _why_not_reached(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "it did not answer in time"
        case ConnectionRefusedError():
            return "the connection was refused"
        case FileNotFoundError():
            return "there is no such socket"
        case socket.gaierror():
            return "the host's name is not known"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case _:
            return "the connection was closed"


def undid_itself(error: BaseException | None) -> bool:
    """Whether the server said no to what it was told, or was not told it, so that certainly nothing was done."""
    if isinstance(error, NewerSchema):
        return True
    if not isinstance(error, asyncpg.PostgresError) or not error.sqlstate:
        return False
    return error.sqlstate[:2] not in ("08", "53", "57", "58", "25", "28", "40")


def behind(error: BaseException) -> str | None:
    """The company that has more due holds than a write closes, where that is why nothing was done."""
    cause = error.__cause__
    if isinstance(cause, asyncpg.PostgresError) and cause.sqlstate == _BACKLOG:
        return cause.detail or None
    return None


def is_full(error: BaseException) -> bool:
    """Whether the server's disk had no room for what it was told to write."""
    return isinstance(error, asyncpg.DiskFullError)


def is_crowded(error: BaseException | None) -> bool:
    """Whether the server takes no more connections."""
    return isinstance(error, asyncpg.TooManyConnectionsError)


def is_connected_after(error: BaseException) -> bool:
    """Whether the connection is still good: the server answered, and goes on. 57P01 to 57P05: it hung up."""
    return isinstance(error, asyncpg.PostgresError) and not (error.sqlstate or "57P").startswith("57P")
