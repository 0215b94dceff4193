"""Every seventh real call: copied to PostgreSQL, backed up there, copied back; all totals stay equal, all verify."""

import asyncio
import json
import os

import pytest

from kvot.cli import main
from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.stores import open_store
from tests.cli.test_postgres import postgres
from tests.trace.test_trace import (
    COMPANIES,
    DATA,
    WINDOW_MS,
    PlainSums,
    instants,
    now_ms,
    real_calls,
    seeded_calls,
    spread,
    write_csv,
)

__all__ = ["postgres"]


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("KVOT_SECRET", "of this test alone, and of no other database")


def ask(url, asked):
    async def answers():
        store = open_store(url, Rules())
        ledger = Ledger(store, now_ms)
        try:
            return [(await ledger.usage(company, at_ms=at, window_ms=WINDOW_MS)).tokens_used for company, at in asked]
        finally:
            await store.close()

    return asyncio.run(answers())


def ran(capfd, *words):
    capfd.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capfd.readouterr().out.splitlines()[-1])


def copy_and_compare(capfd, folder, postgres, rows):
    file, backup = folder / "trace.csv", folder / "backup.gz"
    first, back, restored = [f"sqlite:///{folder / name}" for name in ("first.db", "back.db", "restored.db")]
    write_csv(file, rows)
    assert ran(capfd, "import", file, "--database", first)["accepted"] == len(rows)
    for source, target in ((first, postgres), (postgres, back)):
        copied = ran(capfd, "copy", "--from", source, "--to", target)
        assert (copied["companies"], copied["events"], copied["differences"]) == (len(COMPANIES), len(rows), 0)
    ran(capfd, "backup", backup, "--database", postgres)
    ran(capfd, "restore", backup, "--database", restored)
    sums, asked = PlainSums(file), instants(rows)
    expected = [sums.used(company, at_ms) for company, at_ms in asked]
    assert len(set(expected)) > len(asked) / 2, "the instants tell answers apart"
    for url in (first, postgres, back, restored):
        assert ask(url, asked) == expected
        assert ran(capfd, "verify", "--database", url)["differences"] == []


def test_real_calls_go_to_postgres_and_back(capfd, tmp_path, postgres):
    if not DATA.is_dir():
        assert "CI" not in os.environ, f"{DATA} is missing: in CI the traces are there"
        pytest.skip(f"{DATA} is missing (the traces lie beside the project, not in it); a seeded trace stands in")
    copy_and_compare(capfd, tmp_path, postgres, spread(real_calls(), now_ms())[::7])


def test_a_seeded_trace_goes_to_postgres_and_back(capfd, tmp_path, postgres):
    copy_and_compare(capfd, tmp_path, postgres, spread(seeded_calls(), now_ms())[::7])
