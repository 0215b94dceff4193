"""Which format a reply has: `Accept` by RFC 9110, section 12.5.1, over the FORMATS table, and `?format=`.

No `Accept`, `*/*`, and an `Accept` that names nothing we can write all give JSON: the contract's host answers in its
default format too, and a client that cannot read the reply can still read its status.
"""

from kvot.core.errors import InvalidRequest
from kvot.wire.formats import BY_MEDIA_TYPE, CSV, FORMATS, HTML, JSON, JSONL, JSV, MSGPACK, XML, Format

_PREFERRED = (JSON, HTML, XML, JSV, CSV, JSONL, MSGPACK)
"""What wins a tie: our default, and after it the contract's order."""

_CACHED_MAX = 256
"""Real clients send a handful of values; whoever invents more pays for their parsing."""

_CACHED_LENGTH_MAX = 512
_RANGES_MAX = 32
"""A browser sends eight media ranges. What comes after the bound is ignored."""

PROBLEM = "application/problem+json"
"""No format of replies: only errors are written so."""

_cached: dict[bytes, Format] = {}


def accepted(accept: bytes | None) -> Format:
    """The format that an `Accept` header asks for."""
    if accept is None:
        return JSON
    found = _cached.get(accept)
    if found is None:
        found = _negotiate(accept.decode("latin-1"))
        if len(_cached) < _CACHED_MAX and len(accept) <= _CACHED_LENGTH_MAX:
            _cached[accept] = found
    return found


def named(key: str) -> Format:
    """The format of `?format=`: its key, or what follows `application/` or `text/` in a name of it."""
    name = key.lower()
    found = FORMATS.get(name) or BY_MEDIA_TYPE.get(f"application/{name}") or BY_MEDIA_TYPE.get(f"text/{name}")
    if found is None:
        known = ", ".join(FORMATS)
        raise InvalidRequest(f"The format '{key[:64]}' is not known. Known are: {known}.", code="NotSupportedException")
    return found


def asks_for_problem(accept: bytes | None) -> bool:
    """Whether errors are to be problems (RFC 9457): it must be named, and no format that we can write be wanted more.

    Of two that are wanted alike it is the one for errors: `application/json, application/problem+json` says so.
    """
    if accept is None or PROBLEM not in (text := accept.decode("latin-1").lower()):
        return False
    ranges = [_media_range(each) for each in text.split(",")[:_RANGES_MAX]]
    quality, specificity, _ = _rank_of(PROBLEM, ranges)
    best = max(_rank(each, ranges)[0] for each in _PREFERRED)
    return specificity == _EXACT and 0 < quality >= best


def _negotiate(accept: str) -> Format:
    """Highest quality wins, then the more specific range, then the earlier one, then what is preferred."""
    ranges = [_media_range(each) for each in accept.split(",")[:_RANGES_MAX]]
    best, best_rank = JSON, _NOT_WANTED
    for each in _PREFERRED:
        if (rank := _rank(each, ranges))[0] > 0 and rank > best_rank:
            best, best_rank = each, rank
    return best


Range = tuple[str, float]
Rank = tuple[float, int, int]
_NOT_WANTED: Rank = (0.0, 0, 0)


def _rank(format_: Format, ranges: list[Range]) -> Rank:
    """The best rank of a format's names. A name that is refused outright refuses the format, whatever `*/*` says.

    Only the first is what a reply will be called, so the others count where they are named and not under `text/*`.
    """
    written, *others = format_.media_types
    ranks = [_rank_of(written, ranges), *(rank for name in others if (rank := _rank_of(name, ranges))[1] == _EXACT)]
    if any(quality == 0 and specificity == _EXACT for quality, specificity, _ in ranks):
        return _NOT_WANTED
    return max(ranks)


_EXACT, _KIND, _ANY = 3, 2, 1


def _rank_of(media_type: str, ranges: list[Range]) -> Rank:
    """Quality, specificity and earliness of the most specific range that covers a media type."""
    kind = media_type.partition("/")[0]
    for specificity, name in ((_EXACT, media_type), (_KIND, f"{kind}/*"), (_ANY, "*/*")):
        for position, (range_, quality) in enumerate(ranges):
            if range_ == name:
                return quality, specificity, -position
    return _NOT_WANTED


def _media_range(text: str) -> tuple[str, float]:
    """The range in lower case and its quality. A quality that is none counts as 0: the client did not say "please"."""
    name, *parameters = text.split(";")
    quality = next((each.strip()[2:] for each in parameters if each.strip()[:2].lower() == "q="), "1")
    return name.strip().lower(), _quality(quality.strip())


def _quality(text: str) -> float:
    """RFC 9110: 0 to 1 with at most three decimals."""
    if len(text) <= 5 and text[:1] in ("0", "1") and text.replace(".", "", 1).isdecimal():  # noqa: PLR2004
        return min(1.0, float(text))
    return 0.0
