"""The page that a person gets."""

import hashlib
import re
from base64 import b64encode

import pytest

from kvot.contract.describe import Instant
from kvot.contract.keys import ApiKeyInfo
from kvot.contract.status import ErrorResponse, ResponseError, ResponseStatus
from kvot.wire import html
from kvot.wire.html import Page
from kvot.wire.style import Style
from tests.wire.samples import USAGE

PAGE = Page("GetAiChatUsage", 978_307_200_000, (("json", "/api/GetAiChatUsage.json?a=1&b=2"),))


def test_it_shows_the_values_and_the_json():
    page = html.write(USAGE, Style(), PAGE).decode()
    assert page.startswith("<!doctype html>\n")
    assert "<title>GetAiChatUsage Snapshot of 2001-01-01 00:00:00 UTC</title>" in page
    assert '<tr><th scope="row">TokensUsed</th><td>120</td></tr>' in page
    assert "&#34;tokensUsed&#34;: 120," in page
    assert '<a href="/api/GetAiChatUsage.json?a=1&amp;b=2">json</a>' in page


def test_nothing_of_a_value_is_taken_for_markup():
    key = ApiKeyInfo(id="<script>", name="</pre>&", roles=["<b>"], networks=[], created_at=Instant(0))
    page = html.write(key, Style(), Page('"><script>', 0, (("x", '"onclick="'),))).decode()
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count("</pre>") == 1
    assert '"onclick' not in page


def failure(message, *fields):
    errors = [ResponseError(error_code="Bad", field_name="A", message=each) for each in fields]
    return ErrorResponse(response_status=ResponseStatus(error_code="Bad", message=message, errors=errors))


@pytest.mark.parametrize(
    ("reply", "alert"),
    [
        (failure("Unable to bind", "<x> is no number", "later"), "Unable to bind<br>&lt;x&gt; is no number"),
        (failure("A is wrong.", "A is wrong.", "B is wrong."), "A is wrong."),
        (failure("Not found."), "Not found."),
    ],
)
def test_the_alert_says_what_is_wrong_with_the_first_field(reply, alert):
    assert f'<p role="alert">{alert}</p>' in html.write(reply, Style()).decode()


@pytest.mark.parametrize(("reply", "title"), [(USAGE, "Reply"), (failure("No."), "Error")])
def test_a_page_of_no_operation_is_titled_by_how_it_went(reply, title):
    page = html.write(reply, Style()).decode()
    assert f"<title>{title}</title>" in page
    assert f"<h1>{title}</h1>" in page


@pytest.mark.parametrize("reply", [USAGE, failure("No.")])
def test_every_page_leads_on(reply):
    links = '<a href="/metadata">Operations</a><a href="/auth">Sign in or out</a></nav>'
    assert links in html.write(reply, Style(), PAGE).decode()
    assert links in html.write(reply, Style()).decode()


def test_a_page_that_leads_to_the_operations_itself_does_so_once():
    own = Page("Signed in", None, (("Operations", "/metadata"), ("Sign out", "/auth/logout")))
    assert html.write(USAGE, Style(), own).count(b'href="/metadata"') == 1


def test_what_went_wrong_is_said_once_and_for_people():
    fault = ResponseError(error_code="NotEmpty", field_name="Id", message="'Id' must not be empty.")
    status = ResponseStatus(error_code="NotEmpty", message="Nothing <b>there</b>.", errors=[fault], meta={"At": "7"})
    page = html.write(ErrorResponse(response_status=status), Style(), PAGE).decode()
    assert page.count("Nothing &lt;b&gt;there&lt;/b&gt;.") == 1
    assert '<p role="alert">Nothing' in page
    assert '<tr><th scope="row">Id</th><td>&#39;Id&#39; must not be empty. (NotEmpty)</td></tr>' in page
    assert '<tr><th scope="row">At</th><td>7</td></tr>' in page
    assert ("<pre>" in page, "ResponseStatus" in page) == (False, False)


def test_a_batch_is_one_table_each():
    assert html.write([USAGE, USAGE], Style(), PAGE).count(b"<table>") == 2


def test_the_policy_allows_the_style_sheet_and_nothing_else():
    page = html.write(USAGE, Style(), PAGE).decode()
    (sheet,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    assert f"'sha256-{b64encode(hashlib.sha256(sheet.encode()).digest()).decode()}'" in html.POLICY
    assert "default-src 'none'" in html.POLICY
    assert not re.search(r"<script|style=|src=|\son\w+=|https?://", page)
