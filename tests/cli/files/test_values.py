import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.cli.files.values import CONVERSIONS, Unfit, to_instant_ms, to_number

# How a time is written, and the millisecond that it is.
TIMES = [
    ("2023-11-16 18:15:46.6805900", 1_700_158_546_680),
    ("2023-11-16T18:15:46.6809999Z", 1_700_158_546_680),
    ("2023-11-16T19:15:46.680+01:00", 1_700_158_546_680),
    ("2023-11-16", 1_700_092_800_000),
    ("1700158546", 1_700_158_546_000),
    ("1700158546.6809", 1_700_158_546_680),
    ("1700158546680", 1_700_158_546_680),
    (1_700_158_546, 1_700_158_546_000),
    (1_700_158_546_680, 1_700_158_546_680),
    (1_700_158_546.68, 1_700_158_546_680),
    ("/Date(1700158546680)/", 1_700_158_546_680),
    (r"\/Date(1700158546680+0100)\/", 1_700_158_546_680),
    ("1700121012345", 1_700_121_012_345),  # not the seventeenth of December 1700
    (None, None),
]


@pytest.mark.parametrize(("written", "at_ms"), TIMES)
def test_a_time_is_read_to_the_millisecond(written, at_ms):
    assert to_instant_ms("at", written) == at_ms


@pytest.mark.parametrize("written", ["", "now", "2023-02-30", "16.11.2023", "-5", -5, 1e30, True, [], "9" * 20])
def test_what_is_no_time_is_not_guessed_at(written):
    with pytest.raises(Unfit):
        to_instant_ms("at", written)


@pytest.mark.parametrize(("written", "number"), [("5", 5), (" 5 ", 5), ("+5", 5), ("-5", -5), ("007", 7), ("", None)])
def test_a_number_is_read_with_blanks_and_signs(written, number):
    assert to_number("tokens", written) == number


@pytest.mark.parametrize("written", ["1_000", "1,000", "5.0", "1e3", "٥", "0x5", "5" * 31, 5.0, True])
def test_what_is_no_whole_number_is_not_guessed_at(written):
    with pytest.raises(Unfit):
        to_number("tokens", written)


WRITTEN = ["", "5", " 5", "-5", "1_0", "٥", "abc", "9" * 31, "1700158546680", None, 5, 5.5, True]
WRITTEN += ["2023-11-16", "2023-11-16 18:15:46.6805900", "2023-11-16T18:15:46Z", "2023-13-16"]
WRITTEN += ["6F9619FF-8B86-4D01-B42D-00CF4FC964FF", "6F9619FF8B864D01B42D00CF4FC964FF"]


@given(st.sampled_from(sorted(CONVERSIONS)), st.lists(st.sampled_from(WRITTEN), min_size=1, max_size=4))
def test_a_whole_column_gives_what_its_single_values_give(field, column):
    whole, one = CONVERSIONS[field]
    try:
        expected = [one(field, value) for value in column]
    except Unfit:
        with pytest.raises(Unfit):
            whole(field, column)
    else:
        assert list(whole(field, column)) == expected
