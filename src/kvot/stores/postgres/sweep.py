"""Deletes what lies at or below a company's floor, piece by piece, each a transaction of its own.

What a piece is, and why nothing is lost when they end on the way: sql/postgres/0007_keeping.sql.
"""

from kvot.core.store import OnEvents
from kvot.stores.postgres.encoding import to_uuid
from kvot.stores.postgres.pool import LONG_TIMEOUT_MS, Pool

SWEEP_ROWS = 2_000
"""Looked at in one piece: some tens of milliseconds, for which another write of the company may have to wait."""

_PARTS = 8
_SWEEP_PIECE = "SELECT next, is_done, events FROM kvot.sweep_piece($1, $2, $3, $4, $5)"


async def sweep(pool: Pool, company_id: str, floor_ms: int, on_events: OnEvents) -> int:
    """How many events were deleted."""
    company, total = to_uuid(company_id), 0
    for part in range(_PARTS):
        after, is_done = "", False
        while not is_done:
            values = (company, floor_ms, part, after, SWEEP_ROWS)
            ((following, is_done, events),) = await pool.run(_SWEEP_PIECE, *values, timeout_ms=LONG_TIMEOUT_MS)
            after, total = following or "", total + events
            on_events(events)
    return total
