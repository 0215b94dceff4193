"""Every third real call: backed up and restored, the totals are equal for every company."""

import json
import os

import pytest

from kvot.cli import main
from tests.trace.test_trace import COMPANIES, DATA, PlainSums, now_ms, real_calls, seeded_calls, spread, write_csv


def move_and_compare(capfd, folder, rows):
    file, backup, database, other = [folder / name for name in ("trace.csv", "backup.gz", "kvot.db", "other.db")]
    write_csv(file, rows)
    assert main(["import", str(file), "--database", str(database), "--json"]) == 0
    assert main(["backup", str(backup), "--database", str(database)]) == 0
    assert main(["restore", str(backup), "--database", str(other)]) == 0
    (folder / "other.db.secret").write_bytes((folder / "kvot.db.secret").read_bytes())
    (folder / "other.db.secret").chmod(0o600)
    sums, at_ms = PlainSums(file), rows[-1][0]
    for company in COMPANIES:
        words = ["usage", "--company", company, "--at", str(at_ms), "--window-days", "30", "--json"]
        capfd.readouterr()
        assert main([*words, "--database", str(other)]) == 0
        assert json.loads(capfd.readouterr().out)["tokensUsed"] == sums.used(company, at_ms) > 0


def test_totals_of_real_calls_are_the_same_after_a_backup_and_a_restore(capfd, tmp_path):
    if not DATA.is_dir():
        assert "CI" not in os.environ, f"{DATA} is missing: in CI the traces are there"
        pytest.skip(f"{DATA} is missing (the traces lie beside the project, not in it); a seeded trace stands in")
    move_and_compare(capfd, tmp_path, spread(real_calls(), now_ms())[::3])


def test_totals_of_a_seeded_trace_are_the_same_after_a_backup_and_a_restore(capfd, tmp_path):
    move_and_compare(capfd, tmp_path, spread(seeded_calls(), now_ms())[::3])
