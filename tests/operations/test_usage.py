import pytest

from kvot.contract.usage import RecordAiChatUsage
from kvot.core.errors import InvalidRequest
from kvot.core.model import TOKENS_MAX
from tests.operations.support import USER, ask, open_services


async def test_more_tokens_than_an_event_may_have_are_a_fault_of_the_member_that_was_sent():
    with pytest.raises(InvalidRequest) as caught:
        await ask(open_services(), USER, RecordAiChatUsage(tokens_used=TOKENS_MAX + 1))
    (fault,) = caught.value.fields
    assert (fault.field, fault.code) == ("TokensUsed", "InclusiveBetween")
    assert fault.message == f"'Tokens Used' must be between 1 and {TOKENS_MAX}. You entered {TOKENS_MAX + 1}."
    assert fault.meta == {
        "PropertyName": "Tokens Used",
        "From": "1",
        "To": str(TOKENS_MAX),
        "PropertyValue": str(TOKENS_MAX + 1),
    }
    assert caught.value.message == fault.message
