"""`kvot migrate`. What it does to PostgreSQL: tests/postgres."""

import pytest

from tests.cli.support import ACME


def test_an_embedded_database_is_said_to_need_none_and_left_alone(kvot):
    ran = kvot("migrate")
    assert (ran.code, "needs no migration" in ran.out) == (0, True)
    assert list(kvot.folder.iterdir()) == []
    assert kvot("record", "--company", ACME, "--tokens", 1).code == 0
    assert kvot("migrate", "--json").document == {"database": "kvot.db", "applied": []}


def test_an_embedded_database_cannot_be_distributed(kvot):
    assert kvot("migrate", "--citus").code == 2


@pytest.mark.parametrize("database", ["postgres:/x", "postgresql:/u:hunter2@h/x", "mysql://h/x", "sqlite:/x.db"])
def test_what_looks_like_a_url_of_an_unknown_kind_is_refused(kvot, database):
    ran = kvot.bare("migrate", "--database", database)
    assert (ran.code, ran.out, "postgresql://" in ran.err, "hunter2" in ran.err) == (2, "", True, False)


def test_a_file_may_be_named_with_a_colon(kvot):
    assert kvot.bare("migrate", "--database", "./a:/b.db").code == 0
