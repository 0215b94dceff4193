"""Holds that ran out, closed now and then.

No answer needs it: every read sees them as closed, and the next write of their company closes them. But until then each
read of the company looks at all of them, and a company whose calls got lost may not write for long.
"""

import asyncio
from contextlib import suppress

from kvot.core.errors import KvotError
from kvot.core.ledger import Ledger

EVERY_S = 5.0
"""So many seconds' worth of holds at most are looked at by reads. To find none among 100,000 companies takes SQLite's
writer 9 ms."""


async def expire_now_and_then(ledger: Ledger, every_s: float = EVERY_S) -> None:
    """At once and until it is cancelled. Of several workers each does so: what one has closed no other finds."""
    while True:
        with suppress(KvotError):  # whoever needs the database is told; the next time may be better
            await ledger.expire()
        await asyncio.sleep(every_s)
