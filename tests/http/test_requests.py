"""What becomes of requests to operations is counted, once each, by the operation's name alone."""

import json
from uuid import uuid4

import pytest

from tests.http.asgi import Asgi
from tests.http.conftest import FailingStore, make_app

USAGE = "/assistant/ai-chat/usage"
HOLDS = "/assistant/ai-chat/holds"


@pytest.fixture
def asgi():
    asgi = Asgi(make_app())
    yield asgi
    asgi.close()


def counted(asgi):
    return {f"{operation} {outcome}": count for (operation, outcome), count in asgi.app._requests.items()}


def test_every_outcome_has_its_own_count(asgi, company):
    asgi.send("GET", USAGE, x_api_key=company)
    asgi.send("GET", USAGE)
    asgi.send("GET", f"{USAGE}?CompanyId=zzz", x_api_key=company)
    asgi.send("POST", f"{HOLDS}?Tokens=5", x_api_key=company)
    asgi.send("POST", f"{HOLDS}?Tokens=999999999", x_api_key=company)
    asgi.send("GET", USAGE, x_api_key=FailingStore.unavailable_company)
    asgi.send("GET", USAGE, x_api_key=FailingStore.broken_company)
    assert counted(asgi) == {
        "GetAiChatUsage done": 1,
        "GetAiChatUsage rejected": 2,
        "GetAiChatUsage failed": 2,
        "ReserveAiChatTokens done": 1,
        "ReserveAiChatTokens refused": 1,
    }


def test_each_item_of_a_batch_counts_until_one_fails(asgi, company):
    items = json.dumps([{"holdId": str(tokens), "tokens": tokens} for tokens in (1, 2, 10**9, 3)])
    asgi.send("POST", "/api/ReserveAiChatTokens[]", items, x_api_key=company, content_type="application/json")
    assert counted(asgi) == {"ReserveAiChatTokens done": 2, "ReserveAiChatTokens refused": 1}


def test_what_is_no_operation_is_not_counted(asgi, company):
    for target in (f"/{uuid4()}", "/api/NoSuchOperation", "/metadata", "/livez"):
        asgi.send("GET", target, x_api_key=company)
    assert counted(asgi) == {}
