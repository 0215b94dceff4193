"""The window's edges, as a table: what an instant T counts of an event that lies near one end of `(T - W, T]`.

It is asked at instants on both sides of the edges of slots, in windows of slot sizes and one more and less, for
events that came in every order. It does not compare engines: here alone stands what all of them must say.
"""

from collections.abc import Iterator
from itertools import count, product
from uuid import UUID

import pytest

from kvot.core.model import EventColumns, NewEvent
from kvot.core.window import SHIFTS
from tests.conformance.scene import DAY, T0, Scene

#   the event's time, from T or from T - W    counts at T
AT_THE_EDGES = [
    ("start", -1, False),
    ("start", 0, False),  # it leaves exactly W after it entered
    ("start", 1, True),
    ("end", -1, True),
    ("end", 0, True),  # it counts from its own millisecond on
    ("end", 1, False),
]
WINDOWS = [3, 255, 256, 257, 65_535, 65_536, 65_537, 2**24 - 1, 2**24, 2**24 + 1, DAY]
ARRIVALS = ["in order", "late", "ahead", "in a batch"]
CASES = list(product(ARRIVALS, SHIFTS[1:]))


@pytest.mark.parametrize(("arrival", "shift"), CASES)
async def test_an_event_counts_inside_the_half_open_window_alone(scene: Scene, arrival: str, shift: int):
    await play(scene, arrival, shift)


async def play(scene: Scene, arrival: str, shift: int) -> None:
    slot_edge_ms = T0 >> shift << shift
    companies = new_companies()
    for instant_ms in (slot_edge_ms - 1, slot_edge_ms, slot_edge_ms + 1):
        for window_ms in WINDOWS:
            company = next(companies)
            for number, (end, offset_ms, _counts) in enumerate(AT_THE_EDGES):
                at_ms = (instant_ms if end == "end" else instant_ms - window_ms) + offset_ms
                await arrive(scene, arrival, company, NewEvent(f"e{number}", 10**number, at_ms), instant_ms)
            counted = sum(10**number for number, (_, _, counts) in enumerate(AT_THE_EDGES) if counts)
            seen = await scene.used(instant_ms, window_ms, now_ms=instant_ms, company=company)
            assert seen == counted, (instant_ms - slot_edge_ms, window_ms)


async def test_a_window_of_one_millisecond_is_that_millisecond(scene: Scene):
    for number, at_ms in enumerate((T0 - 1, T0, T0 + 1)):
        await scene.record(f"e{number}", 10**number, at_ms)
    assert [await scene.used(T0 + offset, 1) for offset in (-2, -1, 0, 1, 2)] == [0, 1, 10, 100, 0]


async def arrive(scene: Scene, arrival: str, company: str, event: NewEvent, instant_ms: int) -> None:
    assert event.at_ms is not None
    match arrival:
        case "in order":
            recorded = await scene.store.record(company, event, now_ms=event.at_ms)
            assert recorded.usage.tokens_used >= event.tokens
        case "late":
            await scene.store.record(company, event, now_ms=instant_ms + DAY)
        case "ahead":
            await scene.store.record(company, event, now_ms=event.at_ms - 1)
        case "in a batch":
            await scene.store.record_many(EventColumns.of([(company, event)]), now_ms=instant_ms)


def new_companies() -> Iterator[str]:
    return (str(UUID(int=number)) for number in count(1))
