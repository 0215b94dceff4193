"""What became of the rows of an import: counted, kept in small, printed at the end. Every refusal is told once."""

import csv
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from kvot.cli import FAILED, INTERRUPTED, show
from kvot.operations.imports import Refusal, Tally

SHOWN_MAX = 20
"""Refusals on the terminal: enough to see what is wrong. --refused or --json tells all."""


class Summary:
    """`refused_file`: a CSV file for every refusal. `as_json`: a JSON line for each, and one for the whole."""

    def __init__(self, refused_file: Path | None, *, as_json: bool) -> None:
        self.accepted = self.duplicate = self.refused = 0
        self.is_interrupted = self._is_refused = False
        self._as_json = as_json
        self._refused_file = refused_file
        self._file: TextIO | None = None
        self._writer: Any = None
        self._path = Path()
        self._first: list[tuple[Path, Refusal]] = []

    def __enter__(self) -> Self:
        if self._refused_file is not None:
            self._file = self._refused_file.open("w", newline="", encoding="utf-8")
            self._writer = csv.writer(self._file)
            self._writer.writerow(("file", "line", "element", "id", "code", "message"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def begin(self, path: Path) -> None:
        self._path = path

    def add(self, tally: Tally) -> None:
        self.accepted += tally.accepted
        self.duplicate += tally.duplicate
        self.refused += len(tally.refusals)
        for refusal in tally.refusals:
            self._tell(refusal)

    def _tell(self, refusal: Refusal) -> None:
        line, element = _place(refusal)
        if self._as_json:
            where = {"file": str(self._path), "line": line} | ({} if element is None else {"element": element})
            said = {"id": refusal.event_id, "errorCode": refusal.code, "message": refusal.message}
            show.document(where | said)
        elif len(self._first) < SHOWN_MAX:
            self._first.append((self._path, refusal))
        if self._writer is not None:
            values = (refusal.event_id or "", refusal.code, refusal.message)
            self._writer.writerow((self._path, line, "" if element is None else element, *values))

    def stop(self, *, may_go_on: bool) -> None:
        """Print what there is before an error is told that ended the import. `may_go_on`: to run it again may help;
        otherwise there is nothing to say of an import that did not even begin."""
        self.is_interrupted, self._is_refused = True, not may_go_on
        if may_go_on or any(self._counts.values()):
            self.print()

    def print(self) -> None:
        if self._as_json:
            show.document(self._counts | {"isComplete": not self.is_interrupted})
            return
        if self._first:
            rows = [(_shown(path, told), told.code, told.message) for path, told in self._first]
            show.table(("refused", "code", "reason"), rows)
            if self.refused > len(self._first):
                print(f"and {self.refused - len(self._first):,} more; --refused FILE writes all of them")
            print()
        width = max(len(show.number(each)) for each in self._counts.values())
        show.lines([(label, show.number(each).rjust(width)) for label, each in self._counts.items()])
        if self._is_refused:
            print("What is counted above is safe. The rest was refused:", flush=True)
        elif self.is_interrupted:
            print("Interrupted. What is counted above is safe. Run the same command again for the rest:")
            print("rows without an id of their own get the same ids again, and an id counts once.")

    @property
    def _counts(self) -> dict[str, int]:
        return {"accepted": self.accepted, "duplicate": self.duplicate, "refused": self.refused}

    @property
    def exit_code(self) -> int:
        if self.is_interrupted:
            return INTERRUPTED
        return FAILED if self.refused else 0


def _place(refusal: Refusal) -> tuple[int, int | None]:
    """The line, and the element where the file is an array."""
    return (refusal.position, None) if isinstance(refusal.position, int) else refusal.position


def _shown(path: Path, refusal: Refusal) -> str:
    line, element = _place(refusal)
    return f"{path}:{line}" if element is None else f"{path}:{line}, element {element}"
