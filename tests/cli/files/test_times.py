from kvot.cli.files.times import NOW, with_times
from kvot.operations.imports import Rows


def rows(*at_ms):
    numbers = range(len(at_ms))
    return Rows(list(numbers), [f"e{n}" for n in numbers], tokens=[n + 1 for n in numbers], at_ms=at_ms)


def test_rows_that_all_have_times_stay_as_they_are():
    given = rows(5, 6)
    assert with_times(given, None) == (given, [])
    assert with_times(given, None)[0] is given


def test_only_rows_without_a_time_are_refused_and_the_others_keep_all_they_say():
    kept, refused = with_times(rows(5, None, 7), None)
    assert (kept.positions, kept.event_ids, kept.tokens, kept.at_ms) == ([0, 2], ["e0", "e2"], [1, 3], [5, 7])
    assert [(each.position, each.event_id, each.code) for each in refused] == [(1, "e1", "NoTime")]


def test_a_time_that_is_said_is_that_of_rows_without_one_alone():
    assert with_times(rows(5, None), 9)[0].at_ms == [5, 9]


def test_rows_that_count_as_now_are_left_to_the_clock_of_the_ledger():
    assert with_times(rows(5, None), NOW)[0].at_ms == (5, None)


def test_without_a_column_of_times_every_row_is_without():
    untimed = Rows([1], ["e"], tokens=[1])
    assert with_times(untimed, 9)[0].at_ms == [9]
    assert len(with_times(untimed, None)[1]) == 1
