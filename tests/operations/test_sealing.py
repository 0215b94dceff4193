"""What is sealed opens for its company, its provider and its secret, and for nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.errors import KeyUnreadable
from kvot.core.keys import derive_key
from kvot.operations.sealing import PURPOSE, Sealer
from tests.operations.support import ACME, OTHER

SECRET = b"a secret of thirty-two bytes or more"
SEALER = Sealer(derive_key(SECRET, PURPOSE))
KEY = "sk-0123456789abcdef"


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=200))
def test_what_was_sealed_opens_again(api_key):
    sealed = SEALER.seal(ACME, "openai", api_key)
    assert SEALER.open(ACME, "openai", sealed) == api_key
    assert api_key.encode() not in sealed


@pytest.mark.parametrize(("company_id", "provider"), [(OTHER, "openai"), (ACME, "openaj"), (ACME, "anthropic")])
def test_a_key_moved_to_another_row_does_not_open(company_id, provider):
    with pytest.raises(KeyUnreadable):
        SEALER.open(company_id, provider, SEALER.seal(ACME, "openai", KEY))


@pytest.mark.parametrize("purpose", ["api key pepper", "provider key", ""])
def test_a_key_for_another_purpose_opens_nothing(purpose):
    with pytest.raises(KeyUnreadable):
        Sealer(derive_key(SECRET, purpose)).open(ACME, "openai", SEALER.seal(ACME, "openai", KEY))


def test_every_byte_counts():
    sealed = SEALER.seal(ACME, "openai", KEY)
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 1
        with pytest.raises(KeyUnreadable):
            SEALER.open(ACME, "openai", bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 12, 13, 28, 29])
def test_what_is_cut_does_not_open(length):
    with pytest.raises(KeyUnreadable):
        SEALER.open(ACME, "openai", SEALER.seal(ACME, "openai", KEY)[:length])


def test_the_same_key_is_never_sealed_alike():
    assert len({SEALER.seal(ACME, "openai", KEY) for _ in range(100)}) == 100
