"""What every command takes: where to put its question, and how to print the answer."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from kvot.cli.target import Target, open_target
from kvot.core.errors import Forbidden, KvotError, NotAuthenticated
from kvot.operations.company import NO_COMPANY
from kvot.settings import Settings, variable
from kvot.wire.scalars import guid

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""At least two letters: C:/ is a drive."""

_WHERE = Group("Where", sort_key=90)

NO_KEY = "Give an API key: --api-key or KVOT_API_KEY."
WRONG_KEY = "The key of --api-key or KVOT_API_KEY is not one of this server, or was revoked: kvot keys list shows them."


class UsageError(Exception):
    """The command line says something that cannot be meant."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """Common to all commands."""

    database: Annotated[
        str | None,
        Parameter(group=_WHERE, help="A file, sqlite:///path or postgresql://…. Default: KVOT_DATABASE or kvot.db."),
    ] = None
    url: Annotated[str | None, Parameter(group=_WHERE, help="A running server instead. Default: KVOT_URL.")] = None
    api_key: Annotated[
        str | None, Parameter(group=_WHERE, help="The key to show it. Better in KVOT_API_KEY, unseen by others.")
    ] = None
    config: Annotated[Path | None, Parameter(group=_WHERE, help="A TOML file of settings. Default: KVOT_CONFIG.")] = (
        None
    )
    json: Annotated[
        bool, Parameter(negative="", show_default=False, help="Print one JSON document and nothing else.")
    ] = False

    def settings(self, *, needs_secret: bool = True, **overrides: object) -> Settings:
        """Raises SettingsError."""
        if self.database is not None and self.url is not None:
            raise UsageError("--database and --url are two places: name one.")
        given = {"database": self.database_url, "url": self.url, "api_key": self.api_key, **overrides}
        return Settings.load(os.environ, self.config, given, needs_secret=needs_secret)

    @property
    def database_url(self) -> str | None:
        return None if self.database is None else database_url(self.database)

    @contextmanager
    def target(self, *, make: bool = False, makes_keys: bool = False) -> Iterator[Target]:
        """The server of --url, or the database. `make`: a database that is not there yet is made. `makes_keys`: its
        secret is needed."""
        settings = self.settings(needs_secret=makes_keys)
        target = open_target(settings, local=self.database is not None, make=make, makes_keys=makes_keys)
        try:
            yield target
        except (NotAuthenticated, Forbidden) as error:
            raise _of_key(error, has_key=settings.api_key is not None) from None
        finally:
            target.close()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DatabaseOptions(Options):
    """Common to commands that work on a database itself and on no server. A server in the environment is not theirs, so
    it does not stand in their way; one on the command line is refused, and not listed."""

    url: Annotated[str | None, Parameter(group=_WHERE, show=False)] = None
    api_key: Annotated[str | None, Parameter(group=_WHERE, show=False)] = None

    def database_settings(self, *, needs_secret: bool = False, **overrides: object) -> Settings:
        """Raises SettingsError and UsageError."""
        if self.url is not None or self.api_key is not None:
            raise UsageError("This command works on a database, not through a server: name it with --database.")
        return self.settings(needs_secret=needs_secret, **overrides)

    def source_settings(self) -> Settings:
        """Of a command that reads what there is. Whoever has a server in the environment means that server's database:
        what lies in the working directory by chance is read for it only where it is named.

        Raises SettingsError and UsageError.
        """
        settings = self.database_settings()
        is_named = self.database is not None or variable("database") in os.environ
        if settings.url is not None and not is_named and settings.database == Settings.database:
            raise UsageError(
                "This command reads a database itself, and the server of KVOT_URL is not asked: name the database with "
                "--database."
            )
        return settings


def _of_key(error: NotAuthenticated | Forbidden, *, has_key: bool) -> KvotError:
    """What a server says of a key, in the words of the command line. What it says by itself of a token stays."""
    if error.message == NotAuthenticated().message:
        return NotAuthenticated(WRONG_KEY if has_key else NO_KEY)
    if error.message == NO_COMPANY:
        return Forbidden("The key speaks for no company: name one with --company.")
    return error


NO_OPTIONS = Options()
NO_DATABASE_OPTIONS = DatabaseOptions()


def database_url(text: str) -> str:
    """A database by its URL, or a file by its path. Raises UsageError for a scheme that lost its slashes."""
    if "://" not in text and _SCHEME.match(text):
        raise UsageError(
            "The database looks like an unknown URL: write postgresql://user@host/database, or ./ before a file."
        )
    return text if "://" in text else f"sqlite:///{text}"


def company_guid(text: str | None) -> str | None:
    """The company of --company in canonical form."""
    if text is None:
        return None
    try:
        return guid(text)
    except ValueError:
        raise UsageError(f"--company {text}: not a GUID such as 6f9619ff-8b86-4d01-b42d-00cf4fc964ff.") from None
