"""JSON in the call of a function."""

import pytest

from kvot.contract.status import ErrorResponse, ResponseStatus
from kvot.core.errors import InvalidRequest
from kvot.wire import jsonp
from kvot.wire.style import JsonCase, Style


@pytest.mark.parametrize("name", ["cb", "a.b.c", "$", "_x1", "jQuery123_456", "a" * 64])
def test_the_name_of_a_function_passes(name):
    assert jsonp.callback_of(name) == name


@pytest.mark.parametrize("name", ["", "1a", "a(", "a;b", "a b", "a\n", "a" * 65, "å", "a[0]", "</script>", "a\u2028"])
def test_what_could_be_more_than_a_name_does_not(name):
    with pytest.raises(InvalidRequest):
        jsonp.callback_of(name)


def test_the_json_stands_in_the_call_and_cannot_end_it():
    reply = ErrorResponse(response_status=ResponseStatus(error_code="E", message="a\u2028b\u2029c", errors=[]))
    written = '{"ResponseStatus":{"ErrorCode":"E","Message":"a\\u2028b\\u2029c","Errors":[]}}'
    assert jsonp.write(reply, Style(JsonCase.PASCAL), "cb").decode() == f"cb({written})"
