"""What the refusals of all dialects carry beside the provider's own members, which its official clients ignore."""

from typing import Any

from kvot.core.errors import InvalidRequest, KvotError, StoreUnavailable, TooManyRequests, whole_seconds
from kvot.core.window import MS_PER_SECOND
from kvot.gateway.dialect import Limits
from kvot.wire.scalars import utc


def retry_after_s(error: KvotError) -> int | None:
    """Whole seconds until a retry may succeed; None where waiting does not help."""
    return whole_seconds(error.retry_after_ms) if isinstance(error, StoreUnavailable | TooManyRequests) else None


def budget_block(limits: Limits) -> dict[str, Any]:
    """`window` is in seconds. `resetsAt` is when the tokens asked for fit; null where waiting cannot help."""
    resets_at = None
    if limits.retry_after_ms is not None:
        resets_at = utc(limits.now_ms + limits.retry_after_ms).isoformat(timespec="milliseconds") + "Z"
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
