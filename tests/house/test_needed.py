"""A server that is missing is a failure in CI, and a reason to skip on a desk."""

import pytest

from tests.postgres.needed import needed


def missing() -> None:
    raise ConnectionError("No PostgreSQL server is installed.")


@pytest.mark.parametrize(("ci", "ends"), [("true", ConnectionError), ("", pytest.skip.Exception)])
def test_what_is_missing_fails_in_ci_and_skips_elsewhere(monkeypatch, ci, ends):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(ends, match="No PostgreSQL server is installed"):
        needed(missing)


def test_what_is_there_is_given():
    assert needed(lambda: 7) == 7
