"""What the service says of itself, over a real socket and without credentials."""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import pytest

from kvot.contract import ROUTES
from kvot.core.budget import Rules
from kvot.http.app import App, HttpSettings
from kvot.http.pages import KEPT_MAX, QUERY_BYTES_MAX, Pages
from kvot.metadata.languages import LANGUAGES, PAGE_KEYS
from kvot.metadata.samples import SAMPLE_FORMATS
from kvot.wire.style import JsonCase, Style
from tests.http.asgi import Asgi
from tests.http.conftest import NOW_MS, FailingStore, Server, make_app
from tests.metadata.published import lines_of, published_lines
from tests.metadata.visible import visible_text

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
NOON = datetime(2026, 8, 6, 12)
HOSTILE = "<script>alert('x')</script>\"'&{{907*911}}"
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
FOLDERS = [parent / "shared" / "contract" / "clients" for parent in Path(__file__).parents]
SERVICES = ("/metadata/app", "/types", "/types/metadata", "/operations/metadata")
PROGRAMS = (
    *SERVICES,
    *(f"{path}.json" for path in SERVICES),
    "/api/MetadataApp",
    "/api/MetadataApp.json",
    "/openapi.json",
)


def app_with_pages(style: Style = Style()) -> App:  # noqa: B008 (immutable)
    settings = HttpSettings(style=style)
    return make_app(settings, FailingStore(Rules()), surfaces=[Pages(style, lambda: NOW)])


@pytest.fixture(scope="module")
def site() -> Iterator[Server]:
    site = Server(app_with_pages()).start()
    yield site
    assert site.stop() == 0


@pytest.fixture(scope="module")
def asgi() -> Iterator[Asgi]:
    asgi = Asgi(app_with_pages())
    yield asgi
    asgi.close()


def text_of(reply):
    return reply.body.decode()


def test_the_published_page_line_by_line(site):
    reply = site.send("GET", "/jsv/metadata?op=GetAiChatUsage&lang=python", host="api.bookmore.com")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert lines_of(text_of(reply)) == published_lines()


@pytest.mark.parametrize("key", SAMPLE_FORMATS)
def test_every_operation_has_a_page_in_every_format(site, key):
    for operation in ROUTES:
        reply = site.send("GET", f"/{key}/metadata?op={operation.name}")
        assert reply.status == 200
        assert f"\n{operation.name}\n" in visible_text(text_of(reply))


@pytest.mark.parametrize("lang", PAGE_KEYS)
def test_every_operation_has_a_page_in_every_language(asgi, lang):
    for operation in ROUTES:
        reply = asgi.send("GET", f"/json/metadata?op={operation.name}&lang={lang}")
        assert reply.status == 200
        assert f'<code class="language-{lang}"' in text_of(reply)


@pytest.mark.parametrize("path", ["/JSV/Metadata?OP=getaichatusage&LANG=Python", "/jsv/metadata/?op=GetAiChatUsage"])
def test_paths_and_names_are_found_in_any_case(site, path):
    assert "GetAiChatUsage" in visible_text(text_of(site.send("GET", path)))


def test_an_unknown_language_is_said_on_the_page(site):
    reply = site.send("GET", "/json/metadata?op=GetAiChatUsage&lang=cobol")
    assert reply.status == 200
    assert "There is no language 'cobol'." in visible_text(text_of(reply))


def test_an_unknown_operation_is_said_with_its_status(site):
    reply = site.send("GET", "/json/metadata?op=Nothing")
    assert (reply.status, reply.headers["cache-control"]) == (404, "no-store")
    assert "Could not find operation: Nothing" in text_of(reply)


def test_a_page_without_an_operation_is_the_index(site):
    assert site.send("GET", "/json/metadata").body == site.send("GET", "/metadata").body


def test_a_format_without_pages_has_none(site):
    assert site.send("GET", "/yaml/metadata?op=GetAiChatUsage").status == 404


@pytest.mark.parametrize("key", LANGUAGES)
def test_classes_bear_the_text_that_tools_look_for(site, key):
    reply = site.send("GET", f"/types/{key}?IncludeTypes=GetAiChatUsage.*", host="kvot.example:8080")
    assert reply.status == 200
    assert "Options:" in text_of(reply)
    assert "BaseUrl: http://kvot.example:8080\n" in text_of(reply)
    assert "GetAiChatUsage" in text_of(reply)
    assert "CreateApiKey" not in text_of(reply)


@pytest.mark.parametrize(
    ("key", "type_"), [("python", "plain"), ("php", "javascript"), ("js", "javascript"), ("mjs", "javascript")]
)
def test_classes_bear_the_content_type_of_the_original(site, key, type_):
    assert site.send("GET", f"/types/{key}").headers["content-type"] == f"text/{type_}; charset=utf-8"


def test_a_key_of_old_means_its_language(site):
    assert site.send("GET", "/types/swift4").body == site.send("GET", "/types/Swift").body


def test_an_unknown_language_of_classes_is_refused_with_those_that_are(site):
    reply = site.send("GET", "/types/cobol")
    assert reply.status == 404
    assert reply.error == ("NotFound", f"There is no language 'cobol'. There are: {', '.join(LANGUAGES)}.")


def test_names_follow_the_casing_of_the_host():
    pascal = Asgi(app_with_pages(Style(JsonCase.PASCAL)))
    assert "public CompanyId?: string;" in text_of(pascal.send("GET", "/types/typescript"))
    assert pascal.send("GET", "/metadata/app.json").json["app"]["jsTextCase"] == "Default"
    pascal.close()


@pytest.mark.parametrize("path", PROGRAMS)
def test_what_programs_ask_is_json(site, path):
    reply = site.send("GET", path, accept=BROWSER)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert reply.json


def test_the_service_is_dated_now(site):
    reply = site.send("GET", "/metadata/app.json")
    assert rb'"date":"\/Date(%d)\/"' % (NOW_MS // 1000 * 1000) in reply.body  # the backslashes are on the wire
    assert f"\nDate: {NOW:%Y-%m-%d %H:%M:%S}\n" in text_of(site.send("GET", "/types/csharp"))


@pytest.mark.parametrize("path", ["/api/MetadataApp", "/json/reply/metadataapp", "/metadata/app?format=json"])
def test_the_service_describes_itself_as_an_operation_too(site, path):
    assert site.send("GET", path).body == site.send("GET", "/metadata/app.json").body


@pytest.mark.parametrize("path", ["/operations/metadata.xml", "/operations/metadata?format=xml"])
def test_operations_are_listed_in_any_format(site, path):
    reply = site.send("GET", path)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/xml")
    names = [each.text for each in ElementTree.fromstring(reply.body).iterfind("{*}OperationDto/{*}Name")]
    assert names == [operation.name for operation in ROUTES]


@pytest.mark.parametrize("key", ["json", "jsv", "csv", "jsonl", "msgpack"])
def test_a_list_of_operations_names_each(asgi, key):
    reply = asgi.send("GET", f"/operations/metadata.{key}")
    assert reply.status == 200
    assert all(operation.name.encode() in reply.body for operation in ROUTES)
    assert asgi.send("GET", "/operations/metadata.html").status == 404


def test_the_page_of_html_is_that_of_json(site):
    for query in ("", "?op=GetAiChatUsage", "?op=GetAiChatUsage&lang=python"):
        assert site.send("GET", f"/html/metadata{query}").body == site.send("GET", f"/json/metadata{query}").body


@pytest.mark.parametrize("path", ["/metadata", "/types/python", "/openapi.json"])
def test_head_says_what_get_would(site, path):
    got, head = site.send("GET", path), site.send("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(got.body))


@pytest.mark.parametrize("path", ["/metadata", "/json/metadata", "/openapi", "/openapi.json"])
def test_what_is_read_takes_get_and_head_alone(site, path):
    assert site.send("POST", path, "{}").status == 405


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [*SERVICES, "/api/MetadataApp", "/types/python?IncludeTypes=GetAiChatUsage.*"])
def test_what_programs_ask_for_is_answered_whatever_the_verb(site, verb, path):
    reply = site.send(verb, path, "{}" if verb in ("POST", "PUT", "PATCH") else None)
    assert (reply.status, reply.body) == (200, site.send("GET", path).body)


@pytest.mark.parametrize("path", ["/metadata", "/types", "/types/php", "/metadata/app.json", "/openapi.json"])
def test_every_reply_says_what_it_varies_by_and_who_speaks(site, path):
    headers = site.send("GET", path).headers
    assert headers["vary"] == "Accept"
    assert headers["x-powered-by"] == "Kvot"


@pytest.mark.parametrize("path", ["/metadata", "/json/metadata?op=GetAiChatUsage", "/openapi"])
def test_a_page_may_load_and_run_nothing(site, path):
    headers = site.send("GET", path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")
    assert headers["cache-control"] == "public, max-age=60"


def test_a_query_has_a_bound(asgi):
    assert asgi.send("GET", "/types/python?x=" + "y" * (QUERY_BYTES_MAX - 2)).status == 200
    assert asgi.send("GET", "/types/python?x=" + "y" * (QUERY_BYTES_MAX - 1)).status == 400


@pytest.mark.parametrize("host", ["a b", "x/y", "a@b", "<script>", "host:99999999", '"', "*/", "a" * 254, "[::1", ""])
def test_a_host_that_could_be_none_is_not_believed(site, host):
    text = text_of(site.send("GET", "/types/typescript?IncludeTypes=None", host=host))
    assert f"BaseUrl: http://127.0.0.1:{site.port}\n" in text


@pytest.mark.parametrize("host", ["api.bookmore.com", "localhost:8080", "[::1]:80", "10.0.0.1"])
def test_a_host_is_named_as_the_caller_has_it(site, host):
    reply = site.send("GET", "/types", host=host, x_forwarded_proto="https")
    assert reply.json["Python"] == f"http://{host}/types/python"


@pytest.mark.parametrize(
    "path",
    [
        f"/json/metadata?op={quote(HOSTILE)}",
        f"/json/metadata?op=GetAiChatUsage&lang={quote(HOSTILE)}",
        f"/types/{quote(HOSTILE, safe='')}",
    ],
)
def test_nothing_that_was_sent_becomes_part_of_a_page(site, path):
    for host in ("localhost", HOSTILE):
        reply = site.send("GET", path, host=host, accept=BROWSER)
        assert reply.headers["content-type"].startswith("text/html")
        assert b"<script" not in reply.body
        assert "826277" not in visible_text(text_of(reply))


@pytest.mark.parametrize("hostile", [HOSTILE, "*/ alert(1) /*", '"""\nimport os', "=end\nsystem"])
@pytest.mark.parametrize("option", ["IncludeTypes", "BaseUrl", "GlobalNamespace", "Package"])
def test_nothing_that_was_sent_leaves_the_comment_of_classes(asgi, option, hostile):
    for key in LANGUAGES:
        text = text_of(asgi.send("GET", f"/types/{key}?{option}={quote(hostile)}"))
        assert hostile not in text
        assert "<script" not in text


def test_what_is_kept_is_kept_per_question_and_host_and_has_a_bound(asgi):
    first = asgi.send("GET", "/types?x=0", host="a.example").json
    for number in range(KEPT_MAX + 2):
        assert asgi.send("GET", f"/types?x={number}", host=f"h{number}.example").status == 200
    assert asgi.send("GET", "/types?x=0", host="b.example").json != first
    assert asgi.send("GET", "/types?x=0", host="a.example").json == first


def test_classes_are_dated_to_the_second():
    seconds = (0, 0.9, 1, 61)
    moments = iter(seconds)
    asgi = Asgi(make_app(surfaces=[Pages(Style(), lambda: NOON + timedelta(seconds=next(moments)))]))
    dates = [re.search(r"Date: (.*)", text_of(asgi.send("GET", "/types/csharp"))) for _ in seconds]
    assert [date and date[1][-8:] for date in dates] == ["12:00:00", "12:00:00", "12:00:01", "12:01:01"]
    asgi.close()


def links_in(html):
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(value for name, value in attrs if name == "href" and value)

    Links().feed(html)
    return found


def test_every_link_leads_somewhere(asgi):
    seen, waiting = set(), ["/metadata"]
    while waiting:
        address = waiting.pop()
        reply = asgi.send("GET", address)
        assert reply.status == 200, address
        seen.add(address)
        if reply.headers["content-type"].startswith("text/html"):
            ids = set(_ids_in(text_of(reply)))
            for each in links_in(text_of(reply)):
                path, _, fragment = each.partition("#")
                assert not fragment or path or fragment in ids, each
                assert path.startswith("/") or not path, each
                if path and path not in seen and path not in waiting:
                    waiting.append(path)
    assert len(seen) > len(ROUTES) * len(SAMPLE_FORMATS) * len(PAGE_KEYS)


def _ids_in(html):
    found: list[str] = []

    class Ids(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(value for name, value in attrs if name == "id" and value)

    Ids().feed(html)
    return found


def recorded():
    """What the clients' tools sent for classes."""
    folder = next((each for each in FOLDERS if each.is_dir()), None)
    if folder is None:
        return [pytest.param(None, None, id="no recordings")]
    return [
        pytest.param(case, request, id=f"{case['name']}-{position}")
        for name in ("cli", "get_dtos")
        for case in json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["cases"]
        for position, request in enumerate(case["requests"])
        if urlsplit(request["target"]).path.lower().startswith("/types")
    ]


@pytest.mark.parametrize(("case", "request_"), recorded())
def test_a_recorded_tool_gets_its_classes(asgi, case, request_):
    if case is None:
        assert not os.environ.get("CI"), "CI must have the recordings"
        pytest.skip("shared/contract/clients is not beside the project")
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in request_["headers"]]
    reply = asgi.send_raw(request_["method"], request_["target"], None, headers)
    assert (reply.status, b"Options:" in reply.body) == (200, True)
    assert reply.headers["content-type"].startswith("text/")


def test_whoever_comes_to_the_door_is_shown_in(asgi):
    person = asgi.send("GET", "/", accept="text/html,*/*;q=0.8")
    assert (person.status, person.headers["location"]) == (302, "/metadata")
    for accept in ("*/*", "application/json"):
        other = asgi.send("GET", "/", accept=accept, host="kvot.example")
        assert (other.status, other.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        named = re.findall("http://kvot.example(/.*)", other.body.decode())
        assert named
        assert {asgi.send("GET", path).status for path in named} == {200}
    assert asgi.send("HEAD", "/").status == 200
    assert (asgi.send("POST", "/").status, asgi.send("POST", "/").body) == (404, b"404")
