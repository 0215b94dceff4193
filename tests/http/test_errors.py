"""The table from errors to replies."""

from typing import Any

import pytest

from kvot.contract.describe import Response
from kvot.contract.status import ResponseError
from kvot.contract.usage import AiChatUsageResponse
from kvot.core.errors import (
    FieldError,
    InvalidRequest,
    KvotError,
    NotAuthenticated,
    NotFound,
    StoreUnavailable,
    TooManyRequests,
)
from kvot.http import errors, replies
from kvot.wire.formats import JSON
from kvot.wire.style import JsonCase, Style

USAGE_MEMBERS = AiChatUsageResponse.__struct_fields__


def classes(base):
    return {base}.union(*map(classes, base.__subclasses__()))


def test_every_error_has_a_row_of_its_own():
    assert set(errors.STATUSES) == {each for each in classes(KvotError) if each.__module__ == "kvot.core.errors"}


def test_only_our_own_faults_are_5xx():
    ours = {each.__name__ for each, status in errors.STATUSES.items() if status >= 500}
    assert ours == {"KvotError", "StoreUnavailable", "ProviderFailed", "KeyUnreadable"}


@pytest.mark.parametrize(("ms", "seconds"), [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (60_000, 60)])
def test_the_wait_is_rounded_up_to_seconds(ms, seconds):
    assert TooManyRequests("m", retry_after_ms=ms).retry_after_s == seconds
    assert StoreUnavailable("m", retry_after_ms=ms).retry_after_s == seconds


def test_other_errors_do_not_ask_to_wait():
    assert NotAuthenticated().retry_after_s is None


def status_of(error) -> Any:
    response: Any = errors.to_wire(error)
    return response.response_status


def test_every_field_error_comes_with_its_values():
    error = InvalidRequest.of_fields([FieldError("A", "C", "m", {"From": "1"}), FieldError("B", "D", "n")])
    status = status_of(error)
    assert (status.error_code, status.message) == ("C", "m")
    assert status.errors == [
        ResponseError(error_code="C", field_name="A", message="m", meta={"From": "1"}),
        ResponseError(error_code="D", field_name="B", message="n"),
    ]


class Bare(Response):
    count: int


@pytest.mark.parametrize(
    ("struct", "members"),
    [(None, {"response_status"}), (Bare, {"response_status"}), (AiChatUsageResponse, {*USAGE_MEMBERS})],
)
def test_a_response_type_speaks_for_itself_if_it_can(struct, members):
    for response in (errors.to_wire(NotFound("m"), struct=struct), errors.unforeseen("id", struct=struct)):
        assert set(response.__struct_fields__) == members


def test_a_message_is_never_a_script():
    status = status_of(InvalidRequest("'<Script>x</script>' is an Invalid value"))
    assert status.message == "&#x27;&lt;Script&gt;x&lt;/script&gt;&#x27; is an Invalid value"


def test_names_follow_the_case_of_the_host():
    reply = replies.of_error(NotAuthenticated(), JSON, Style(JsonCase.PASCAL))
    assert reply.body == b'{"ResponseStatus":{"ErrorCode":"Unauthorized","Message":"Not Authenticated","Errors":[]}}'
