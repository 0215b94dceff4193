"""A refusal looks at no more open holds than it can look at while nobody else writes."""

from kvot.core.budget import Rules
from kvot.core.model import NewHold, Status
from kvot.stores.sqlite import SqliteStore
from kvot.stores.sqlite.forecast import HOLDS_READ_MAX
from tests.stores.sqlite.conftest import COMPANY, T0

SOON_MS = 60_000
LIMIT = Rules().default_budget.token_limit
WINDOW_MS = Rules().default_budget.window_ms


async def test_beyond_so_many_holds_the_wait_is_too_long_and_never_too_short(store: SqliteStore):
    """Each of so many holds gives one token back; the rest are counted as one, charged when the last has run out."""
    for number in range(HOLDS_READ_MAX + 1):
        await store.reserve(COMPANY, NewHold(f"h{number}", 1, SOON_MS + number), now_ms=T0)
    await store.reserve(COMPANY, NewHold("rest", LIMIT - HOLDS_READ_MAX - 1, 2 * SOON_MS), now_ms=T0)
    waits_ms = []
    for tokens in (10, HOLDS_READ_MAX, HOLDS_READ_MAX + 1):
        refused = await store.reserve(COMPANY, NewHold("new", tokens, 1), now_ms=T0)
        assert refused.status is Status.OVER_LIMIT
        waits_ms.append(refused.retry_after_ms)
    assert waits_ms == [SOON_MS + 9, SOON_MS + HOLDS_READ_MAX - 1, 2 * SOON_MS + WINDOW_MS]
