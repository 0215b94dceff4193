"""`kvot migrate`. What it does to PostgreSQL: tests/postgres."""

from tests.cli.support import ACME


def test_an_embedded_database_is_said_to_need_none_and_left_alone(kvot):
    ran = kvot("migrate")
    assert (ran.code, "needs no migration" in ran.out) == (0, True)
    assert list(kvot.folder.iterdir()) == []
    assert kvot("record", "--company", ACME, "--tokens", 1).code == 0
    assert kvot("migrate", "--json").document == {"database": "kvot.db", "applied": []}


def test_an_embedded_database_cannot_be_distributed(kvot):
    assert kvot("migrate", "--citus").code == 2
