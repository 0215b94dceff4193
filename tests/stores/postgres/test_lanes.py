"""A lone operation goes at once; those that come while calls are on their way go together when one is back."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from kvot.core.errors import StoreUnavailable
from kvot.stores.postgres import lanes as lanes_module
from kvot.stores.postgres.lanes import Lanes

A, B, C = "company a", "company b", "company c"


class Line:
    """Where calls go: it keeps them until they are let through, and answers each operation with itself."""

    def __init__(self) -> None:
        self.shared: list[dict[str, list[str]]] = []
        self.alone: list[tuple[str, list[str]]] = []
        self.open = asyncio.Event()
        self.freed = asyncio.Event()
        self.busy: set[str] = set()
        self.fails = False

    async def send_shared(self, calls: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        self.shared.append({company: list(operations) for company, operations in calls.items()})
        await self.open.wait()
        return {company: self._answers(operations) for company, operations in calls.items() if company not in self.busy}

    async def send(self, company_id: str, operations: Sequence[str]) -> list[Any]:
        self.alone.append((company_id, list(operations)))
        await self.freed.wait()
        return self._answers(operations)

    def _answers(self, operations: Sequence[str]) -> list[Any]:
        if self.fails:
            raise StoreUnavailable("gone")
        return [StoreUnavailable("bad") if each == "bad" else each for each in operations]


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def lanes(line: Line, monkeypatch: pytest.MonkeyPatch) -> Lanes:
    monkeypatch.setattr(lanes_module, "CALLS_MAX", 1)
    return Lanes(line.send, line.send_shared)


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_lone_operation_goes_at_once_and_later_ones_together(line: Line, lanes: Lanes):
    answers = [lanes.submit(A, "1")]
    await turn()
    answers += [lanes.submit(company, each) for company, each in ((A, "2"), (B, "3"), (A, "4"))]
    await turn()
    assert line.shared == [{A: ["1"]}]
    line.open.set()
    assert await asyncio.gather(*answers) == ["1", "2", "3", "4"]
    assert line.shared[1:] == [{B: ["3"], A: ["2", "4"]}]


async def test_so_many_calls_go_side_by_side_and_each_takes_its_share_of_all_operations(
    line: Line, lanes: Lanes, monkeypatch
):
    monkeypatch.setattr(lanes_module, "CALLS_MAX", 2)
    for company, operation in ((A, "1"), (A, "2"), (B, "3"), (C, "4")):
        lanes.submit(company, operation)
        await turn()
    assert line.shared == [{A: ["1"]}, {B: ["3"]}]
    line.open.set()
    await lanes.close()
    assert line.shared[2:] == [{C: ["4"]}, {A: ["2"]}]


async def test_a_company_s_operations_are_not_cut_into_shares(line: Line, lanes: Lanes, monkeypatch):
    monkeypatch.setattr(lanes_module, "CALLS_MAX", 2)
    for company, operation in ((A, "1"), (A, "2"), (A, "3"), (B, "4")):
        lanes.submit(company, operation)
    await turn()
    assert line.shared == [{A: ["1", "2", "3"]}, {B: ["4"]}]


async def test_whoever_is_answered_and_asks_again_at_once_goes_along(line: Line, lanes: Lanes):
    async def client(company: str) -> None:
        for number in "12":
            await lanes.submit(company, number)

    clients = asyncio.gather(client(A), client(B))
    await turn()
    waits = lanes.submit(C, "3")
    line.open.set()
    await asyncio.gather(clients, waits)
    assert line.shared == [{A: ["1"], B: ["1"]}, {C: ["3"], A: ["2"], B: ["2"]}]


async def test_whoever_waits_too_long_is_refused_and_nothing_was_sent(line: Line, lanes: Lanes, monkeypatch):
    monkeypatch.setattr(lanes_module, "LOOKS_MAX", 2)
    monkeypatch.setattr(lanes_module, "LOOK_EVERY_S", 0)
    sent = lanes.submit(A, "1")
    await turn()
    late = [lanes.submit(company, each) for company, each in ((A, "2"), (B, "3"), (B, "4"))]
    refusals = await asyncio.gather(*late, return_exceptions=True)
    assert ["Nothing was done" in str(each) for each in refusals] == [True] * 3
    line.open.set()
    assert await sent == "1"
    assert [await lanes.submit(company, "5") for company in (A, B)] == ["5", "5"]
    assert line.shared == [{A: ["1"]}, {A: ["5"]}, {B: ["5"]}]


async def test_a_company_that_is_not_free_goes_alone_and_nobody_waits_for_it(line: Line, lanes: Lanes):
    line.busy.add(A)
    line.open.set()
    busy, free = lanes.submit(A, "1"), lanes.submit(B, "2")
    assert await free == "2"
    later = lanes.submit(A, "3")
    await turn()
    assert not busy.done()
    line.freed.set()
    assert list(await asyncio.gather(busy, later)) == ["1", "3"]
    assert line.alone == [(A, ["1"]), (A, ["3"])]


async def test_a_company_that_was_busy_shares_calls_again_once_nothing_of_it_waits(line: Line, lanes: Lanes):
    line.busy.add(A)
    line.open.set()
    line.freed.set()
    assert await lanes.submit(A, "1") == "1"
    line.busy.clear()
    assert await lanes.submit(A, "2") == "2"
    assert line.alone == [(A, ["1"])]


async def test_each_operation_has_its_own_answer(line: Line, lanes: Lanes):
    line.open.set()
    answers = await asyncio.gather(*(lanes.submit(A, each) for each in ("1", "bad", "3")), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["1", "bad", "3"]


@pytest.mark.parametrize("busy", [set(), {A}])
async def test_a_call_that_fails_is_told_to_all_and_the_lane_goes_on(line: Line, lanes: Lanes, busy: set[str]):
    line.busy, line.fails = busy, True
    line.open.set()
    line.freed.set()
    answers = await asyncio.gather(*(lanes.submit(A, each) for each in "123"), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["gone"] * 3
    line.fails = False
    assert await lanes.submit(A, "4") == "4"


async def test_an_operation_whose_caller_is_gone_is_done_all_the_same(line: Line, lanes: Lanes):
    gone, stays = lanes.submit(A, "1"), lanes.submit(A, "2")
    gone.cancel()
    line.open.set()
    assert await stays == "2"
    assert line.shared[0] == {A: ["1", "2"]}


async def test_a_call_and_the_line_before_it_are_bounded(line: Line, lanes: Lanes, monkeypatch):
    monkeypatch.setattr(lanes_module, "SHARED_OPERATIONS_MAX", 2)
    monkeypatch.setattr(lanes_module, "WAITING_MAX", 5)
    answers = [lanes.submit(company, str(number)) for number, company in enumerate((A, A, A, B, B))]
    with pytest.raises(StoreUnavailable, match="operations are waiting"):
        lanes.submit(C, "6")
    line.open.set()
    await asyncio.gather(*answers)
    assert line.shared == [{A: ["0", "1"]}, {B: ["3", "4"]}, {A: ["2"]}]
    assert await lanes.submit(A, "7") == "7"


async def test_a_call_of_one_company_alone_is_bounded_too(line: Line, lanes: Lanes, monkeypatch):
    monkeypatch.setattr(lanes_module, "CALL_OPERATIONS_MAX", 2)
    line.busy.add(A)
    line.open.set()
    answers = [lanes.submit(A, "1")]
    await turn()
    answers += [lanes.submit(A, each) for each in "234"]
    line.freed.set()
    await asyncio.gather(*answers)
    assert line.alone == [(A, ["1"]), (A, ["2", "3"]), (A, ["4"])]
