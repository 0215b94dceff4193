"""Real calls through the real command line, and every answer compared with plain sums over the same file.

The rule (of the traces' README): the rows of both files in order of time are spread over companies and days:
company = row number modulo 50, time = start + offset x stretch. The day it ends on is that of the test run, since
what is imported must lie within retention; all instants that are asked for are given.
"""

import asyncio
import csv
import json
import os
import random
import time
from bisect import bisect_right
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from kvot.cli import main
from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.core.window import MS_PER_DAY
from kvot.stores import open_store

DATA = Path(__file__).parents[3] / "shared" / "data"
TRACES = ("azure_llm_2023_conv.csv", "azure_llm_2023_code.csv")
CALLS = 28_185
COMPANIES = [str(UUID(int=0x4000_8000_0000_0000_0000 + n)) for n in range(50)]
DAYS = 45
WINDOW_MS = 30 * MS_PER_DAY
INSTANTS = 1_000
ASKED_BY_COMMAND = 5

Call = tuple[int, int, int]
"""Offset from the first call in 100 ns, input and output tokens."""


def real_calls() -> list[Call]:
    """Both traces as one, in order of time."""
    calls = []
    for name in TRACES:
        with (DATA / name).open(newline="") as file:
            for row in csv.DictReader(file):
                calls.append((hundred_ns(row["TIMESTAMP"]), int(row["ContextTokens"]), int(row["GeneratedTokens"])))
    calls.sort()
    first = calls[0][0]
    return [(at - first, asked, answered) for at, asked, answered in calls]


def hundred_ns(text: str) -> int:
    """The traces have seven digits of a second."""
    whole, fraction = text.split(".")
    return int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()) * 10_000_000 + int(fraction)


def seeded_calls() -> list[Call]:
    """As many calls in an hour, with tokens spread as widely, for a checkout that the traces do not lie beside."""
    chance = random.Random(20231116)
    offsets = sorted(chance.randrange(36_000_000_000) for _ in range(CALLS))
    return [
        (at, min(14_050, int(chance.lognormvariate(6.5, 1.2)) + 1), min(1_000, int(chance.lognormvariate(4.5, 1)) + 1))
        for at in offsets
    ]


Row = tuple[int, str, int, int]
"""Time in ms, company, input and output tokens: a row of the file that is imported."""


def spread(calls: list[Call], end_ms: int) -> list[Row]:
    span = calls[-1][0] + 1
    start_ms = end_ms - DAYS * MS_PER_DAY
    return [
        (start_ms + at * DAYS * MS_PER_DAY // span, COMPANIES[number % len(COMPANIES)], asked, answered)
        for number, (at, asked, answered) in enumerate(calls)
    ]


def write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("TIMESTAMP", "ContextTokens", "GeneratedTokens", "company"))
        for at_ms, company, asked, answered in rows:
            moment = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
            writer.writerow((f"{moment}.{at_ms % 1000:03}9999", asked, answered, company))


class PlainSums:
    """Usage from nothing but the file: the rows of a company in order, and their running totals."""

    def __init__(self, path: Path) -> None:
        self._times: dict[str, list[int]] = {}
        self._totals: dict[str, list[int]] = {}
        with path.open(newline="") as file:
            read = [
                (hundred_ns(row["TIMESTAMP"]) // 10_000, row["company"], row["ContextTokens"], row["GeneratedTokens"])
                for row in csv.DictReader(file)
            ]
        for at_ms, company, asked, answered in sorted(read):
            totals = self._totals.setdefault(company, [0])
            totals.append(totals[-1] + int(asked) + int(answered))
            self._times.setdefault(company, []).append(at_ms)

    def used(self, company: str, at_ms: int) -> int:
        times, totals = self._times[company], self._totals[company]
        return totals[bisect_right(times, at_ms)] - totals[bisect_right(times, at_ms - WINDOW_MS)]


def instants(rows: list[Row]) -> list[tuple[str, int]]:
    """For events drawn by a seed: the moments at which they enter and leave the window, and those just before."""
    chance = random.Random(7)
    edges: list[tuple[str, int]] = []
    while len(edges) < INSTANTS:
        at_ms, company, _, _ = chance.choice(rows)
        edges += [(company, at_ms + delta) for delta in (0, -1, WINDOW_MS, WINDOW_MS - 1)]
    return edges[:INSTANTS]


async def ask_ledger(database: Path, asked: list[tuple[str, int]]) -> list[int]:
    store = open_store(f"sqlite:///{database}", Rules())
    try:
        ledger = Ledger(store, lambda: time.time_ns() // 1_000_000)
        return [(await ledger.usage(company, at_ms=at_ms, window_ms=WINDOW_MS)).tokens_used for company, at_ms in asked]
    finally:
        await store.close()


def ask_command(capfd, database: Path, company: str, at_ms: int) -> int:
    words = ["usage", "--company", company, "--at", str(at_ms), "--window-days", "30", "--json"]
    capfd.readouterr()
    assert main([*words, "--database", str(database)]) == 0
    return int(json.loads(capfd.readouterr().out)["tokensUsed"])


def import_and_compare(capfd, folder: Path, rows: list[Row], *, shuffled: bool) -> None:
    file, database = folder / "trace.csv", folder / "kvot.db"
    asked = instants(rows)
    if shuffled:
        rows = random.Random(11).sample(rows, len(rows))
    write_csv(file, rows)
    assert main(["import", str(file), "--database", str(database), "--json"]) == 0
    summary = json.loads(capfd.readouterr().out)
    assert summary == {"accepted": len(rows), "duplicate": 0, "refused": 0, "isComplete": True}

    sums = PlainSums(file)
    expected = [sums.used(company, at_ms) for company, at_ms in asked]
    answered = asyncio.run(ask_ledger(database, asked))
    differences = [each for each in zip(asked, answered, expected, strict=True) if each[1] != each[2]]
    assert differences == []
    assert len(set(expected)) > INSTANTS / 2, "the instants tell answers apart"
    for (company, at_ms), tokens in list(zip(asked, expected, strict=True))[:ASKED_BY_COMMAND]:
        assert ask_command(capfd, database, company, at_ms) == tokens
    assert main(["verify", "--database", str(database)]) == 0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
def test_usage_of_real_calls_is_what_plain_sums_say(capfd, tmp_path, shuffled):
    if not DATA.is_dir():
        assert "CI" not in os.environ, f"{DATA} is missing: in CI the traces are there"
        pytest.skip(f"{DATA} is missing (the traces lie beside the project, not in it); a seeded trace stands in")
    calls = real_calls()
    assert len(calls) == CALLS
    import_and_compare(capfd, tmp_path, spread(calls, now_ms()), shuffled=shuffled)


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
def test_usage_of_a_seeded_trace_is_what_plain_sums_say(capfd, tmp_path, shuffled):
    import_and_compare(capfd, tmp_path, spread(seeded_calls(), now_ms()), shuffled=shuffled)
