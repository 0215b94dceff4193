"""What the kernel promises, over a real socket."""

import pytest

USAGE = "/assistant/ai-chat/usage"


def test_usage_is_answered_in_json(server, company):
    reply = server.send("GET", USAGE, x_api_key=company)
    assert reply.status == 200
    assert reply.body == (
        b'{"companyId":"%s","tokensUsed":0,"tokenLimit":1000000,"tokensRemaining":1000000,'
        b'"isWithinBudget":true,"windowDays":30}' % company.encode()
    )
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.headers["vary"] == "Accept"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert "server" not in reply.headers


def test_usage_is_answered_in_jsv(server, company):
    reply = server.send("GET", USAGE, x_api_key=company, accept="text/jsv")
    assert reply.headers["content-type"] == "text/jsv"
    assert reply.body == (
        b"{CompanyId:%s,TokensUsed:0,TokenLimit:1000000,TokensRemaining:1000000,IsWithinBudget:True,WindowDays:30}"
        % company.encode()
    )
