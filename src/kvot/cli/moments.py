"""Times on the command line."""

import re
import time

from kvot.cli.files.values import Unfit, to_instant_ms
from kvot.cli.options import UsageError
from kvot.contract.describe import Instant
from kvot.core.window import MS_PER_DAY, MS_PER_HOUR

_SPAN = re.compile(r"([0-9]{1,6})([hd])")
_UNITS = {"h": MS_PER_HOUR, "d": MS_PER_DAY}


def parse_moment(option: str, text: str | None) -> Instant | None:
    """A date or time, UTC where it names no zone; or milliseconds or seconds since the epoch."""
    if text is None:
        return None
    try:
        ms = to_instant_ms(option, text)
    except Unfit:
        raise UsageError(f"{option} {text}: write a time such as 2026-11-22 or 2026-11-22T08:30:00Z.") from None
    assert ms is not None
    return Instant(ms)


def parse_expiry(text: str | None, *, now_ms: int | None = None) -> Instant | None:
    """A time, or a span from now: `30d`, `12h`."""
    if text is None or not (span := _SPAN.fullmatch(text)):
        return parse_moment("--expires", text)
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return Instant(now_ms + int(span[1]) * _UNITS[span[2]])
