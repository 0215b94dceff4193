"""The URL of a PostgreSQL database, taken apart: what the driver is told, what people are shown, and our own options.

`postgresql://user:password@host:port/database?option=value`, with several hosts where there are standbys. Two options
are Kvot's, all others the driver's:

- `pooler=transaction`: a pooler such as PgBouncer stands before the database and hands out connections by transaction.
  Then nothing relies on a session: no prepared statement outlives its transaction, and changes of keys are polled for.
- `connections=16`: how many connections one process opens at the most.
"""

from typing import NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from kvot.core.errors import StoreUnavailable

CONNECTIONS_DEFAULT = 16
"""Of one process, of the hundred that a server as installed allows: six processes find room."""

CONNECTIONS_MAX = 1_000


class Address(NamedTuple):
    """`dsn` holds the password and is never shown; `shown` is the URL without it."""

    dsn: str
    shown: str
    connections_max: int = CONNECTIONS_DEFAULT
    behind_pooler: bool = False

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises StoreUnavailable, naming the option and never the password, for what cannot be meant."""
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise StoreUnavailable("The database's URL cannot be read: postgresql://user@host/database.") from error
        options = dict(parse_qsl(parts.query))
        who, _, hosts = parts.netloc.rpartition("@")
        user = f"{who.partition(':')[0]}@" if who else ""
        shown = f"postgresql://{user}{hosts or options.get('host', '')}{parts.path}"
        connections_max = _connections(options.pop("connections", None), shown)
        behind_pooler = _pooler(options.pop("pooler", None), shown)
        dsn = parts._replace(query=urlencode(options), fragment="").geturl()
        return cls(dsn, shown, connections_max, behind_pooler)


def _connections(text: str | None, shown: str) -> int:
    if text is None:
        return CONNECTIONS_DEFAULT
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= CONNECTIONS_MAX):
        raise StoreUnavailable(f"{shown}: connections must be a number from 1 to {CONNECTIONS_MAX}, not {text}.")
    return int(text)


def _pooler(text: str | None, shown: str) -> bool:
    if text not in (None, "transaction"):
        raise StoreUnavailable(f"{shown}: pooler can only be transaction, not {text}.")
    return text is not None
