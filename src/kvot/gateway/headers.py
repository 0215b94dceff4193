"""What of a request's and a reply's head goes on. Requests are rebuilt, replies are cleaned: nothing passes unnamed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode

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

OUTPUT_MAX = b"x-kvot-output-tokens-max"
"""On the reply to a call whose ceiling we named: lowered so that it fits, or where the request had none."""

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
    """The query to send on, of the parameters that the API knows."""
    if not query_string:
        return ""
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if dialect.passes_query(name)])


def reply_headers(dialect: Dialect, headers: Sequence[Pair], held: Held | None) -> tuple[Pair, ...]:
    """The head of the reply to the client. Where our limit is the tighter one the provider's figures are renamed."""
    passes = dialect.passes_reply_header
    passed = [pair for pair in headers if _goes_on(passes, pair[0])]
    for name, value in headers:
        if name == b"connection" and value not in _NAMES_NONE:
            passed = _without_named(passed, value)
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
    return name not in OF_THE_HOP and passes(name)


def _without_named(pairs: Iterable[Pair], connection: bytes) -> list[Pair]:
    """Without the headers that the provider says are of its connection to us alone."""
    names = {name.strip() for name in connection.lower().split(b",")}
    return [pair for pair in pairs if pair[0] not in names]


def _is_tighter(limits: Limits, theirs: Mapping[bytes, bytes], ours: Iterable[Pair]) -> bool:
    remaining = [theirs[name] for name, _ in ours if b"remaining" in name and name in theirs]
    return all(not value.isdigit() or limits.tokens_remaining <= int(value) for value in remaining)
