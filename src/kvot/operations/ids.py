"""Ids of our own making: UUIDs of version 7 (RFC 9562), the time first and 74 random bits behind it.

What is made one after the other stands side by side in an index: a commit that carries many operations changes a few
pages of it, where ids without an order change a page each. The random bits are the system's: nobody can guess an id.
"""

import os
from collections.abc import Callable
from time import time_ns

_NS_PER_MS = 1_000_000
_MS_BITS, _BELOW_MS_BITS = 48, 80
_VERSION, _VARIANT = 7 << 76, 2 << 62
_RANDOM = (1 << _BELOW_MS_BITS) - 1 & ~(15 << 76 | 3 << 62)


def new_id(wall_ns: Callable[[], int] = time_ns, random: Callable[[int], bytes] = os.urandom) -> str:
    """wall_ns: nanoseconds since the epoch; where they go back, only the neighbourhood is lost."""
    ms = wall_ns() // _NS_PER_MS & (1 << _MS_BITS) - 1
    number = int.from_bytes(random(_BELOW_MS_BITS // 8)) & _RANDOM
    digits = f"{ms << _BELOW_MS_BITS | _VERSION | _VARIANT | number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
