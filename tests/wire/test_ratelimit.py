"""A refusal reads back as it was written, and a budget as header fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.errors import BudgetExceeded, Refusal
from kvot.core.model import Usage
from kvot.core.window import MS_PER_DAY
from kvot.wire.ratelimit import available, fields_of, from_meta, to_meta

ACME = "00000000-0000-4000-8000-00000000000a"
NUMBERS = st.integers(0, 2**31 - 1)


def usage(used=0, held=0, limit=100, in_doubt=False):
    return Usage(ACME, 1_700_000_000_123, 30 * MS_PER_DAY, used, held, limit, in_doubt)


# Used, held, limit, in doubt, and what a hold can get.
AVAILABLE = [
    (0, 0, 100, False, 100),
    (30, 20, 100, False, 50),
    (30, 70, 100, False, 0),
    (90, 20, 100, False, 0),
    (100, 0, 100, False, 0),
    (0, 0, 0, False, 0),
    (0, 0, 100, True, 0),
]


@pytest.mark.parametrize(("used", "held", "limit", "in_doubt", "tokens"), AVAILABLE)
def test_a_hold_can_get_what_is_neither_used_nor_held(used, held, limit, in_doubt, tokens):
    assert available(usage(used, held, limit, in_doubt)) == tokens


def test_the_fields_name_the_unit_and_leave_out_a_wait_that_there_is_not():
    policy, limit = fields_of(usage(30, 20))
    assert policy == (b"ratelimit-policy", b'"budget";q=100;w=2592000;kvot-unit="tokens"')
    assert limit == (b"ratelimit", b'"budget";r=50')
    assert fields_of(usage(), 7)[1] == (b"ratelimit", b'"budget";r=100;t=7')


@given(
    NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.sampled_from(Refusal), st.none() | st.integers(1, 10**6), st.integers(1, 3)
)
def test_a_refusal_reads_back_as_it_was_written(used, held, limit, tokens, refusal, wait_s, soon_s):
    told = usage(used, held, limit, refusal is Refusal.IN_DOUBT)
    wait_ms = None if wait_s is None else wait_s * 1_000
    error = BudgetExceeded(
        "m", tokens=tokens, usage=told, refusal=refusal, fits_after_ms=wait_ms, soon_ms=soon_s * 1_000
    )
    assert vars(from_meta("m", to_meta(error))) == vars(error)


@pytest.mark.parametrize("meta", [{}, {"Reason": "Other"}, {"Reason": "OverLimit", "Tokens": "many"}])
def test_anything_else_does_not_read(meta):
    with pytest.raises((KeyError, ValueError)):
        from_meta("m", meta)
