from hypothesis import given
from hypothesis import strategies as st

from kvot.stores.sqlite.encoding import from_guid, from_key, to_guid, to_key

GUID = "0b3c1e52-9a77-4f0e-8b1d-3f2a6c5d4e7f"
almost_uuids = st.text("0123456789abcdefABCDEF- _é", min_size=34, max_size=38)


@given(st.uuids().map(str))
def test_a_canonical_uuid_takes_sixteen_bytes(text):
    assert len(to_key(text)) == 16
    assert isinstance(to_key(text), bytes)


@given(st.text() | almost_uuids | st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper()))
def test_every_id_comes_back_as_it_was(text):
    assert from_key(to_key(text)) == text


def test_an_id_that_only_looks_like_a_uuid_stays_text():
    for text in (GUID.upper(), GUID.replace("-", ""), f"{{{GUID[1:-1]}}}", "-" * 36, GUID.replace("0", " ")):
        assert to_key(text) == text


@given(st.uuids().map(str))
def test_a_company_comes_back_as_it_was(company_id):
    assert from_guid(to_guid(company_id)) == company_id
