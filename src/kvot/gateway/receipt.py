"""The receipt of a call: what its provider told of it beside the tokens, so that a bill can be checked, and priced.

Never a word of a prompt or of an answer. Into it go numbers, and words in the sense of this module (visible ASCII, no
space, bounded): names of models, ids, and the provider's own usage object where it holds nothing else. A reply may be
hostile, so that is looked at here and nowhere taken on trust.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from kvot.core.model import TOKENS_MAX
from kvot.gateway.tokens import Reported

NAME_LENGTH_MAX = 256
"""Of a model's name, or a reply's id."""

WORD_LENGTH_MAX = 64
"""Of any other: a tier, a reason, a member's name."""

RAW_USAGE_BYTES_MAX = 4_096
"""Of the provider's usage object. The largest that we know have some 700 bytes; one with an entry for each of many
turns of the provider's own tools may have more."""

EVENT_BYTES_MAX = 16_384
"""Of an event whose usage object is kept without a look at its size, as long as its stream lasts."""

MEMBERS_MAX = 64
"""Of a usage object that comes in several events. No API has twenty."""

TOO_LARGE = object()
"""In the place of a usage object that is not kept."""

_NAME = re.compile(rf"[!#-\[\]-~]{{1,{NAME_LENGTH_MAX}}}")
_WORD = re.compile(rf"[!#-\[\]-~]{{1,{WORD_LENGTH_MAX}}}")
_ONLY_WORDS = re.compile(rb'[^"]*+(?:"[!#-\[\]-~]{0,%d}+"[^"]*+)*+' % WORD_LENGTH_MAX)
"""JSON whose strings are words. Without a quote or a backslash in them they end where they seem to."""


class Told(NamedTuple):
    """What a reply tells beside its tokens. The usage, the tier and the reason may be anything: anybody wrote them.

    usage: the provider's own object, or TOO_LARGE. finish: why the answer ended.
    modality: tokens by their kind and where they went ("audio_in", "image_out", "text_cached"), where it is not all
    text: parts of the tokens, not more of them. extra: what is billed by another count than tokens.
    """

    usage: Any = None
    service_tier: Any = None
    finish: Any = None
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    modality: Mapping[str, int] = {}
    extra: Mapping[str, float] = {}


class Receipt(msgspec.Struct, omit_defaults=True, gc=False):
    """As it is kept: compact JSON of these members, without those that are absent.

    The model that was asked for, the provider, the user and the tokens stand with the event itself. cache_write: of the
    input tokens, those written to a cache; 5m and 1h: of these, by how long. total_mismatch: the provider's total,
    where it is not the sum of its parts. raw_usage_left_out: why the object is not here: its "size", or that it holds
    "text".
    """

    endpoint: str
    model_served: str | None = None
    provider_request_id: str | None = None
    service_tier: str | None = None
    finish: str | None = None
    cache_write: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    modality: Mapping[str, int] = {}
    extra: Mapping[str, float] = {}
    total_mismatch: int | None = None
    raw_usage: msgspec.Raw | None = None
    raw_usage_left_out: str | None = None


_encode = msgspec.json.Encoder().encode


def receipt_text(
    endpoint: str,
    told: Told = Told(),  # noqa: B008 (never changed)
    reported: Reported | None = None,
    model: str | None = None,
    request_id: str | None = None,
) -> str:
    """The receipt of a call to that endpoint. Always ASCII, and shorter than RECEIPT_LENGTH_MAX."""
    usage, service_tier, finish, cache_write_5m, cache_write_1h, modality, extra = told
    raw_usage, left_out = _raw_usage(usage)
    receipt = Receipt(
        endpoint,
        _matching(_NAME, model),
        _matching(_NAME, request_id),
        _matching(_WORD, service_tier),
        _matching(_WORD, finish),
        0 if reported is None else reported.tokens.cache_write,
        cache_write_5m,
        cache_write_1h,
        modality,
        extra,
        None if reported is None else reported.total_mismatch,
        raw_usage,
        left_out,
    )
    return _encode(receipt).decode()


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _raw_usage(usage: object) -> tuple[msgspec.Raw | None, str | None]:
    """The object's bytes; or none, and why."""
    if usage is TOO_LARGE:
        return None, "size"
    if not isinstance(usage, dict):
        return None, None
    data = _encoded(usage)
    if data is None:
        return None, "size"
    if _ONLY_WORDS.fullmatch(data) is None:
        return None, "text"
    return msgspec.Raw(data), None


def _encoded(usage: dict[str, Any]) -> bytes | None:
    """None where it is too large."""
    try:
        data = _encode(usage)
    except RecursionError:
        return None
    return data if len(data) <= RAW_USAGE_BYTES_MAX else None


# -- for the dialects, which read what is told ---------------------------------------------------------------------


def word(value: object) -> str | None:
    """What may be kept of a tier, or of a reason."""
    return _matching(_WORD, value)


def kept(usage: object, event_bytes: int) -> Any:
    """What may be kept of the usage object of an event of so many bytes, for as long as its call lasts, maybe hours."""
    if not isinstance(usage, dict):
        return None
    return usage if event_bytes <= EVENT_BYTES_MAX or _encoded(usage) is not None else TOO_LARGE


KINDS = ("text", "audio", "image", "video", "document")


def modality(counts: Iterable[tuple[str, str, int | None]]) -> dict[str, int]:
    """Of kind, where it went (in, out, cached), and tokens. Nothing where all is text."""
    told = {f"{kind}_{where}": tokens for kind, where, tokens in counts if tokens}
    return told if any(not name.startswith("text") for name in told) else {}


def numbers(names: Mapping[str, str], place: object) -> dict[str, float]:
    """The members of an object that are counts or amounts, by what a receipt calls them. Those that are 0 are left
    out."""
    if not isinstance(place, dict):
        return {}
    return {name: value for member, name in names.items() if (value := place.get(member)) and _is_amount(value)}


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= TOKENS_MAX
