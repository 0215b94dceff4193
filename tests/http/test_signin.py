"""Signing in, out, and who am I: with real keys, over the real authenticator."""

import asyncio
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
from joserfc.jwk import OctKey

from kvot.core.budget import Rules
from kvot.core.keys import ApiKey, derive_key, format_key, hash_secret
from kvot.core.ledger import Ledger
from kvot.http.app import App, HttpSettings
from kvot.http.auth import KeysAndTokens
from kvot.http.auth.attempts import BURST
from kvot.http.auth.claims import ClaimRules
from kvot.http.auth.tokens import TokenVerifier, secret_key
from kvot.http.health import Health
from kvot.http.sessions import LIFETIME_MS, PURPOSE, Sessions
from kvot.http.signin import SignIn, safe_redirect
from kvot.operations import Services
from kvot.operations.sealing import Sealer
from kvot.operations.services import ProviderKeys
from kvot.stores.memory import MemoryStore
from tests.http.asgi import Asgi
from tests.http.auth.signing import encode, sign
from tests.http.conftest import NOW_MS

USAGE = "/assistant/ai-chat/usage"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PEPPER = b"p" * 32
SECRET = "s" * 43
KEY = format_key("a" * 12, SECRET)
COMPANY = str(uuid4())


class Host:
    """A house with one key, and a clock to turn."""

    def __init__(self, scheme="http"):
        self.now_ms = NOW_MS
        self.store = MemoryStore(Rules())
        key = ApiKey("a" * 12, hash_secret(PEPPER, SECRET), COMPANY, frozenset({"superadmin"}), None, NOW_MS, "tests")
        asyncio.run(self.store.add_key(key, actor="tests", now_ms=NOW_MS))
        ledger = Ledger(self.store, self.clock)
        tokens = TokenVerifier(secret_key(SECRET), ClaimRules())
        authenticator = KeysAndTokens(self.store, PEPPER, self.clock, tokens)
        sessions = Sessions(derive_key(b"secret", PURPOSE))
        services = Services(
            ledger, self.store, PEPPER, lambda: uuid4().hex, ProviderKeys(self.store, Sealer(bytes(32)))
        )
        settings = HttpSettings(allows_jsonp=True)
        sign_in = SignIn(authenticator, sessions, self.clock)
        self.asgi = Asgi(App(services, authenticator, Health(ledger), settings=settings, sign_in=sign_in), scheme)
        self.send = self.asgi.send

    def clock(self):
        return self.now_ms

    def login(self, credential=KEY, redirect=USAGE, **headers):
        form = urlencode({"credential": credential, "redirect": redirect})
        return self.send("POST", "/login", form, content_type="application/x-www-form-urlencoded", **headers)

    def cookie(self):
        return self.login().headers["set-cookie"].partition(";")[0]


@pytest.fixture
def host():
    host = Host()
    yield host
    host.asgi.close()


@pytest.mark.parametrize("target", [USAGE, f"{USAGE}?CompanyId={COMPANY}&x=å%20b", f"{USAGE}.html", "/auth"])
def test_an_anonymous_browser_is_sent_to_sign_in_and_back(host, target):
    target = target.replace("å", "%C3%A5")
    reply = host.send("GET", target, accept=BROWSER)
    assert (reply.status, reply.body) == (302, b"")
    assert reply.headers["location"] == f"/login?redirect={quote('http://localhost' + target, safe='')}"


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (USAGE, {}),
        (USAGE, {"accept": "*/*"}),
        (USAGE, {"accept": "application/json"}),
        (USAGE, {"accept": "*/*", "content_type": "application/json"}),
        (f"{USAGE}.html", {"accept": "*/*"}),
        (f"{USAGE}.json", {"accept": BROWSER}),
        (f"{USAGE}?format=html", {}),
        ("/api/GetAiChatUsage", {"accept": BROWSER}),
        ("/api/GetAiChatUsage.html", {"accept": BROWSER}),
        ("/html/reply/GetAiChatUsage", {"accept": BROWSER}),
        (USAGE, {"accept": BROWSER, "x_api_key": "wrong"}),
        (USAGE, {"accept": BROWSER, "authorization": "Bearer wrong"}),
        ("/auth", {"accept": "application/json"}),
    ],
)
def test_nobody_else_is_ever_redirected(host, target, headers):
    reply = host.send("GET", target, **headers)
    assert (reply.status, "location" in reply.headers) == (401, False)
    assert b"Not Authenticated" in reply.body


def test_the_page_asks_for_a_credential_and_knows_the_way_back(host):
    reply = host.send("GET", "/login?redirect=%2Fx%3Fa%3D%22%3E%3Cscript%3E", accept=BROWSER)
    page = reply.body.decode()
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<form method="post" action="/login">' in page
    assert 'value="/x?a=&#34;&gt;&lt;script&gt;"' in page
    assert "form-action 'self'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "",
        "x",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "http://host.example:8080.evil.example/x",
        "http://host.example:8080@evil.example/x",
        "http://host.example:8080//evil.example/x",
        "http://host.example:8080",
        "ftp://host.example:8080/x",
        "javascript:alert(1)",
        "/a\r\nb",
        "/" * 5_000,
    ],
)
def test_the_way_back_never_leads_elsewhere(host, elsewhere):
    assert safe_redirect(elsewhere, "host.example:8080") == "/auth"
    assert host.login(redirect=elsewhere, host="host.example:8080").headers["location"] == "/auth"


@pytest.mark.parametrize("address", ["/x?a=b", "http://host.example:8080/x?a=b", "HTTPS://Host.Example:8080/x?a=b"])
def test_the_way_back_may_name_this_very_host(address):
    assert safe_redirect(address, "host.example:8080") == "/x?a=b"


@pytest.mark.parametrize("address", [USAGE, f"http://h{USAGE}"])
def test_a_browser_comes_back_to_where_it_was(host, address):
    reply = host.login(redirect=address, host="h")
    assert (reply.status, reply.headers["location"]) == (303, USAGE)


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/auth.xml", "application/xml"),
        ("/AUTH.JSV", "text/jsv"),
        ("/api/Authenticate.csv", "text/csv"),
        ("/xml/reply/Authenticate", "application/xml"),
        ("/auth/logout.xml", "application/xml"),
    ],
)
def test_an_extension_fixes_the_format_of_who_am_i(host, target, content_type):
    for key, status in ((KEY, 200), ("wrong", 200 if "logout" in target else 401)):
        reply = host.send("GET", target, x_api_key=key, accept="application/json")
        assert (reply.status, reply.headers["content-type"]) == (status, content_type)


@pytest.mark.parametrize(
    ("method", "body", "status", "error"),
    [
        ("POST", '{"userName":"a","password":"b"}', 401, ("Unauthorized", "Invalid Username or Password")),
        ("POST", None, 400, ("NotEmpty", "'User Name' must not be empty.")),
        ("GET", None, 405, ("NotImplementedException", "A user name and its password come in a POST.")),
    ],
)
def test_no_password_is_ever_right(host, method, body, status, error):
    reply = host.send(method, "/auth/credentials", body, content_type="application/json")
    assert (reply.status, reply.error) == (status, error)
    assert "location" not in reply.headers


PASSWORD = '{"provider":"credentials","userName":"a","password":"b"}'


@pytest.mark.parametrize("target", ["/api/Authenticate", "/auth", "/json/reply/Authenticate"])
def test_a_provider_that_is_named_is_the_one_that_answers(host, target):
    signed_in = {"content_type": "application/json", "x_api_key": KEY}
    out = host.send("POST", target, '{"provider":"logout"}', **signed_in)
    assert (out.status, out.json) == (200, {})
    assert out.headers["set-cookie"].startswith("kvot-session=; Path=/; Max-Age=0")
    refused = host.send("POST", target, PASSWORD, **signed_in)
    assert (refused.status, refused.error) == (401, ("Unauthorized", "Invalid Username or Password"))
    assert host.send("POST", target, "{}", **signed_in).status == 200


@pytest.mark.parametrize(
    ("request_", "status", "fields"),
    [
        (("POST", "/api/Authenticate", '{"provider":"credentials"}'), 400, ["UserName", "Password"]),
        (("POST", "/api/Authenticate", '{"provider":"Credentials","userName":"a"}'), 400, ["Password"]),
        (("POST", "/auth/credentials", '{"password":"b"}'), 400, ["UserName"]),
        (("POST", "/api/Authenticate?provider=credentials"), 400, ["UserName", "Password"]),
        (("GET", "/api/Authenticate?provider=credentials&userName=a&password=b"), 405, []),
        (("POST", "/api/Authenticate", '{"userName":"a","password":"b"}'), 401, []),
    ],
)
def test_a_user_name_and_a_password_are_both_asked_for_even_where_a_key_came_too(host, request_, status, fields):
    reply = host.send(*request_, content_type="application/json", x_api_key=KEY)
    assert (reply.status, reply.fields) == (status, [(field, "NotEmpty") for field in fields])


def test_a_key_signs_in_and_the_cookie_is_kept_from_scripts_and_other_sites(host):
    reply = host.login()
    assert (reply.status, reply.headers["location"]) == (303, USAGE)
    cookie, *attributes = reply.headers["set-cookie"].split("; ")
    assert attributes == ["Path=/", "Max-Age=28800", "HttpOnly", "SameSite=Lax"]
    assert SECRET not in cookie
    page = host.send("GET", USAGE, accept=BROWSER, cookie=cookie)
    assert (page.status, COMPANY.encode() in page.body) == (200, True)


def test_on_https_the_cookie_stays_there(host):
    assert host.login(origin="https://h", host="h").headers["set-cookie"].endswith("; Secure")
    secure = Host("https")
    assert secure.login().headers["set-cookie"].endswith("; Secure")
    secure.asgi.close()


@pytest.mark.parametrize("credential", ["", "wrong", "å", "a b", "a\x00", "x" * 2_600])
def test_what_proves_nothing_does_not_sign_in(host, credential):
    reply = host.login(credential)
    assert (reply.status, "set-cookie" in reply.headers) == (401, False)
    assert b'<form method="post"' in reply.body


def test_a_credential_that_no_cookie_can_hold_is_refused(host):
    assert host.login("x" * 2_601).status == 400


def test_trying_without_end_is_refused(host):
    assert {host.login(f"wrong-key-number-{n}").status for n in range(30)} == {401, 429}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example", "host": "h"},
        {"origin": "null", "host": "h"},
        {"origin": "http://[", "host": "h"},
        {"origin": "null", "host": ""},
        {"origin": "h", "host": "h"},
        {"origin": "http://h:81", "host": "h"},
    ],
)
def test_the_form_of_another_site_is_not_taken(host, headers):
    reply = host.login(**headers)
    assert (reply.status, "set-cookie" in reply.headers) == (403, False)


RECORD = ("POST", USAGE, "tokensUsed=5")
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("request_", "headers", "status"),
    [
        (("GET", USAGE), {}, 200),
        (("HEAD", USAGE), {"sec_fetch_site": "cross-site"}, 200),
        (RECORD, {"sec_fetch_site": "same-origin"}, 200),
        (RECORD, {"origin": "http://h", "host": "h"}, 200),
        (RECORD, {"origin": "https://[::1]:8080", "host": "[::1]:8080"}, 200),
        (RECORD, {}, 401),
        (RECORD, {"sec_fetch_site": "cross-site"}, 401),
        (RECORD, {"sec_fetch_site": "none"}, 401),
        (RECORD, {"sec_fetch_site": "cross-site", "origin": "http://h", "host": "h"}, 401),
        (RECORD, {"origin": "http://evil.example", "host": "h"}, 401),
        (RECORD, {"origin": "null", "host": "h"}, 401),
        (RECORD, {"origin": "", "host": ""}, 401),
        (RECORD, {"origin": "http://[", "host": "h"}, 401),
        (("PUT", "/api/RecordAiChatUsage?tokensUsed=5"), {"sec_fetch_site": "same-origin"}, 401),
        (("GET", USAGE), {"x_http_method_override": "POST"}, 401),
        (("GET", f"{USAGE}?callback=cb"), {"accept": "application/json"}, 200),
    ],
)
def test_a_cookie_counts_for_questions_and_for_our_own_pages(host, request_, headers, status):
    reply = host.send(*request_, cookie=host.cookie(), **{"content_type": FORM, **headers})
    assert reply.status == status
    assert b"TokenLimit" not in reply.body


def test_no_cookie_counts_for_a_script(host):
    reply = host.send("GET", f"{USAGE}?callback=cb", cookie=host.cookie(), accept=BROWSER)
    assert reply.body.startswith(b'cb({"responseStatus":{"errorCode":"Unauthorized"')


def test_a_header_goes_before_a_cookie(host):
    assert host.send("GET", USAGE, cookie=host.cookie(), x_api_key="wrong").status == 401


def test_a_session_ends(host):
    cookie = host.cookie()
    host.now_ms += LIFETIME_MS - 1
    assert host.send("GET", USAGE, cookie=cookie).status == 200
    host.now_ms += 1
    assert host.send("GET", USAGE, cookie=cookie).status == 401


def test_a_session_ends_with_its_key(host):
    cookie = host.cookie()
    asyncio.run(host.store.revoke_key("a" * 12, company_id=None, actor="tests", now_ms=NOW_MS))
    assert host.send("GET", USAGE, cookie=cookie).status == 401
    assert host.send("GET", USAGE, cookie=cookie, accept=BROWSER).status == 302


@pytest.mark.parametrize(
    "spoil",
    [lambda c: c[:-2] + ("BA" if c[-2] == "A" else "AA"), lambda c: c[:30], lambda c: "kvot-session=" + "x" * 9_000],
)
def test_a_cookie_that_we_did_not_make_is_nothing(host, spoil):
    assert host.send("GET", USAGE, cookie=spoil(host.cookie())).status == 401


def test_a_session_of_another_secret_is_nothing(host):
    sealed = Sessions(derive_key(b"another", PURPOSE)).seal(KEY, NOW_MS)
    assert host.send("GET", USAGE, cookie=f"kvot-session={sealed}").status == 401


OTHER_HEADERS = [
    '{"alg":"dir","enc":[]}', '{"alg":"dir","enc":"A256GCM","crit":5}', '{"enc":"A256GCM","alg":"dir"}',
    '{"alg":"dir","enc":"A256GCM","zip":"DEF"}', "[" * 2_700, "[]", "",
]  # fmt: skip


@pytest.mark.parametrize("header", OTHER_HEADERS)
def test_a_cookie_under_another_header_is_nothing_and_a_failed_attempt(host, header):
    cookie = host.cookie()
    made_up = f"kvot-session={encode(header.encode()).decode()}.{cookie.partition('.')[2]}"
    assert [host.send("GET", USAGE, cookie=made_up).status for _ in range(BURST + 1)] == [401] * BURST + [429]
    assert host.send("GET", USAGE, cookie=cookie).status == 200, "who proves right always passes"


def test_a_browser_with_a_cookie_that_is_no_session_is_always_sent_to_sign_in(host):
    """All browsers that signed in have one when the secret is replaced."""
    told = {host.send("GET", USAGE, cookie="kvot-session=made-up", accept=BROWSER).status for _ in range(BURST + 5)}
    assert told == {302}


def test_a_session_that_has_ended_is_no_failed_attempt(host):
    cookie = host.cookie()
    host.now_ms += LIFETIME_MS
    assert {host.send("GET", USAGE, cookie=cookie).status for _ in range(BURST + 1)} == {401}


def test_other_cookies_and_junk_are_skipped(host):
    junk = f"ss-pid=BBB; 01 Jan 2100 00:00:00 GMT=null; =; {host.cookie()}; kvot-session="
    assert host.send("GET", USAGE, cookie=junk).status == 200


@pytest.mark.parametrize("target", ["/auth", "/AUTH/", "/api/Authenticate"])
def test_who_am_i(host, target):
    reply = host.send("GET", target, x_api_key=KEY)
    assert reply.status == 200
    assert reply.json == {
        "roles": ["superadmin"],
        "permissions": [],
        "meta": {"CompanyId": COMPANY, "CredentialId": "a" * 12},
    }
    assert SECRET.encode() not in reply.body
    assert host.send("GET", target).error == ("Unauthorized", "Not Authenticated")


def bearer(**claims):
    token = sign({"company_id": COMPANY, "exp": NOW_MS // 1_000 + 60, **claims}, OctKey.import_key(SECRET))
    return "Bearer " + token.decode()


def test_who_am_i_says_what_the_token_says_of_a_person(host):
    person = {"sub": "u7", "name": "Anna B", "preferred_username": "anna", "picture": "https://p/a.png"}
    reply = host.send("GET", "/auth", authorization=bearer(**person, roles=["editor", "superadmin"], perms=["read"]))
    assert reply.json == {
        "userId": "u7",
        "userName": "anna",
        "displayName": "Anna B",
        "profileUrl": "https://p/a.png",
        "roles": ["editor", "superadmin"],
        "permissions": ["read"],
        "meta": {"CompanyId": COMPANY, "CredentialId": "jwt:u7"},
    }


def test_a_role_of_another_service_gives_no_right_here(host):
    token = bearer(sub="u7", roles=["editor"], perms=["superadmin"])
    assert host.send("GET", f"{USAGE}?companyId={uuid4()}", authorization=token).status == 403
    assert host.send("GET", USAGE, authorization=token).status == 200


def test_who_am_i_speaks_every_format(host):
    reply = host.send("GET", "/auth?format=xml", cookie=host.cookie())
    assert b'<AuthenticateResponse xmlns:i="' in reply.body
    assert b"<d2p1:string>superadmin</d2p1:string>" in reply.body


def test_out_again(host):
    reply = host.send("GET", "/auth/logout", cookie=host.cookie())
    assert (reply.status, reply.json) == (200, {})
    assert reply.headers["set-cookie"] == "kvot-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"


def test_who_am_i_as_a_page_says_who_and_leads_on(host):
    page = host.send("GET", "/auth", cookie=host.cookie(), accept=BROWSER).body.decode()
    assert f"<title>Signed in as {'a' * 12}</title>" in page
    assert '<nav><a href="/metadata">Operations</a><a href="/auth/logout">Sign out</a></nav>' in page
    named = host.send("GET", "/auth", authorization=bearer(sub="u7", name="<Anna>"), accept=BROWSER)
    assert b"<h1>Signed in as &lt;Anna&gt;</h1>" in named.body


def test_the_pages_of_signing_in_and_out_name_the_service(host):
    assert b"<p>Sign in to BokaMera.API.Host with" in host.send("GET", "/login").body
    out = host.send("GET", "/auth/logout", accept=BROWSER)
    assert b"You are signed out of BokaMera.API.Host." in out.body
    assert b'<a href="/login">Sign in</a>' in out.body
    assert out.headers["set-cookie"].startswith("kvot-session=; Path=/; Max-Age=0")


def test_the_page_takes_no_other_verb(host):
    assert host.send("DELETE", "/login").status == 405
