"""Signing in: who am I (`/auth`), a page for browsers (`/login`), and out again (`/auth/logout`).

There are no users of our own: what signs in is an API key or a token, and it is proven by whoever proves all others.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from kvot.contract import HOST, Host
from kvot.contract.signin import AUTHENTICATE, Authenticate, AuthenticateResponse
from kvot.core.errors import (
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    NotAuthenticated,
    TokenRejected,
)
from kvot.core.principal import Principal
from kvot.http import replies
from kvot.http.address import base_url_of, host_of
from kvot.http.authenticator import Authenticator
from kvot.http.limits import Headers, has_body
from kvot.http.replies import Reply
from kvot.http.sessions import (
    CREDENTIAL_LENGTH_MAX,
    LIFETIME_MS,
    Sessions,
    cookie_of,
    is_same_origin,
    may_use_cookie,
    set_cookie,
)
from kvot.http.surface import Answer, Asked
from kvot.operations.validation import violations
from kvot.wire import html
from kvot.wire.binding import NO_FIELDS, Fields, Sent, bind_api, bind_route, read_fields
from kvot.wire.formats import FORMATS, HTML, JSON, Format

PATH = "/login"
HOME = "/auth"
"""Where a browser goes that was not on its way anywhere: it sees as whom it signed in."""

_REDIRECT_LENGTH_MAX = 2_048

_WITH_BODY = frozenset({"POST", "PUT"})

_NOBODYS = b"Bearer "
"""A credential that proves nothing, whoever looks at it: what is shown for a cookie that can be nobody's."""

_PAGE = html.template(
    """<p>Sign in to {{ service }} with an API key or a token of yours.</p>
{% if message %}
<p role="alert">{{ message }}</p>
{% endif %}
<form method="post" action="/login">
<label for="credential">API key or token</label>
<input id="credential" name="credential" type="password" autocomplete="off" required>
<input name="redirect" type="hidden" value="{{ redirect }}">
<button>Sign in</button>
</form>
"""
)

_OUT_PAGE = html.template(
    """<p>You are signed out of {{ service }}.</p>
<nav><a href="/login">Sign in</a><a href="/metadata">Operations</a></nav>
"""
)
_LINKS = (("Operations", "/metadata"), ("Sign out", "/auth/logout"))


class SignIn:
    def __init__(
        self, authenticator: Authenticator, sessions: Sessions, clock: Callable[[], int], host: Host = HOST
    ) -> None:
        self._page = partial(_page, host.service_name)
        self._out_page = _OUT_PAGE.render(title="Signed out", service=host.service_name)
        self._authenticator = authenticator
        self._sessions = sessions
        self._clock = clock
        negotiated: dict[str, Answer] = {
            HOME: partial(self._authenticate, None),
            "/api/authenticate": partial(self._authenticate, JSON),
            "/auth/credentials": self._credentials,
            "/auth/logout": self._logout,
        }
        self._answers: dict[str, Answer] = {PATH: self._login, **negotiated}
        for key, format_ in FORMATS.items():
            self._answers |= {f"{path}.{key}": answer for path, answer in negotiated.items()}
            body_format = JSON if format_ is HTML else format_
            self._answers[f"/{key}/reply/authenticate"] = partial(self._authenticate, body_format)

    def find(self, path: str) -> Answer | None:
        return self._answers.get(path.lower().rstrip("/"))

    async def principal(self, method: str, verb: str, headers: Headers, peer: str | None) -> Principal | None:
        """Who a session's cookie stands for; None where there is none, or it does not count here, or not any more.
        One that we did not seal is a failed attempt, as a wrong credential is. Raises TooManyRequests."""
        if b"cookie" not in headers or not may_use_cookie(method, verb, headers):
            return None
        sealed = cookie_of(headers)
        if sealed is None:
            return None
        session = self._sessions.open(sealed)
        if session is not None and self._clock() >= session.good_until_ms:
            return None
        try:
            shown = _bearer(session.credential) if session else _NOBODYS
            return await self._authenticator.principal(shown, None, peer)
        except TokenRejected:  # it was good when it was sealed: sign in again
            return None

    async def _authenticate(self, body_format: Format | None, asked: Asked) -> Reply:
        """What `provider` asks for. Without one, a user name is there to be proven; else it is: who am I.

        `body_format`: how a predefined path reads bodies; None where their content type says.
        """
        request = await _read(asked, body_format)
        provider = (request.provider or "").lower()
        if provider == "logout":
            return await self._logout(asked)
        if provider == "credentials" or request.user_name or request.password:
            _refuse_password(asked, request)
        principal = await asked.principal()
        return replies.of_response(to_wire(principal), _titled(asked.format, principal), asked.style)

    async def _credentials(self, asked: Asked) -> Reply:
        _refuse_password(asked, await _read(asked, None))

    async def _logout(self, asked: Asked) -> Reply:
        if asked.format is HTML:
            reply = replies.of_page(self._out_page)
        else:
            reply = replies.of_response(AuthenticateResponse(), asked.format, asked.style)
        return replies.with_headers(reply, set_cookie("", is_secure=_is_secure(asked), max_age_s=0))

    async def _login(self, asked: Asked) -> Reply:
        method = asked.scope["method"]
        if method in ("GET", "HEAD"):
            return self._page(_way_back(asked, asked.query))
        if method != "POST":
            raise MethodNotAllowed("The sign-in page takes GET and POST.")
        if is_same_origin(asked.headers) is False:
            raise Forbidden("The sign-in form of another site is not taken.")
        form = read_fields(await asked.body())
        return await self._sign_in(asked, form.get("credential", "").strip(), _way_back(asked, form))

    async def _sign_in(self, asked: Asked, credential: str, redirect: str) -> Reply:
        if len(credential) > CREDENTIAL_LENGTH_MAX:
            return self._page(redirect, "The token is too long to be kept by a browser.", 400)
        refused = partial(self._page, redirect, status=401)
        if not credential or not credential.isascii() or not credential.isprintable() or " " in credential:
            return refused("This is no API key and no token.")
        peer = asked.scope["client"]
        try:
            principal = await self._authenticator.principal(_bearer(credential), None, peer[0] if peer else None)
        except NotAuthenticated as error:
            return refused(f"{error.message}.")
        if principal is None:
            return refused("This API key or token is not valid.")
        sealed = self._sessions.seal(credential, self._clock())
        cookie = set_cookie(sealed, is_secure=_is_secure(asked), max_age_s=LIFETIME_MS // 1000)
        return replies.with_headers(replies.redirect(redirect, 303), cookie)


async def _read(asked: Asked, body_format: Format | None) -> Authenticate:
    body = await asked.body() if asked.scope["method"] in _WITH_BODY and has_body(asked.headers) else None
    content_type = asked.headers.get(b"content-type", b"").decode("latin-1") if body else ""
    sent = Sent(NO_FIELDS, asked.query, body, content_type)
    bound = bind_api(AUTHENTICATE, sent, body_format) if body_format else bind_route(AUTHENTICATE, sent)
    assert isinstance(bound, Authenticate)
    return bound


def _refuse_password(asked: Asked, request: Authenticate) -> NoReturn:
    """There are no passwords here, so none is ever right. Whoever has a key or a token shows that."""
    if asked.scope["method"] not in _WITH_BODY:
        raise MethodNotAllowed("A user name and its password come in a POST.")
    if faults := violations(request):
        raise InvalidRequest.of_fields(faults)
    raise NotAuthenticated("Invalid Username or Password")


def to_wire(principal: Principal) -> AuthenticateResponse:
    """What a credential says of who shows it, and nothing that was not in it."""
    meta = {"CompanyId": principal.company_id, "CredentialId": principal.credential_id}
    profile = principal.profile
    return AuthenticateResponse(
        user_id=principal.user_id,
        user_name=profile.user_name or principal.user_id,
        display_name=profile.display_name,
        profile_url=profile.picture_url,
        roles=sorted({*principal.roles, *profile.roles}),
        permissions=[*profile.permissions],
        meta={name: value for name, value in meta.items() if value is not None},
    )


def _way_back(asked: Asked, fields: Fields) -> str:
    return safe_redirect(fields.get("redirect", ""), host_of(asked.scope, asked.headers))


def safe_redirect(text: str, host: str = "") -> str:
    """A path of this server as it came, or home: never another host, however it is spelled.

    An address that names `host`, which is what the browser itself calls us, counts as its path.
    """
    if host and (named := re.match(rf"https?://{re.escape(host)}(?=/)", text, re.IGNORECASE)):
        text = text[named.end() :]
    is_path = text.startswith("/") and not text.startswith("//") and "\\" not in text
    return text if is_path and text.isprintable() and len(text) <= _REDIRECT_LENGTH_MAX else HOME


def to_login(scope: Any, headers: Headers) -> Reply:
    """Send an anonymous browser to the sign-in page, and from there back to the address that it asked for."""
    asked = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    address = base_url_of(scope, headers).encode() + asked
    return replies.redirect(f"{PATH}?redirect={replies.quoted(address)}", 302)


def _bearer(credential: str) -> bytes:
    return b"Bearer " + credential.encode("ascii")


def _titled(format_: Format, principal: Principal) -> Format:
    """A page says who is signed in, and where to go from there."""
    if format_ is not HTML:
        return format_
    profile = principal.profile
    name = profile.display_name or profile.user_name or principal.user_id or principal.credential_id
    return replace(HTML, write=partial(html.write, page=html.Page(f"Signed in as {name}", None, _LINKS)))


def _page(service: str, redirect: str, message: str = "", status: int = 200) -> Reply:
    return replies.of_page(_PAGE.render(title="Sign in", service=service, redirect=redirect, message=message), status)


def _is_secure(asked: Asked) -> bool:
    """Whether the browser speaks https, maybe with a proxy before us. It states its origin itself when it posts."""
    return asked.scope.get("scheme") == "https" or asked.headers.get(b"origin", b"").startswith(b"https:")
