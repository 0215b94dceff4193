"""What the refusals of all dialects carry beside the provider's own members, which its official clients ignore."""

from typing import Any

from kvot.core.errors import InvalidRequest, KvotError
from kvot.core.window import MS_PER_SECOND
from kvot.gateway.dialect import Limits, Pair
from kvot.wire.scalars import utc

KEY_REFUSED = frozenset({401, 403})
"""The key is none, and the account behind it may not."""


def refuses_key(status: int, _body: bytes) -> bool:
    """As most APIs say it."""
    return status in KEY_REFUSED


def retry_headers(limits: Limits) -> tuple[Pair, ...]:
    """Of an exhausted budget: when to ask again, if that helps, and that clients are not to do so by themselves. They
    would ask twice more at once, or sleep for hours. Where open holds alone are in the way they may."""
    return _repeats(limits.retry_after_s, is_final=not limits.is_short_term)


def error_headers(error: KvotError) -> tuple[Pair, ...]:
    """The same of any other error: by its status alone clients would repeat what fails again."""
    return _repeats(error.retry_after_s, is_final=error.is_final)


def _repeats(wait_s: int | None, *, is_final: bool) -> tuple[Pair, ...]:
    stop = ((b"x-should-retry", b"false"),) if is_final else ()
    return stop if wait_s is None else (*stop, (b"retry-after", b"%d" % wait_s))


def budget_block(limits: Limits) -> dict[str, Any]:
    """`window` is in seconds. `resetsAt` is when the tokens certainly fit; null where waiting cannot help."""
    resets_at = None
    if limits.fits_after_ms is not None:
        resets_at = utc(limits.now_ms + limits.fits_after_ms).isoformat(timespec="milliseconds") + "Z"
    return {
        "window": limits.window_ms // MS_PER_SECOND,
        "limit": limits.token_limit,
        "used": limits.tokens_used,
        "reserved": limits.tokens_held,
        "resetsAt": resets_at,
    }


def response_status(code: str, message: str) -> dict[str, Any]:
    return {"errorCode": code, "message": message, "errors": []}


def error_status(error: KvotError) -> dict[str, Any]:
    """As on Kvot's own routes: every fault of every field, in order."""
    fields = error.fields if isinstance(error, InvalidRequest) else ()
    status = response_status(error.code, error.message)
    status["errors"] = [{"errorCode": each.code, "fieldName": each.field, "message": each.message} for each in fields]
    return status
