"""What of a request's and a reply's head goes on. Both are built anew: nothing passes but what the dialect names."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode

from kvot.core.errors import InvalidRequest
from kvot.core.model import Usage
from kvot.gateway.dialect import Dialect, Limits, Pair
from kvot.gateway.holding import Held
from kvot.gateway.provider import Provider
from kvot.wire.ratelimit import fields_of

OF_THE_HOP = frozenset(
    {
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"server",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Of one connection, or of one host: never passed on. The length is counted anew, as events may be taken out."""

_OF_ACCOUNT = re.compile(rb"(?<![a-z])org(?![a-z])|organi[sz]ation|project|account|tenant|subscription|workspace")
"""In the name of a header, also of a family that a dialect passes: it tells of the account behind a provider's key."""

OUTPUT_MAX = b"x-kvot-output-tokens-max"
"""On the reply to a call whose ceiling we named: lowered so that it fits, or where the request had none."""

_API_TYPES = (b"application/json", b"text/event-stream", b"application/x-ndjson")
_AS_NO_PAGE = ((b"content-security-policy", b"default-src 'none'; sandbox"), (b"x-content-type-options", b"nosniff"))
"""On a reply of any other type, or of none, as proxies before a provider give their own errors. A browser that is led
here would take it for a page of ours: it may show it, and run nothing."""

_UPSTREAM = b"x-upstream-"
_NAMES_NONE = frozenset({b"keep-alive", b"close"})
_IDEMPOTENCY_KEY = b"idempotency-key"
_JSON = (b"content-type", b"application/json")
_NEVER_PASSED = OF_THE_HOP | {_JSON[0]}
"""Of a request's headers."""


def request_headers(
    provider: Provider, headers: Iterable[Pair], caller: Sequence[str], *, has_body: bool
) -> tuple[Pair, ...]:
    """The head of the request to the provider, with our own key and nothing of the client's but what its API knows.

    caller: the credential, and the company that it acts for. has_body: it is JSON, as which we read it, whatever the
    client calls it: a provider that believed the client could read another document.
    """
    passes = provider.dialect.passes_request_header
    passed = [pair for pair in headers if pair[0] not in _NEVER_PASSED and passes(pair[0])]
    kind = (_JSON,) if has_body else ()
    if not provider.has_own_key:
        passed = [_of_caller(pair, caller) if pair[0] == _IDEMPOTENCY_KEY else pair for pair in passed]
    return (*passed, *kind, (b"accept-encoding", b"identity"), *provider.dialect.authorization(provider.api_key))


def _of_caller(pair: Pair, caller: Sequence[str]) -> Pair:
    """The client's word for a call, as one that no other caller can have: behind one key the provider sees one account,
    and may give whoever says the same word the same answer. Said again, it is the same again."""
    name, value = pair
    words = b"\0".join((*(each.encode() for each in caller), value))  # there is no NUL in any of them
    return name, blake2b(words, digest_size=32).hexdigest().encode()


def query_of(dialect: Dialect, query_string: bytes) -> str:
    """The query to send on, of the parameters that the API knows. Raises InvalidRequest where one that decides what is
    asked for is there twice: the provider may take the one that we did not."""
    if not query_string:
        return ""
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    names = [name for name, _ in pairs]
    for name in dialect.deciding_query:
        if names.count(name) > 1:
            raise InvalidRequest(f"The query has '{name}' twice.")
    return urlencode([(name, value) for name, value in pairs if dialect.passes_query(name)])


def reply_headers(dialect: Dialect, headers: Sequence[Pair], held: Held | None) -> tuple[Pair, ...]:
    """The head of the reply to the client. Where our limit is the tighter one the provider's figures are renamed."""
    passes = dialect.passes_reply_header
    passed = [pair for pair in headers if _goes_on(passes, pair[0])]
    for name, value in headers:
        if name == b"connection" and value not in _NAMES_NONE:
            passed = _without_named(passed, value)
    if not _is_of_api(passed):
        passed += _AS_NO_PAGE
    if held is None:
        return tuple(passed)
    added = fields_of(held.usage)
    if held.output_max is not None:
        added = (*added, (OUTPUT_MAX, b"%d" % held.output_max))
    ours = dialect.limit_headers(held.limits)
    if not _is_tighter(held.limits, dict(passed), ours):
        return (*passed, *added)
    names = {name for name, _ in ours}
    theirs = [(_UPSTREAM + name if name in names else name, value) for name, value in passed]
    return (*theirs, *ours, *added)


def limit_headers(dialect: Dialect, limits: Limits, usage: Usage) -> tuple[Pair, ...]:
    """On a reply of our own: the API's family and the draft's, all with our figures."""
    return (*dialect.limit_headers(limits), *fields_of(usage, limits.retry_after_s))


@lru_cache(maxsize=4_096)
def _goes_on(passes: Callable[[bytes], bool], name: bytes) -> bool:
    """Of a reply's headers. Remembered, since providers send the same dozen with every reply."""
    return name not in OF_THE_HOP and passes(name) and _OF_ACCOUNT.search(name) is None


def _is_of_api(passed: Iterable[Pair]) -> bool:
    types = [value for name, value in passed if name == b"content-type"]
    return bool(types) and all(value.lower().startswith(_API_TYPES) for value in types)


def _without_named(pairs: Iterable[Pair], connection: bytes) -> list[Pair]:
    """Without the headers that the provider says are of its connection to us alone."""
    names = {name.strip() for name in connection.lower().split(b",")}
    return [pair for pair in pairs if pair[0] not in names]


def _is_tighter(limits: Limits, theirs: Mapping[bytes, bytes], ours: Iterable[Pair]) -> bool:
    remaining = [theirs[name] for name, _ in ours if b"remaining" in name and name in theirs]
    return all(not value.isdigit() or limits.tokens_remaining <= int(value) for value in remaining)
