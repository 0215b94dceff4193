"""`kvot backup` and `kvot restore`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from kvot.bootstrap import rules_of, wall_ms
from kvot.cli import moving, show
from kvot.cli.options import NO_DATABASE_OPTIONS, DatabaseOptions, UsageError
from kvot.cli.progress import Progress
from kvot.cli.running import run
from kvot.core.archive import Part
from kvot.settings import Settings
from kvot.settings.urls import masked
from kvot.stores.archives import open_sink, open_source, open_target
from kvot.stores.backup_file import BackupReader, BackupWriter
from kvot.stores.transfer import Misfit, check_empty, differences, move, whole

File = Annotated[Path, Parameter(help="The file of the backup.")]


def backup(file: File, /, *, options: DatabaseOptions = NO_DATABASE_OPTIONS) -> int:
    """Write all that a database holds into one file: ledgers, budgets, holds, API keys (as hashes), the audit log.

    It is one snapshot, and a server that uses the database goes on meanwhile. The file is the same for every engine:
    what was kept in a file can be restored into PostgreSQL, and the other way round. The secret is not in it. Exits
    with 1, the file made all the same, if the audit log was tampered with.

    For example:

    ```
    kvot backup /var/backups/kvot-2026-11-22.gz --database /var/lib/kvot/kvot.db
    ```
    """
    settings = options.source_settings()
    if not file.parent.is_dir():
        raise UsageError(f"{file} cannot be made: there is no folder {file.parent}. Make the folder first.")
    document = run(_backup(file, settings))
    if options.json:
        show.document(document)
    else:
        show.lines([("database", _shown(settings))])
        moving.print_totals(document)
        show.lines([("file", f"{file}, {show.number(document['bytes'])} bytes")])
        moving.note_on_secret_kept(settings)
    return 1 if document["differences"] else 0


def _shown(settings: Settings) -> str:
    """A file in full, since which folder it is in may be by chance; a server without its password."""
    path = settings.database_path
    return masked(settings.database) if path is None else str(path.absolute())


async def _backup(file: Path, settings: Settings) -> dict[str, Any]:
    due = moving.DueHolds(wall_ms())
    source = await open_source(settings.database, rules_of(settings))
    try:
        writer = BackupWriter(file)
        try:
            with Progress("backup", len(await source.companies())) as bar:
                summary = await move(whole(source), writer, moving.counting(bar, due))
        finally:
            await writer.close()
        count = await moving.shown(moving.audit_faults(source))
    finally:
        await source.close()
    totals = moving.totals(summary.ends.values(), due)
    return {"file": str(file), "bytes": file.stat().st_size, **totals, "differences": count}


def restore(file: File, /, *, options: DatabaseOptions = NO_DATABASE_OPTIONS) -> int:
    """Write all that a backup holds into an empty database, then read it again, compare and verify every ledger.

    A file that is damaged or cut off restores nothing. Exits with 1 if anything is not as it was. The secret is not in
    it: that of the database which was backed up has to be brought as well, and it says where to.

    For example:

    ```
    kvot restore /var/backups/kvot-2026-11-22.gz --database /var/lib/kvot/kvot.db
    ```
    """
    settings, reached = options.database_settings(), _Reached()
    try:
        document = run(_restore(file, settings, reached))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(reached.told()) from None
    if options.json:
        show.document(document)
    else:
        moving.print_totals(document)
        _print_verdict(document["differences"])
        moving.note_on_secret_needed(settings)
    return 1 if document["differences"] else 0


def _print_verdict(count: int) -> None:
    show.lines([("differences", show.bad(str(count)) if count else show.good("none"))])


@dataclass
class _Reached:
    """How far a restore is, for whoever interrupts it."""

    is_read: bool = False
    is_written: bool = False

    def told(self) -> str:
        if self.is_written:
            return "Interrupted. All is restored, but not compared: run kvot verify."
        if self.is_read:
            return "Interrupted as it was committed: kvot verify tells whether all is restored, or nothing."
        return "Interrupted. Nothing is restored."

    async def reading(self, parts: AsyncIterator[Part]) -> AsyncIterator[Part]:
        async for part in parts:
            yield part
        self.is_read = True


async def _restore(file: Path, settings: Settings, reached: _Reached) -> dict[str, Any]:
    rules, due = rules_of(settings), moving.DueHolds(wall_ms())
    with BackupReader(file) as reader:
        sink = await open_sink(settings.database, rules)
        try:
            before = await open_target(settings.database, rules)
            try:
                await check_empty(before)
            finally:
                await before.close()
            with Progress("restore", reader.total_bytes) as bar:
                on_part = moving.counting(bar, due, lambda: reader.read_bytes)
                try:
                    summary = await move(reached.reading(reader.parts()), sink, on_part)
                    reached.is_written = True
                except Misfit:
                    raise reader.misfit() from None
        finally:
            await sink.close()
    after = await open_target(settings.database, rules)
    try:
        count = await moving.shown(differences(after, summary.ends.values(), summary.shared))
    finally:
        await after.close()
    return {**moving.totals(summary.ends.values(), due), "differences": count}
