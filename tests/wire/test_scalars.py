"""Text to scalars: every spelling that clients send, and nothing else."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract.describe import Instant
from kvot.wire.scalars import SCALARS, boolean, guid, instant, integer, shortest_date, without_thousands

DASHED = "2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f"
PLAIN = DASHED.replace("-", "")


@pytest.mark.parametrize("text", [DASHED, PLAIN, f"{{{DASHED}}}", f"({DASHED})", DASHED.upper(), f" {PLAIN} "])
def test_a_guid_is_read_in_every_form(text):
    assert guid(text) == DASHED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zzz",
        PLAIN[:-1],
        PLAIN + "0",
        DASHED.replace("2", "g"),
        f"{{{DASHED})",
        "0x" + PLAIN[2:],
        PLAIN[:15] + " " + PLAIN[16:],
        PLAIN[:15] + "_" + PLAIN[16:],
        "٣" * 32,
        f"{DASHED},{DASHED}",
        "2c9f6a3e8d1b-4f5e-9c70-1a2b3c4d5e6f-",
        "0" * 1_000_000,
    ],
)
def test_what_is_no_guid_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        guid(text)


@pytest.mark.parametrize(
    ("clr", "text", "number"),
    [
        ("Int64", "0", 0),
        ("Int64", "-5", -5),
        ("Int64", "+5", 5),
        ("Int64", "007", 7),
        ("Int64", " 7 ", 7),
        ("Int64", "9223372036854775807", 2**63 - 1),
        ("Int64", "-9223372036854775808", -(2**63)),
        ("Int32", "2147483647", 2**31 - 1),
        ("Int32", "-2147483648", -(2**31)),
    ],
)
def test_a_number_is_read(clr, text, number):
    assert SCALARS[clr](text) == number


@pytest.mark.parametrize(
    ("clr", "text"),
    [
        ("Int64", "9223372036854775808"),
        ("Int64", "-9223372036854775809"),
        ("Int32", "2147483648"),
        ("Int32", "-2147483649"),
        ("Int64", ""),
        ("Int64", "-"),
        ("Int64", "1.0"),
        ("Int64", "1e3"),
        ("Int64", "1_000"),
        ("Int64", "0x10"),
        ("Int64", "٣"),
        ("Int64", "²"),
        ("Int64", "1 2"),
        ("Int64", "--1"),
        ("Int64", "9" * 100_000),
    ],
)
def test_what_is_no_number_or_beyond_its_bits_is_refused(clr, text):
    with pytest.raises(ValueError):  # noqa: PT011
        SCALARS[clr](text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("1,234,567", "1234567"), ("-1,234", "-1234"), ("1,2", "1,2"), ("1234,567", "1234,567"), (",1", ",1")],
)
def test_commas_are_dropped_only_between_thousands(text, plain):
    assert without_thousands(text) == plain


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "1", "on", "t", "Y", "true,false"])
def test_a_truth_is_read(text):
    assert boolean(text) is True


@pytest.mark.parametrize("text", ["false", "False", "0", "OFF", "f", "n", "false,true"])
def test_a_falsehood_is_read(text):
    assert boolean(text) is False


@pytest.mark.parametrize("text", ["", "2", "ja", "truefalse", ",true", "true" * 100_000])
def test_what_is_neither_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        boolean(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("/Date(978307200000)/", 978_307_200_000),
        (r"\/Date(978307200000)\/", 978_307_200_000),
        ("/Date(978307200000+0800)/", 978_307_200_000),
        ("/Date(978307200000-0000)/", 978_307_200_000),
        ("/Date(-1)/", -1),
        ("2001-01-01", 978_307_200_000),
        ("2001-01-01T00:00:00Z", 978_307_200_000),
        ("2001-01-01T00:00:00", 978_307_200_000),
        ("2001-01-01 00:00:00", 978_307_200_000),
        ("2001-01-01T00:00", 978_307_200_000),
        ("2001-01-01T01:00:00+01:00", 978_307_200_000),
        ("2001-01-01T01:00:00 01:00", 978_307_200_000),
        ("2001-01-01T01:00:00+0100", 978_307_200_000),
        ("2000-12-31T19:00:00-05:00", 978_307_200_000),
        ("2001-01-01 00:00:00.0019999", 978_307_200_001),
        ("2001-01-01T00:00:00.9999999Z", 978_307_200_999),
        ("2001-01-01T00:00:00.890123+00:00", 978_307_200_890),
        ("2001-01-01T00:00:00.5Z", 978_307_200_500),
        ("1969-12-31T23:59:59.9999Z", -1),
    ],
)
def test_an_instant_is_read_and_never_rounded_up(text, ms):
    assert instant(text) == Instant(ms)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2001-13-01",
        "2001-02-29",
        "2001-01-01T24:00:00Z",
        "2001-01-01T00:00:60Z",
        "2001-01-01T00:00:00.12345678Z",
        "2001-01-01T00:00:00+15:00",
        "2001-01-01T00:00:00+01:60",
        "01/02/2001",
        "/Date()/",
        "/Date(1.5)/",
        "/Date(9999999999999999)/",
        "0000-01-01",
        "٢٠٠١-01-01",
        "2001-01-01" + " " * 1_000_000 + "x",
    ],
)
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        instant(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (978_307_200_000, "2001-01-01"),
        (978_307_201_000, "2001-01-01T00:00:01Z"),
        (978_307_200_001, "2001-01-01T00:00:00.0010000Z"),
        (978_350_645_120, "2001-01-01T12:04:05.1200000Z"),
        (-1, "1969-12-31T23:59:59.9990000Z"),
    ],
)
def test_a_date_is_written_as_short_as_it_goes(ms, text):
    assert shortest_date(ms) == text


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_written_date_reads_as_itself(ms):
    assert instant(shortest_date(ms)) == Instant(ms)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_an_offset_is_taken_off(moment, minutes):
    """Against the standard library's own reading of the same text."""
    text = f"{moment.isoformat()}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    expected = (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert instant(text).ms == expected


@given(st.integers(-(2**70), 2**70))
def test_a_long_is_read_exactly_when_it_has_64_bits(number):
    if -(2**63) <= number < 2**63:
        assert integer(str(number), 2**63 - 1) == number
    else:
        with pytest.raises(ValueError):  # noqa: PT011
            integer(str(number), 2**63 - 1)


@given(st.sampled_from(sorted(SCALARS)), st.text() | st.text(st.sampled_from(list("0159-+:.TZ/Date(){}, aef\\٣²"))))
def test_no_text_does_more_than_be_refused(clr, text):
    with suppress(ValueError):
        SCALARS[clr](text)
