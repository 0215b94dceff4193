import httpx2
import pytest

from kvot.client.asking import Asking
from kvot.core.errors import Conflict, KvotError, NotFound, StoreUnavailable


def caused(cause: Exception) -> StoreUnavailable:
    error = StoreUnavailable("m")
    error.__cause__ = cause
    return error


LOST, UNSENT = caused(httpx2.ReadError("gone")), caused(httpx2.ConnectError("refused"))
TOLD = StoreUnavailable("m", retry_after_ms=3_000)


def asked(asking: Asking, *errors: KvotError) -> list[float | None]:
    """The pauses after each error, of asks that take no time."""
    pauses: list[float | None] = []
    for error in errors:
        asking.timeout_s(0.0)
        pauses.append(asking.pause_s(error, 0.0))
    return pauses


# Repetitions, the errors of the asks, and the pauses after them; None: the error stands.
PAUSES = [
    (0, [LOST], [None]),
    (1, [LOST, LOST], [0.0, None]),
    (5, [LOST] * 6, [0.0, 0.25, 0.5, 1.0, 2.0, None]),
    (5, [UNSENT, TOLD, LOST], [0.0, 3.0, 0.5]),
    (5, [StoreUnavailable("m", retry_after_ms=20_000)], [None]),
    (5, [Conflict("m")], [None]),
    (5, [NotFound("m")], [None]),
]


@pytest.mark.parametrize(("repeats", "errors", "pauses"), PAUSES)
def test_what_nobody_answered_is_asked_again_within_its_time(repeats, errors, pauses):
    assert asked(Asking(0.0, 10.0, repeats), *errors) == pauses


def test_what_was_not_found_is_asked_for_again_where_its_request_may_be_on_the_way():
    assert asked(Asking(0.0, 10.0, 2, also_not_found=True), NotFound("m"), NotFound("m"), LOST) == [0.5, 0.5, None]


# The errors of the asks, and whether one of these may have been carried out.
DOUBTS = [
    ([LOST], True),
    ([TOLD], True),
    ([UNSENT], False),
    ([Conflict("m")], False),
    ([LOST, Conflict("m")], True),
    ([UNSENT, UNSENT], False),
    ([UNSENT, LOST], True),
]


@pytest.mark.parametrize(("errors", "may_be_done"), DOUBTS)
def test_an_ask_is_in_doubt_unless_it_was_refused_or_never_sent(errors, may_be_done):
    asking = Asking(0.0, 10.0, 1)
    asked(asking, *errors)
    assert asking.may_be_done is may_be_done


def test_so_is_one_that_was_broken_off():
    asking = Asking(0.0, 10.0, 1)
    asking.timeout_s(0.0)
    assert asking.may_be_done


def test_one_that_hangs_leaves_time_for_another():
    asking = Asking(100.0, 10.0, 1)
    assert (asking.timeout_s(100.0), asking.timeout_s(105.0)) == (5.0, 5.0)
    assert 0 < asking.timeout_s(110.0) < 0.01
