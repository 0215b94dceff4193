"""Ids of our own making: UUIDs (RFC 9562), the time first and 74 random bits behind it.

What is made one after the other stands side by side in an index: a commit that carries many operations changes a few
pages of it, where ids without an order change a page each. The random bits are the system's: nobody can guess an id.

The holds of the gateway have version 8, all else 7, so that it can be told by its id whose a hold is. Of a call that
may be repeated, 40 of the 74 bits are its tag: without the secret they are as good as random, and another process that
has it finds by them the holds of earlier attempts. 34 random bits are left, to tell attempts of one millisecond apart.
"""

import os
import re
from collections.abc import Callable
from time import time_ns

from kvot.core.store import TAG_DIGITS

TAG_BYTES = TAG_DIGITS // 2

_NS_PER_MS = 1_000_000
_MS_BITS, _BELOW_MS_BITS = 48, 80
_VERSION_BIT, _VARIANT = 76, 2 << 62
_RANDOM = (1 << _BELOW_MS_BITS) - 1 & ~(15 << 76 | 3 << 62)
_GATEWAYS = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id(wall_ns: Callable[[], int] = time_ns, random: Callable[[int], bytes] = os.urandom) -> str:
    """wall_ns: nanoseconds since the epoch; where they go back, only the neighbourhood is lost."""
    return _uuid(7, wall_ns(), random(_BELOW_MS_BITS // 8))


def new_gateway_id(
    tag: bytes | None, wall_ns: Callable[[], int] = time_ns, random: Callable[[int], bytes] = os.urandom
) -> str:
    """Of a hold. tag: `TAG_BYTES` that go in it; None: of a call that nobody will look for."""
    if tag is None:
        return _uuid(8, wall_ns(), random(_BELOW_MS_BITS // 8))
    return _uuid(8, wall_ns(), random(_BELOW_MS_BITS // 8 - TAG_BYTES) + tag)


def is_gateways(hold_id: str) -> bool:
    """Whether the gateway made the hold: nobody else may, nor end it."""
    return _GATEWAYS.fullmatch(hold_id) is not None


def _uuid(version: int, wall_ns: int, below: bytes) -> str:
    ms = wall_ns // _NS_PER_MS & (1 << _MS_BITS) - 1
    number = int.from_bytes(below) & _RANDOM
    digits = f"{ms << _BELOW_MS_BITS | version << _VERSION_BIT | _VARIANT | number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
