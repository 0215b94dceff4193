"""`kvot import`: files of usage into the ledger, bad lines reported and good ones counted."""

import gc
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from kvot.cli import show
from kvot.cli.files import ahead
from kvot.cli.files.fields import NotMapped, parse_map
from kvot.cli.files.reader import UnreadableFile, UsageFile
from kvot.cli.files.times import NOW, with_times
from kvot.cli.moments import parse_moment
from kvot.cli.options import Options, UsageError, company_guid
from kvot.cli.progress import Progress
from kvot.cli.summary import Summary
from kvot.cli.target import Target
from kvot.core.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    KvotError,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
)
from kvot.operations.imports import Tally

_FINAL = (InvalidRequest, NotAuthenticated, Forbidden, NotFound, MethodNotAllowed, Conflict)
"""What the same command meets again however often it is run."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ImportOptions(Options):
    """With more than one document to print."""

    json: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Print a JSON line for each refused row, and last a summary."),
    ] = False


NO_IMPORT_OPTIONS = ImportOptions()

FILES_HELP = "CSV with a header (comma, semicolon or tab), JSON Lines, or a JSON array. UTF-8."


def import_(
    files: Annotated[list[Path], Parameter(name="FILES", help=FILES_HELP)],
    /,
    *,
    company: Annotated[str | None, Parameter(help="Whose usage it is, where a row does not say.")] = None,
    map: Annotated[
        list[str] | None, Parameter(negative="", help="field=column. Several times, for columns of other names.")
    ] = None,
    at: Annotated[
        str | None, Parameter(help="When rows count that say no time: now, or an instant. Default: they are refused.")
    ] = None,
    refused: Annotated[Path | None, Parameter(help="Write every refused line to this CSV file.")] = None,
    options: ImportOptions = NO_IMPORT_OPTIONS,
) -> int:
    """Import usage that happened elsewhere or earlier. Bad lines are reported by number and never stop good ones.

    Fields: id, at, tokens, company, input, output, cached, reasoning, model, provider, user, feature. Columns of
    usual names are found by themselves (timestamp, prompt_tokens, CompanyId, …). Without tokens, input and output
    are added up. Times: ISO 8601 (UTC where no zone is named), epoch seconds or milliseconds, /Date(ms)/. A row that
    says no time is refused unless --at says when it counts. One row is one line: a line break inside quotes is refused.

    An id counts once per company. A row without an id gets one from the content of its file and its place in it, so to
    import the same file again counts nothing twice: after an interruption run the same command again. A file that
    has grown is another file: give rows ids of their own if you import files that grow.

    --json prints one line for each refused row as it is met, and a summary as the last line. Exits with 1 if any row
    was refused, and with 130 if it was interrupted.

    For example:

    ```
    kvot import usage.csv --company $COMPANY
    kvot import trace.csv --map at=TIMESTAMP --map tokens=TotalTokens
    kvot import 2026-*.jsonl --refused refused.csv
    kvot import balances.csv --at 2026-11-01
    ```
    """
    try:
        mapping = parse_map(map or [])
    except NotMapped as error:
        raise UsageError(str(error)) from None
    company_id, untimed_ms = company_guid(company), _parse_at(at)
    if refused is not None and refused.exists() and any(refused.samefile(path) for path in files if path.exists()):
        raise UsageError(f"{refused} is to be imported: name another file for the refused lines.")
    usage_files = [UsageFile(path, mapping) for path in files]
    with ExitStack() as stack:
        target = stack.enter_context(options.target(make=True))
        summary = stack.enter_context(Summary(refused, as_json=options.json))
        stop = stack.enter_context(_stop_when_asked())
        stack.enter_context(_without_collector())
        for file in usage_files:
            if stop.is_asked:
                break
            _import_file(target, file, (company_id, untimed_ms), summary, stop)
        summary.is_interrupted = stop.is_asked
        summary.print()
        return summary.exit_code


class _Stop:
    """Whether Ctrl-C was pressed. The second time does not wait for the batch."""

    is_asked = False

    def ask(self, *_: Any) -> None:
        if self.is_asked:
            raise KeyboardInterrupt
        self.is_asked = True
        show.note("\nStopping after this batch…")


@contextmanager
def _stop_when_asked() -> Iterator[_Stop]:
    stop = _Stop()
    before = signal.signal(signal.SIGINT, stop.ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Rows and events hold no cycles. To look for some among thousands of them again and again takes a third of the
    time of an import."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _parse_at(text: str | None) -> int | None:
    """When rows count that say no time."""
    if text == "now":
        return NOW
    instant = parse_moment("--at", text)
    return None if instant is None else instant.ms


def _import_file(
    target: Target, file: UsageFile, defaults: tuple[str | None, int | None], summary: Summary, stop: _Stop
) -> None:
    """`defaults`: company and time of rows that do not say."""
    company_id, untimed_ms = defaults
    summary.begin(file.path)
    with Progress(file.path.name, file.bytes) as progress:

        def on_tally(tally: Tally) -> None:
            summary.add(tally)
            progress.advance(tally.accepted + tally.duplicate + len(tally.refusals))

        importer = target.importer(company_id, on_tally)
        try:
            for batch in ahead.batches(file):
                rows, untimed = with_times(batch.rows, untimed_ms)
                if refusals := [*batch.refusals, *untimed]:
                    on_tally(Tally(refusals=refusals))
                importer.take(rows)
                progress.reach(batch.end_byte)
                if stop.is_asked:
                    break
            importer.finish()
        except (UnreadableFile, NotMapped) as error:
            raise UsageError(f"{file.path}: {error}") from None
        except KvotError as error:
            summary.stop(may_go_on=not isinstance(error, _FINAL))
            raise
