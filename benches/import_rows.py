"""How much slower is `kvot import` than putting the same rows into one bare table, and what does an event weigh?

The file has no ids, as traces have none, so both sides key a row by file and line and insert in order: the table that
is cheapest to fill, and so the hardest to be compared with. The bare side has its rows in memory, typed, before its
time starts; ours has started, read, parsed and checked as well. The bench itself keeps no rows, since a process
inherits its maker's peak of memory.

Sketch: the bare insert is some 300,000 rows/s here. An event, its point and the commit take SQLite as long as the bare
row; then columns are checked, put in order of companies and summed up, in Python, while SQLite waits: with the start
somewhat over twice the bare side in all. To prepare rows while SQLite works gains nothing: each of its statements is
so short that the interpreter's lock is given back to the other thread at the wrong time.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import apsw

from benches.report import Ratio, in_turn, ratio_of

ROWS = 1_000_000
COMPANIES = 50
BATCH = 10_000
DAYS_MS = 45 * 86_400_000
ROUNDS = 3


def measure() -> Iterator[Ratio]:
    """`kvot import` of 1,000,000 rows, whole process, against bare apsw inserts in the same batches"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_rows(folder / "rows.csv")
        peaks_kb: list[int] = []
        ours, bare = in_turn(ROUNDS, lambda: _import_s(folder, peaks_kb), lambda: _bare_s(folder))
        rows_per_s, bare_per_s = ROWS / min(ours), ROWS / min(bare)
        yield Ratio(
            "rows/s, kvot import / bare apsw",
            ratio_of(bare, ours),
            "≥ 0.4",
            f"{rows_per_s:,.0f} rows/s with start, parsing and checks",
            f"{bare_per_s:,.0f} rows/s from memory",
        )
        size = (folder / "ledger.db").stat().st_size
        yield Ratio("bytes of database per event / 140", size / ROWS / 140, "≤ 1", f"{size / ROWS:.1f} bytes", "140")
        peak_mb = max(peaks_kb) / 1024
        yield Ratio("peak RSS of the import / 90 MB", peak_mb / 90, "< 1", f"{peak_mb:.0f} MB", "90 MB")


def _write_rows(path: Path) -> None:
    """50 companies in turn, 45 days up to a minute ago, input and output tokens."""
    start_ms = int(time.time() * 1000) - DAYS_MS - 60_000
    companies = [str(uuid.UUID(int=0xA << 124 | each)) for each in range(COMPANIES)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["at", "company_id", "input_tokens", "output_tokens"])
        for row in range(ROWS):
            at_ms = start_ms + row * DAYS_MS // ROWS
            writer.writerow([at_ms, companies[row % COMPANIES], 300 + row % 5_000, 20 + row % 700])


def _import_s(folder: Path, peaks_kb: list[int]) -> float:
    for old in folder.glob("ledger.db*"):
        old.unlink()
    command = [sys.executable, "-m", "kvot.cli", "import", str(folder / "rows.csv"), "--json"]
    command += ["--database", f"sqlite:///{folder / 'ledger.db'}"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("kvot import failed")
    peaks_kb.append(usage.ru_maxrss)
    return elapsed


def _bare_s(folder: Path) -> float:
    command = [sys.executable, "-m", "benches.import_rows", str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def insert_bare(folder: Path) -> float:
    """Seconds to put the rows into one table keyed as events are, in batches as large as ours, as durable as ours."""
    for old in folder.glob("bare.db*"):
        old.unlink()
    with (folder / "rows.csv").open(newline="") as file:
        lines = csv.reader(file)
        next(lines)
        rows = [
            (each[1], f"{'0' * 16}:{number}", int(each[0]), int(each[2]) + int(each[3]), int(each[2]), int(each[3]))
            for number, each in enumerate(lines, 2)
        ]
    database = apsw.Connection(str(folder / "bare.db"))
    database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    database.execute(
        "CREATE TABLE event (company TEXT, id TEXT, at INTEGER, tokens INTEGER, input INTEGER, output INTEGER,"
        " PRIMARY KEY (company, id)) STRICT, WITHOUT ROWID"
    )
    start = time.perf_counter()
    for first in range(0, ROWS, BATCH):
        with database:
            database.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", rows[first : first + BATCH])
    elapsed = time.perf_counter() - start
    database.close()
    return elapsed


if __name__ == "__main__":
    print(insert_bare(Path(sys.argv[1])))
