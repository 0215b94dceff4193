"""The contract's types under other names."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.wire import json
from kvot.wire.renamed import renamed
from kvot.wire.style import JsonCase, Style
from tests.wire.samples import RESPONSES, USAGE


@pytest.mark.parametrize(("case", "first"), [(JsonCase.PASCAL, "CompanyId"), (JsonCase.SNAKE, "company_id")])
def test_a_reply_and_every_reply_of_a_batch_has_the_names(case, first):
    for one in (renamed(USAGE, case), *renamed([USAGE, USAGE], case)):
        assert next(iter(msgspec.to_builtins(one))) == first


@given(RESPONSES, st.sampled_from([JsonCase.PASCAL, JsonCase.SNAKE]))
def test_the_quick_way_and_the_long_way_write_the_same(value, case):
    assert json.write(value, Style(case)) == json._encode(json.document_of(value, Style(case)))
