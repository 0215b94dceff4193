"""The pages that people read."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from kvot.contract import OPERATIONS, ROUTES
from kvot.core.errors import HOLDS_WAIT_MAX_MS
from kvot.metadata.languages import PAGE_KEYS
from kvot.metadata.model import model_of
from kvot.metadata.page import index_page, operation_page, unknown_operation_page
from kvot.metadata.rendering import style_source
from kvot.metadata.samples import SAMPLE_FORMATS
from tests.metadata.published import lines_of, published_lines
from tests.metadata.visible import visible_text

MODEL = model_of()
HOSTILE = "<script>alert('x')</script>\"'&{{907*911}}"


def page(name="GetAiChatUsage", key="jsv", lang="", model=MODEL):
    html = operation_page(OPERATIONS[name.lower()], key, model, "api.bookmore.com", lang)
    assert html is not None
    return html


def test_the_published_page_line_by_line():
    assert lines_of(page(lang="python")) == published_lines()


def test_the_first_two_lines_of_a_sample_end_with_a_blank():
    assert "GET /assistant/ai-chat/usage HTTP/1.1 \nHost: api.bookmore.com \nAccept: text/jsv\n" in visible_text(page())


def test_the_page_of_holds_tells_what_retry_after_says_where_only_open_holds_are_in_the_way():
    text = " ".join(visible_text(page("ReserveAiChatTokens")).split())
    assert "within three seconds where only open holds are in the way" in text
    assert "exact wait" not in text
    assert HOLDS_WAIT_MAX_MS == 3_000


@pytest.mark.parametrize("key", SAMPLE_FORMATS)
@pytest.mark.parametrize("lang", ["", *PAGE_KEYS])
def test_every_page_of_every_operation_can_be_made(key, lang):
    for operation in ROUTES:
        text = visible_text(page(operation.name, key, lang))
        assert f"\n{operation.name}\n" in text
        assert "HTTP + " in text


def test_a_format_without_a_page_has_none():
    assert operation_page(ROUTES[0], "yaml", MODEL, "x") is None


def test_the_language_bar_has_the_order_of_the_original():
    labels = re.findall(r"lang=[a-z]+\"[^>]*>([^<]+)<", page())
    known = ["C#", "JavaScript", "TypeScript", "Dart", "Java", "Kotlin", "Python", "PHP", "Swift", "VB.NET", "F#"]
    assert labels == [label for label in known if label in labels]


def test_the_language_that_is_shown_is_marked_in_the_bar():
    assert 'lang=python" aria-current="page">Python<' in page(lang="python")
    assert '" aria-current="page">Metadata<' in page()


def test_roles_are_a_row_of_the_caption():
    text = visible_text(page("ImportAiChatUsage"))
    assert "Requires Authentication\nRequires any of the roles: superadmin, usage-writer\n" in text
    assert "roles" not in visible_text(page("GetAiChatUsage"))


@pytest.mark.parametrize("lang", PAGE_KEYS)
def test_a_blank_line_stands_between_classes_and_link_and_after_swift_two(lang):
    before = visible_text(page(lang=lang)).partition(" GetAiChatUsage DTOs")[0].rpartition("\n")[0]
    blanks = len(before) - len(before.rstrip("\n"))
    assert blanks == (2 if lang == "swift" else 1)


def test_only_the_json_page_tells_of_jsonp():
    assert ["jsonp" in page(key=key) for key in SAMPLE_FORMATS] == [key == "json" for key in SAMPLE_FORMATS]


def test_json_lines_bear_the_name_that_the_original_gives_them():
    text = visible_text(page(key="jsonl"))
    assert "append the .other suffix or ?format=other" in text
    assert "HTTP + OTHER" in text
    assert "Accept: text/jsonl" in text


def test_an_unknown_language_is_said_and_cannot_write_into_the_page():
    html = page(lang=HOSTILE)
    assert "There is no language" in html
    assert "<script" not in html
    assert "826277" not in visible_text(html)
    assert "alert(" in visible_text(html)


def test_an_unknown_operation_is_said_and_cannot_write_into_the_page():
    html = unknown_operation_page(HOSTILE + "x" * 100_000, MODEL)
    assert "Could not find operation: <script>" in visible_text(html)
    assert "<script" not in html
    assert len(html) < 10_000


def test_a_host_name_cannot_write_into_the_page():
    html = operation_page(ROUTES[0], "jsv", MODEL, HOSTILE)
    assert html is not None
    assert "<script" not in html


@pytest.mark.parametrize(
    ("name", "member", "row"),
    [
        ("GetAiChatUsage", "CompanyId", ["query", "string", "No"]),
        ("RecordAiChatUsage", "TokensUsed", ["body", "integer", "Yes"]),
        ("RevokeApiKey", "Id", ["path", "string", "Yes"]),
        ("GetAiChatUsageReport", "At", ["query", "DateTime?", "No"]),
        ("ImportAiChatUsage", "Events", ["body", "List<AiChatUsageEvent>", "Yes"]),
        ("ImportAiChatUsage", "Refusals", ["form", "List<AiChatUsageRefusal>", "Yes"]),
        ("GetAiChatUsage", "ResponseStatus", ["form", "ResponseStatus", "Yes"]),
        ("GetAiChatUsage", "IsWithinBudget", ["form", "bool", "No"]),
    ],
)
def test_what_the_tables_say_of_a_member(name, member, row):
    cells = re.search(rf'<th scope="row">{member}</th>' + r"<td[^>]*>(.*?)</td>" * 3, page(name))
    assert cells is not None
    assert [cell.replace("&lt;", "<").replace("&gt;", ">") for cell in cells.groups()] == row


def test_the_tables_show_the_request_before_the_response_and_no_status():
    captions = re.findall(r"<caption>(\w+) Parameters:", page("ImportAiChatUsage"))
    assert captions == ["ImportAiChatUsage", "AiChatUsageEvent", "ImportAiChatUsageResponse", "AiChatUsageRefusal"]


@pytest.mark.parametrize(("key", "name"), [("json", "companyId"), ("jsonl", "companyId"), ("xml", "CompanyId")])
def test_the_tables_name_members_as_the_format_does(key, name):
    assert f'<th scope="row">{name}</th>' in page(key=key)


def test_names_follow_the_casing_of_the_host():
    pascal = page(key="json", lang="typescript", model=model_of(json_case="pascal"))
    assert "public CompanyId?: string;" in pascal
    assert "&#34;TokensUsed&#34;:0" in pascal


def test_the_index_links_every_operation_in_every_format():
    html = index_page(MODEL)
    assert "The following operations are available." in html
    assert html.count('title="Requires Authentication"') == len(ROUTES)
    for operation in ROUTES:
        for key in SAMPLE_FORMATS:
            assert f'href="/{key}/metadata?op={operation.name}"' in html


@pytest.mark.parametrize("html", [index_page(MODEL), page(), page(lang="csharp")])
def test_a_page_is_whole_in_itself(html):
    assert not re.search(r"<script|<link|<img|\son\w+=|style=|(?:src|href)=\"(?!/)", html)


@pytest.mark.parametrize("html", [index_page(MODEL), page(), page("ImportAiChatUsage", lang="vbnet")])
def test_every_element_is_closed(html):
    assert unclosed(html) == []


def test_the_style_is_the_one_that_a_security_policy_admits():
    style = re.search(r"<style>(.*?)</style>", page(), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert style_source() == f"'sha256-{digest}'"


def test_the_head_of_a_table_that_a_phone_does_not_show_takes_no_room_there():
    """What is only clipped still widens the page, which then scrolls sideways."""
    narrow = page().partition("@media (max-width: 40rem) {")[2]
    head = re.search(r"\n  thead {(.*?)}", narrow)
    assert head is not None
    assert {"position: absolute", "width: 1px", "overflow: hidden"} <= {each.strip() for each in head[1].split(";")}


def test_names_and_formats_of_the_index_keep_to_one_line_where_there_is_room():
    html = index_page(MODEL)
    rule = re.search(r"@media \(min-width: 70rem\) { (.*?) { white-space: nowrap; } }", html)
    assert rule is not None
    assert rule[1].split(", ") == [".operations th", ".operations td:last-child"]
    assert '<table class="operations">' in html


def unclosed(html: str) -> list[str]:
    stack: list[str] = []

    class Stack(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                stack.append(tag)

        def handle_endtag(self, tag):
            assert stack.pop() == tag

    Stack().feed(html)
    return stack
