"""`kvot copy`."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from kvot.bootstrap import wall_ms
from kvot.cli import moving, show
from kvot.cli.options import UsageError, database_url
from kvot.cli.progress import Progress
from kvot.cli.running import run
from kvot.core.archive import LedgerEnd, Part, Source
from kvot.core.budget import Rules
from kvot.settings import DATABASE, NotAccepted, Settings
from kvot.stores import transfer
from kvot.stores.archives import open_sink, open_source, open_target


@dataclass
class _Reached:
    """How far a copy is, for whoever interrupts it."""

    companies: int = 0
    of: int = 0

    def told(self) -> str:
        """Nothing, before anything could be there."""
        return (
            f"Interrupted after {self.companies:,} of {self.of:,} companies; run it again to go on." if self.of else ""
        )


def copy(
    *,
    from_: Annotated[str, Parameter(name="--from", help="The database to read: a file, or its URL.")],
    to: Annotated[str, Parameter(name="--to", help="The database to write: empty, or left off by an earlier copy.")],
    json: Annotated[
        bool, Parameter(negative="", show_default=False, help="Print one JSON document and nothing else.")
    ] = False,
) -> int:
    """Copy all that a database holds into another, of the same engine or not: from a file to PostgreSQL, or back.

    Company by company, each complete or not at all: a copy that was interrupted goes on where it stopped when it is
    started again. Then everything is read back from both sides, compared and verified. Anything in the target that
    the source does not hold in just the same way is refused, so stop the servers first: what they write after the
    start is not copied. The secret is not copied, and it says where it has to be brought. Exits with 1 if anything
    differs.

    For example:

    ```
    kvot copy --from sqlite:///kvot.db --to postgresql://kvot@db.internal/kvot
    ```
    """
    source, target = _url("--from", from_), _url("--to", to)
    settings = Settings.load(os.environ, None, {"database": target}, needs_secret=False)
    if source == target:
        raise UsageError("--from and --to are one database.")
    reached = _Reached()
    try:
        document = run(_copy(source, target, reached))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(reached.told()) from None
    if json:
        show.document(document)
    else:
        moving.print_totals(document)
        count = document["differences"]
        show.lines(
            [
                ("there already", f"{show.number(document['companiesThereAlready'])} companies"),
                ("differences", show.bad(str(count)) if count else show.good("none")),
            ]
        )
        moving.note_on_secret_needed(settings, "a copy", "was copied")
    return 1 if document["differences"] else 0


def _url(option: str, text: str) -> str:
    try:
        url: str = DATABASE.take(database_url(text), is_shown=False)
    except NotAccepted as error:
        raise UsageError(*(f"{option}{words}" for _, words in error.faults)) from None
    return url


async def _copy(from_: str, to: str, reached: _Reached) -> dict[str, Any]:
    due = moving.DueHolds(wall_ms())
    source = await open_source(from_, Rules())
    try:
        there, ends = await _write(source, to, reached, due)
        count = await _compare(source, to, ends)
    finally:
        await source.close()
    return {**moving.totals(ends, due), "companiesThereAlready": there, "differences": count}


async def _write(source: Source, to: str, reached: _Reached, due: moving.DueHolds) -> tuple[int, list[LedgerEnd]]:
    """Copy what is left to copy: how many companies were there already, and what all come to."""
    sink = await open_sink(to, Rules())
    try:
        reached.of = len(await source.companies())
        with Progress("copy", reached.of) as bar:
            show_part = moving.counting(bar, due)

            def on_part(part: Part) -> None:
                reached.companies += isinstance(part, LedgerEnd)
                show_part(part)

            target = await open_target(to, Rules())
            try:
                plan = await transfer.plan_copy(source, target, on_part)
            finally:
                await target.close()
            return len(plan.there), await transfer.copy(source, sink, plan, on_part)
    finally:
        await sink.close()


async def _compare(source: Source, to: str, ends: list[LedgerEnd]) -> int:
    target = await open_target(to, Rules())
    try:
        return await moving.shown(_differences(source, target, ends))
    finally:
        await target.close()


async def _differences(source: Source, target: Source, ends: list[LedgerEnd]) -> AsyncIterator[str]:
    with Progress("compare", len(ends)) as bar:
        for number, end in enumerate(ends, 1):
            async for fault in transfer.faults(source, end.company_id):
                yield f"Source: {fault}"
            async for difference in transfer.ledger_differences(target, end):
                yield f"Target: {difference}"
            bar.advance(end.events)
            bar.reach(number)
    async for fault in moving.audit_faults(source):
        yield f"Source: {fault}"
    async for difference in transfer.shared_differences(target, await transfer.digest_of_shared(source)):
        yield f"Target: {difference}"
