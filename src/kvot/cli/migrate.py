"""`kvot migrate`."""

from typing import Annotated

from cyclopts import Parameter

from kvot.cli import show
from kvot.cli.options import NO_DATABASE_OPTIONS, DatabaseOptions, UsageError
from kvot.cli.running import run


def migrate(
    *,
    citus: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Distribute the tables by company, on a Citus coordinator."),
    ] = False,
    options: DatabaseOptions = NO_DATABASE_OPTIONS,
) -> int:
    """Bring a PostgreSQL database to the schema of this version: only what it lacks, all of it or nothing.

    Servers of the version before answer 503 from then on: start them again with this one. Two that migrate at once
    follow one another. An embedded database needs no command: it is brought up to date whenever it is opened.

    For example:

    ```
    kvot migrate --database postgresql://kvot@db.internal/kvot
    ```
    """
    settings = options.database_settings()
    if settings.database_path is not None:
        if citus:
            raise UsageError("--citus is of PostgreSQL: an embedded database is one file.")
        _print(options, settings.database_path.name, None)
        return 0
    from kvot.stores.postgres.address import Address
    from kvot.stores.postgres.schema import migrate as migrate_database

    applied = run(migrate_database(settings.database, citus=citus))
    _print(options, Address.parse(settings.database).shown, applied)
    return 0


def _print(options: DatabaseOptions, shown: str, applied: list[str] | None) -> None:
    if options.json:
        show.document({"database": shown, "applied": applied or []})
    elif applied is None:
        print(f"{shown} needs no migration: Kvot brings it up to date whenever it opens it.")
    else:
        for name in applied:
            print(f"applied  {name}")
        print(f"{shown} is up to date.")
