"""An event costs at most 140 bytes of disk, all in: itself, its chain point, its rollup line and the indexes."""

import random
import uuid

import pytest

from kvot.core.budget import Rules
from kvot.core.model import CallDetail, EventColumns, NewEvent, Source
from kvot.stores.sqlite import SqliteStore

from .conftest import T0

BYTES_MAX, EVENTS, BATCH = 140, 20_000, 5_000
SPAN_MS = 45 * 86_400_000


def batches(make_id, seed=7):
    """Fifty companies in turn over 45 days; three models, twenty users in each."""
    draw = random.Random(seed)
    companies = [str(uuid.UUID(int=draw.getrandbits(128), version=4)) for _ in range(50)]
    for first in range(0, EVENTS, BATCH):
        batch = []
        for number in range(first, first + BATCH):
            made = draw.randint(20, 4_000), draw.randint(1, 800)
            detail = CallDetail("openai", draw.choice(["gpt-4o", "gpt-4o-mini", "o3"]), f"user-{draw.randint(1, 20)}")
            detail = detail._replace(feature="chat", input_tokens=made[0], output_tokens=made[1])
            at_ms = T0 - SPAN_MS + SPAN_MS * number // EVENTS
            event = NewEvent(make_id(draw, number), sum(made), at_ms, Source.IMPORTED, detail)
            batch.append((companies[number % 50], event))
        yield batch


def random_uuid(draw, _number):
    return str(uuid.UUID(int=draw.getrandbits(128), version=4))


def file_and_line(_draw, number):
    return f"azure_llm_2023_conv.csv:{number}"


@pytest.mark.parametrize("make_id", [random_uuid, file_and_line])
async def test_an_event_is_small(path, make_id):
    store = SqliteStore.open(path, Rules())
    for batch in batches(make_id):
        await store.record_many(EventColumns.of(batch), now_ms=T0)
    await store.close()
    assert path.stat().st_size / EVENTS <= BYTES_MAX
