"""A wait in words for people. The exact figure stands beside it, where programs look: `Retry-After`, and the fields."""

from kvot.core.window import MS_PER_DAY, MS_PER_HOUR, MS_PER_SECOND

_MS_PER_MINUTE = 60 * MS_PER_SECOND

# From when on a wait is told in which two units, by their words and lengths.
_UNITS = (
    (MS_PER_DAY, ("d", MS_PER_DAY), ("h", MS_PER_HOUR)),
    (MS_PER_HOUR, ("h", MS_PER_HOUR), ("min", _MS_PER_MINUTE)),
    (_MS_PER_MINUTE, ("min", _MS_PER_MINUTE), ("s", MS_PER_SECOND)),
)


def duration(ms: int) -> str:
    """In two units, rounded up: 12 d 4 h, 3 h 20 min, 2 min 5 s, 40 s."""
    for least_ms, (greater, greater_ms), (smaller, smaller_ms) in _UNITS:
        rounded_ms = -(-ms // smaller_ms) * smaller_ms
        if rounded_ms >= least_ms:
            rest = rounded_ms % greater_ms // smaller_ms
            return f"{rounded_ms // greater_ms} {greater}" + (f" {rest} {smaller}" if rest else "")
    return f"{max(1, -(-ms // MS_PER_SECOND))} s"
