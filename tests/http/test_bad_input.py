"""What breaks others: every format, every place. A clear 4xx in the negotiated format, in bounded time and memory."""

import time
import tracemalloc

import msgspec
import pytest

from tests.http.asgi import Asgi
from tests.http.conftest import make_app

USAGE = "/assistant/ai-chat/usage"
IMPORT = f"{USAGE}/import"
TYPES = {
    "json": "application/json",
    "jsv": "text/jsv",
    "xml": "application/xml",
    "csv": "text/csv",
    "jsonl": "text/jsonl",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data; boundary=B",
    "msgpack": "application/x-msgpack",
}
MB = 1_000_000
SECONDS_MAX = 1.0
"""For any input of at most a megabyte."""

BYTES_MAX = 64 * MB

BODIES = {
    "json: no object": ("json", b"[1]"),
    "json: cut": ("json", b'{"tokensUsed":'),
    "json: bad UTF-8": ("json", b'{"reason":"\xff"}'),
    "json: 10,000 levels": ("json", b'{"a":' * 10_000),
    "json: 1 MB of levels": ("json", b"[" * MB),
    "json: 1 MB of members": ("json", b"{" + b'"a":1,' * (MB // 6 - 1) + b'"a":1}'),
    "json: 1 MB of lenient members": ("json", b"{" + b"a:b," * (MB // 4 - 1) + b"a:b}"),
    "json: 1 MB in a string": ("json", b'{"tokensUsed":"' + b"9" * (MB - 20) + b'"}'),
    "json: 1 MB of digits": ("json", b'{"tokensUsed":' + b"9" * (MB - 20) + b"}"),
    "json: 1 MB of escapes": ("json", b'{"a":"' + b"\\u0041" * (MB // 6 - 10) + b"x"),
    "jsv: unbalanced": ("jsv", b"{TokensUsed:{1}"),
    "jsv: 10,000 levels": ("jsv", b"{A:" * 10_000),
    "jsv: 1 MB of members": ("jsv", b"{" + b"A:1," * (MB // 4 - 1) + b"A:1}"),
    "jsv: 1 MB of quotes": ("jsv", b"{A:" + b'"' * (MB - 5) + b"}"),
    "jsv: bad UTF-8": ("jsv", b"{A:\xff}"),
    "xml: broken": ("xml", b"<A><TokensUsed>1</A>"),
    "xml: DOCTYPE": ("xml", b"<!DOCTYPE A SYSTEM 'http://127.0.0.1:1/'><A/>"),
    "xml: entities": ("xml", b'<!DOCTYPE A [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><A>&b;</A>'),
    "xml: 10,000 levels": ("xml", b"<a>" * 10_000),
    "xml: 1 MB of attributes": ("xml", b"<A" + b"".join(b' a%d=""' % n for n in range(90_000)) + b"/>"),
    "xml: 1 MB in one attribute": ("xml", b'<A a="' + b"x" * (MB - 60) + b'"><TokensUsed>1</TokensUsed></A>'),
    "xml: 1 MB of elements": ("xml", b"<A>" + b"<a/>" * (MB // 4 - 10) + b"</A>"),
    "xml: 1 MB of lines": ("xml", b"<A>" + b"\n" * (MB - 10)),
    "xml: 1 MB of references": ("xml", b"<A><B>" + b"&lt;" * (MB // 4 - 10)),
    "xml: bad UTF-8": ("xml", b"<A>\xff</A>"),
    "csv: 2 rows": ("csv", b"TokensUsed\r\n1\r\n2\r\n"),
    "csv: open quote": ("csv", b'TokensUsed\r\n"1'),
    "csv: 1 MB of columns": ("csv", b"a," * (MB // 2) + b"\r\n1"),
    "csv: 1 MB of rows": ("csv", b"a\r\n" + b"1\r\n" * (MB // 3)),
    "csv: the same column twice": ("csv", b"TokensUsed,tokensused\r\n1,2\r\n"),
    "jsonl: 2 lines": ("jsonl", b'{"tokensUsed":1}\n{"tokensUsed":2}\n'),
    "jsonl: no document": ("jsonl", b"nonsense"),
    "jsonl: 1 MB of lines": ("jsonl", b"1\n" * (MB // 2)),
    "form: bad UTF-8": ("form", b"TokensUsed=%ff"),
    "form: 1 MB of fields": ("form", b"a=1&" * (MB // 4)),
    "form: a value of the wrong type": ("form", b"TokensUsed=" + b"x" * (MB - 20)),
    "multipart: no end": ("multipart", b"--B\r\n"),
    "multipart: 1 MB of parts": ("multipart", b"\r\n--B" * (MB // 5)),
    "multipart: 1 MB of headers": ("multipart", b"--B\r\n" + b"a: b\r\n" * (MB // 6 - 10) + b"\r\n\r\n1\r\n--B--"),
    "msgpack: a list without end": ("msgpack", b"\xdd\xff\xff\xff\xff"),
    "msgpack: 1 MB of levels": ("msgpack", b"\x91" * MB),
    "msgpack: 1 MB of items": ("msgpack", msgspec.msgpack.encode([0] * (MB - 10))),
    "msgpack: names that are none": ("msgpack", msgspec.msgpack.encode({1: 2})),
}


def measured(send):
    """The reply, and what it took: seconds of this process, and bytes at the peak. Apart, since tracing is slow."""
    started_s = time.process_time()
    reply = send()
    seconds = time.process_time() - started_s
    tracemalloc.start()
    try:
        send()
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return reply, seconds, peak_bytes


@pytest.mark.parametrize("accept", ["application/json", "application/xml"])
@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body_is_refused_in_the_negotiated_format(asgi, company, name, accept):
    key, body = BODIES[name]
    reply = asgi.send("POST", USAGE, body, content_type=TYPES[key], x_api_key=company, accept=accept)
    assert reply.status == 400
    assert reply.headers["content-type"].startswith(accept)
    assert len(reply.body) < 2_000
    assert (b"SerializationException" in reply.body) or (b"GreaterThan" in reply.body)


@pytest.mark.parametrize("name", [name for name, (_, body) in BODIES.items() if len(body) >= 10_000])
def test_a_bad_body_costs_little(asgi, company, name):
    key, body = BODIES[name]
    _, seconds, peak_bytes = measured(
        lambda: asgi.send("POST", USAGE, body, content_type=TYPES[key], x_api_key=company)
    )
    assert seconds < SECONDS_MAX
    assert peak_bytes < BYTES_MAX


@pytest.mark.parametrize("key", ["json", "jsv", "xml", "csv", "jsonl", "msgpack"])
def test_a_list_of_a_megabyte_costs_little_too(asgi, company, key):
    body = {
        "json": b"[" + b"{}," * (MB // 3 - 1) + b"{}]",
        "jsv": b"[" + b"{}," * (MB // 3 - 1) + b"{}]",
        "xml": b"<A>" + b"<e/>" * (MB // 4 - 5) + b"</A>",
        "csv": b"Id\r\n" + b"a\r\n" * (MB // 3 - 5),
        "jsonl": b"{}\n" * (MB // 3),
        "msgpack": msgspec.msgpack.encode([{}] * 520_000),
    }[key]
    reply, seconds, peak_bytes = measured(
        lambda: asgi.send("POST", IMPORT, body, content_type=TYPES[key], x_api_key=f"writer {company}")
    )
    assert reply.status == 400
    assert seconds < SECONDS_MAX
    assert peak_bytes < BYTES_MAX


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"{USAGE}?CompanyId={'x' * MB}", 400),
        (f"{USAGE}?{'a=1&' * (MB // 4)}", 400),
        (f"{USAGE}?jsconfig={'edv,' * 60_000}", 200),
        (f"{USAGE}?{'%41' * 80_000}", 200),
        (f"{USAGE}?{'%41' * (MB // 3)}", 400),
        (f"{USAGE}?CompanyId=%ff", 400),
        (f"{USAGE}?CompanyId={{{'[' * 1_000}", 400),
        (f"{USAGE}?format={'x' * MB}", 400),
        (f"/api/{'x' * MB}", 405),
        ("/" + "a/" * (MB // 2), 404),
        ("/%ff/%ff", 400),
        ("/apikeys/%ff", 400),
    ],
)
def test_a_bad_address_is_refused_and_costs_little(asgi, company, target, status):
    reply, seconds, peak_bytes = measured(lambda: asgi.send("GET", target, x_api_key=company))
    assert (reply.status, len(reply.body) < 2_000) == (status, True)
    assert (seconds < SECONDS_MAX, peak_bytes < BYTES_MAX) == (True, True)


@pytest.mark.parametrize(
    ("headers"),
    [
        {"accept": "text/html;q=0," * 10_000},
        {"accept": "\xff,;;q"},
        {"cookie": "a=b;" * 10_000},
        {"cookie": "kvot-session=" + "." * 30_000},
        {"content_type": "multipart/form-data; boundary=" + "x" * 30_000},
        {"origin": "x" * 30_000},
        {"x_param_override_companyid": "x" * 30_000},
        {"x_http_method_override": "x" * 30_000},
    ],
)
def test_bad_headers_cost_little(company, headers):
    asgi = Asgi(make_app())
    reply, seconds, peak_bytes = measured(lambda: asgi.send("POST", USAGE, b"--", x_api_key=company, **headers))
    asgi.close()
    assert 400 <= reply.status < 500
    assert (seconds < SECONDS_MAX, peak_bytes < BYTES_MAX) == (True, True)


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("json", '{"tokensUsed":1,"tokensUsed":2}'),
        ("json", '{"tokensUsed" : 1, "tokensUsed"\n: 2}'),
        ("json", '{"tokensUsed":1,"TokensUsed":2}'),
        ("json", "{tokensUsed:1,tokensUsed:2}"),
        ("jsv", "{TokensUsed:1,TokensUsed:2}"),
        ("jsv", "{TokensUsed:1,tokensused:2}"),
        ("csv", "TokensUsed,TOKENSUSED\r\n1,2\r\n"),
        ("jsonl", '{"tokensUsed":1,"tokensUsed":2}\n'),
        ("msgpack", b"\x82\xaatokensUsed\x01\xaatokensUsed\x02"),
        ("msgpack", b"\xde\x00\x02\xaatokensUsed\x01\xaatokensUsed\x02"),
        ("msgpack", b"\x82\xaatokensUsed\x01\xaaTokensUsed\x02"),
        ("xml", "<R><TokensUsed>1</TokensUsed><TokensUsed>2</TokensUsed></R>"),
        ("xml", "<R><TokensUsed>1</TokensUsed><tokensUsed>2</tokensUsed></R>"),
    ],
)
def test_a_member_that_comes_twice_is_refused(asgi, company, key, body):
    reply = asgi.send("POST", USAGE, body, content_type=TYPES[key], accept="application/json", x_api_key=company)
    assert (reply.status, reply.error[0]) == (400, "SerializationException")
    assert asgi.send("GET", USAGE, x_api_key=company).json["tokensUsed"] == 0


def test_a_colon_behind_a_quote_in_a_text_repeats_nothing(asgi, company):
    body = '{"tokensUsed":2,"note":"say \\":\\" twice \\":"}'
    assert asgi.send("POST", USAGE, body, content_type=TYPES["json"], x_api_key=company).json["tokensUsed"] == 2


def test_in_a_query_or_form_a_number_that_comes_twice_is_no_number(asgi, company):
    for target, body in ((f"{USAGE}?TokensUsed=1&tokensused=2", None), (USAGE, "TokensUsed=1&TokensUsed=2")):
        reply = asgi.send("POST", target, body, content_type=TYPES["form"], x_api_key=company)
        assert (reply.status, reply.fields) == (400, [("TokensUsed", "SerializationException")])


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"])
def test_a_formula_in_a_cell_is_text_and_stays_as_it_is(asgi, company, formula):
    body = f"Id,Tokens,Model\r\n{formula.replace(' ', '')},1,{formula}\r\n"
    tallies = [
        asgi.send("POST", IMPORT, body, content_type="text/csv", x_api_key=f"writer {company}").json for _ in range(2)
    ]
    assert [(each["accepted"], each["duplicate"], each["refused"]) for each in tallies] == [(1, 0, 0), (0, 1, 0)]


@pytest.mark.parametrize("target", [USAGE, "/api/RecordAiChatUsage", "/api/RecordAiChatUsage[]"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json; charset=utf-16", '{"tokensUsed":7}'.encode("utf-16")),
        ("application/json;charset=UTF-16LE", '{"tokensUsed":7}'.encode("utf-16-le")),
        ("application/json; charset=zzz", b'{"tokensUsed":7}'),
        ("application/json; charset=iso-8859-1", '{"tokensUsed":7,"a":"å"}'.encode("latin-1")),
        ("application/xml; charset='utf-16'", "<A><TokensUsed>7</TokensUsed></A>".encode("utf-16")),
        ("application/x-www-form-urlencoded; charset=utf-16", b"tokensUsed=7"),
    ],
)
def test_other_letters_than_utf_8_are_refused_by_name(asgi, company, target, content_type, body):
    reply = asgi.send("POST", target, body, content_type=content_type, x_api_key=company)
    name = content_type.partition("=")[2].strip("'").lower()
    assert (reply.status, reply.error) == (
        400,
        ("SerializationException", f"The charset '{name}' is not read: send UTF-8."),
    )


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json; charset=iso-8859-1", b'{"tokensUsed":7}'),
        ("application/json; Charset = 'UTF8'", '{"tokensUsed":7,"a":"å"}'.encode()),
        ('application/x-www-form-urlencoded; charset="utf-8"', b"tokensUsed=7"),
    ],
)
def test_utf_8_and_ascii_are_read_under_any_of_their_names(asgi, company, content_type, body):
    reply = asgi.send("POST", USAGE, body, content_type=content_type, x_api_key=company)
    assert (reply.status, reply.json["tokensUsed"]) == (200, 7)


@pytest.mark.parametrize("body", ["<R><TokensUsed>7</TokensUsed></R>", "TokensUsed\r\n7\r\n"])
def test_api_reads_json_whatever_its_extension_and_the_type_say(asgi, company, body):
    """The extension is that of the reply. Where the body has the path's format the path begins with it."""
    target = "/api/RecordAiChatUsage.xml"
    reply = asgi.send("POST", target, body, content_type="application/xml", x_api_key=company)
    assert (reply.status, reply.headers["content-type"]) == (400, "application/xml")
    assert b"Could not deserialize 'application/json' request using RecordAiChatUsage" in reply.body
    assert asgi.send("POST", target, '{"tokensUsed":7}', x_api_key=company).status == 200
