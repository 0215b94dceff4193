"""A lone operation goes at once; those that come while a call is on its way go together when it is back."""

import asyncio
from typing import Any

import pytest

from kvot.core.errors import StoreUnavailable
from kvot.stores.postgres import lanes as lanes_module
from kvot.stores.postgres.lanes import Lanes

A, B = "company a", "company b"


class Line:
    """Where calls go: it keeps them until they are let through, and answers each operation with itself."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self.open = asyncio.Event()
        self.fails = False

    async def send(self, company_id: str, operations: Any) -> list[Any]:
        self.calls.append((company_id, list(operations)))
        await self.open.wait()
        if self.fails:
            raise StoreUnavailable("gone")
        return [StoreUnavailable("bad") if each == "bad" else each for each in operations]


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_lone_operation_goes_at_once_and_later_ones_together():
    line = Line()
    lanes = Lanes(line.send)
    answers = [lanes.submit(A, "1")]
    await turn()
    answers += [lanes.submit(A, each) for each in ("2", "3")]
    await turn()
    assert line.calls == [(A, ["1"])]
    line.open.set()
    assert await asyncio.gather(*answers) == ["1", "2", "3"]
    assert line.calls == [(A, ["1"]), (A, ["2", "3"])]


async def test_companies_do_not_wait_for_one_another():
    line = Line()
    lanes = Lanes(line.send)
    lanes.submit(A, "1")
    lanes.submit(B, "2")
    await turn()
    assert line.calls == [(A, ["1"]), (B, ["2"])]
    line.open.set()
    await lanes.close()


async def test_each_operation_has_its_own_answer():
    line = Line()
    line.open.set()
    lanes = Lanes(line.send)
    answers = await asyncio.gather(*(lanes.submit(A, each) for each in ("1", "bad", "3")), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["1", "bad", "3"]


async def test_a_call_that_fails_is_told_to_all_and_the_lane_goes_on():
    line = Line()
    lanes = Lanes(line.send)
    line.fails = True
    line.open.set()
    answers = await asyncio.gather(*(lanes.submit(A, each) for each in "123"), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["gone"] * 3
    line.fails = False
    assert await lanes.submit(A, "4") == "4"


async def test_an_operation_whose_caller_is_gone_is_done_all_the_same():
    line = Line()
    lanes = Lanes(line.send)
    gone, stays = lanes.submit(A, "1"), lanes.submit(A, "2")
    gone.cancel()
    line.open.set()
    assert await stays == "2"
    assert line.calls[0] == (A, ["1", "2"])


async def test_a_call_and_the_line_before_it_are_bounded(monkeypatch):
    monkeypatch.setattr(lanes_module, "CALL_OPERATIONS_MAX", 2)
    monkeypatch.setattr(lanes_module, "WAITING_MAX", 5)
    line = Line()
    lanes = Lanes(line.send)
    answers = [lanes.submit(A, str(number)) for number in range(5)]
    with pytest.raises(StoreUnavailable, match="operations are waiting"):
        lanes.submit(A, "6")
    line.open.set()
    await asyncio.gather(*answers)
    assert [len(operations) for _, operations in line.calls] == [2, 2, 1]
    assert await lanes.submit(A, "7") == "7"
