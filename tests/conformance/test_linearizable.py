"""Recorded histories of a company have an order in which they can have happened; those of broken stores have none."""

from pathlib import Path

import pytest

from kvot.core.budget import Rules
from kvot.core.model import Status, Usage
from kvot.stores.memory import MemoryStore
from tests.conformance.conftest import ENGINES, need
from tests.conformance.faults.base import DurableMemory, engine_of
from tests.conformance.faults.of_holds import ChecksThenActs, SettlesInTwoSteps
from tests.conformance.histories import LIMIT, Recorder, Trouble
from tests.conformance.linearizable import Answer, Call, Operation, Verdict, judge
from tests.conformance.scene import Engine, Scene
from tests.postgres.databases import DATABASES, run
from tests.stores.postgres.crowd import CROWDS
from tests.stores.postgres.test_faults import FAULTS, engine_with
from tests.stores.postgres.test_trouble import TERMINATE

HISTORIES, OPERATIONS = 20, 100
DEEP_HISTORIES, DEEP_OPERATIONS = 500, 300
CROWDS_BY_NAME = {f"postgres, four stores: a crowd {how}": crowd for how, crowd in CROWDS.items()}
ENGINES_AND_CROWDS = {**ENGINES, **CROWDS_BY_NAME}


async def recorded(
    engine: Engine, folder: Path, *, seeds: range, operations: int, trouble: Trouble | None = None
) -> list[list[Call]]:
    """A history for each seed, the first tenth of them in trouble, all on one store."""
    scene = await Scene.open(engine, folder)
    try:
        in_trouble = seeds[: len(seeds) // 10]
        return [
            await Recorder(scene, seed, operations, trouble if seed in in_trouble else None).play() for seed in seeds
        ]
    finally:
        await scene.close()


async def verdicts(
    engine: Engine, folder: Path, *, histories: int, operations: int, trouble: Trouble | None = None
) -> list[Verdict]:
    played = await recorded(engine, folder, seeds=range(histories), operations=operations, trouble=trouble)
    judged = [judge(calls, LIMIT) for calls in played]
    unknown = sum(call.returned is None for calls in played for call in calls)
    print(
        f"{histories} histories of {operations}: {sum(not each.is_legal for each in judged)} illegal; "
        f"{unknown} calls unknown, at most {max(each.states for each in judged)} states"
    )
    return judged


def trouble_of(engine: Engine, folder: Path) -> Trouble | None:
    """Of the four stores the backends are terminated: what a call has come to is then truly unknown."""
    return (lambda: run(DATABASES.name(folder), TERMINATE)) if engine in CROWDS.values() else None


async def prove(name: str, folder: Path, histories: int, operations: int) -> None:
    engine = ENGINES_AND_CROWDS[name]
    need(engine)
    trouble = trouble_of(engine, folder)
    judged = await verdicts(engine, folder, histories=histories, operations=operations, trouble=trouble)
    assert [each.stuck for each in judged] == [()] * histories


@pytest.mark.parametrize("name", ENGINES_AND_CROWDS)
async def test_every_history_is_legal(name: str, tmp_path: Path):
    await prove(name, tmp_path, HISTORIES, OPERATIONS)


@pytest.mark.deep
@pytest.mark.parametrize("name", ENGINES_AND_CROWDS)
async def test_many_long_histories_are_legal(name: str, tmp_path: Path):
    await prove(name, tmp_path, DEEP_HISTORIES, DEEP_OPERATIONS)


# -- broken stores, which must be rejected ---------------------------------------------------------------------------


class AnswersFromBefore(DurableMemory):
    """Reads come from a copy that is one read behind, as from a standby."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self._behind: dict[str, Usage] = {}

    async def usage(
        self, company_id: str, *, now_ms: int, at_ms: int | None = None, window_ms: int | None = None
    ) -> Usage:
        seen = await super().usage(company_id, now_ms=now_ms, at_ms=at_ms, window_ms=window_ms)
        answered, self._behind[company_id] = self._behind.get(company_id, seen), seen
        return answered


BROKEN: list[type[MemoryStore]] = [ChecksThenActs, SettlesInTwoSteps, AnswersFromBefore]


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_store_is_rejected(broken: type[DurableMemory], tmp_path: Path):
    judged = await verdicts(engine_of(broken), tmp_path, histories=HISTORIES, operations=OPERATIONS)
    assert any(not each.is_legal for each in judged)


async def test_a_database_that_does_not_lock_is_rejected(tmp_path: Path):
    need(ENGINES["postgres"])
    not_locked = engine_with(FAULTS[0])
    judged = await verdicts(not_locked, tmp_path, histories=HISTORIES, operations=OPERATIONS)
    assert any(not each.is_legal for each in judged)


# -- the judge itself ------------------------------------------------------------------------------------------------

RESERVE, SETTLE, USAGE = Operation("reserve", "h", 30), Operation("settle", "h", 4), Operation("usage")


def told(used: int, held: int, status: Status = Status.DONE) -> Answer:
    return Answer(status, used, held)


@pytest.mark.parametrize(
    ("calls", "is_legal"),
    [
        ([Call(RESERVE, 0, 1, told(0, 30)), Call(USAGE, 2, 3, told(0, 30))], True),
        ([Call(RESERVE, 0, 1, told(0, 30)), Call(USAGE, 2, 3, told(0, 0))], False),
        ([Call(RESERVE, 0, 3, told(0, 30)), Call(USAGE, 1, 2, told(0, 0))], True),
        ([Call(RESERVE, 0), Call(USAGE, 1, 2, told(0, 0)), Call(USAGE, 3, 4, told(0, 30))], True),
        ([Call(RESERVE, 0), Call(USAGE, 1, 2, told(0, 30)), Call(USAGE, 3, 4, told(0, 0))], False),
        ([Call(RESERVE, 0), Call(RESERVE, 1, 2, told(0, 30, Status.REPLAYED))], True),
        ([Call(RESERVE, 0), Call(RESERVE, 1, 2, told(0, 30)), Call(USAGE, 3, 4, told(0, 60))], False),
        ([Call(RESERVE, 0, 1, told(0, 30)), Call(SETTLE, 2), Call(USAGE, 3, 4, told(4, 30))], False),
        ([Call(Operation("reserve", "h", 401), 0, 1, told(0, 0, Status.OVER_LIMIT))], True),
        ([Call(Operation("reserve", "h", 401), 0, 1, told(0, 401))], False),
    ],
)
def test_the_judge_tells_what_can_have_happened_from_what_cannot(calls: list[Call], is_legal: bool):
    assert judge(calls, LIMIT).is_legal is is_legal


@pytest.mark.parametrize("between", [59, 60, 61, 62, 122])
def test_a_retry_long_after_a_call_that_never_took_effect_is_legal(between: int):
    """Once it was not: sixty-one calls apart, the search took the one for the other."""
    reads = [Call(USAGE, 2 * n, 2 * n + 1, told(0, 30)) for n in range(2, 2 + between)]
    last = 2 * (2 + between)
    calls = [Call(RESERVE, 0, 1, told(0, 30)), Call(SETTLE, 2), *reads, Call(SETTLE, last, last + 1, told(4, 0))]
    assert judge(calls, LIMIT).is_legal
    calls[-1] = calls[-1]._replace(answer=told(4, 30))
    assert not judge(calls, LIMIT).is_legal


async def test_an_answer_that_was_changed_afterwards_is_found(tmp_path: Path):
    (calls,) = await recorded(ENGINES["memory"], tmp_path, seeds=range(1), operations=OPERATIONS)
    number = next(n for n, call in enumerate(calls) if n > OPERATIONS // 2 and call.answer is not None)
    answer = calls[number].answer
    assert answer is not None
    calls[number] = calls[number]._replace(answer=answer._replace(used=answer.used + 1))
    assert not judge(calls, LIMIT).is_legal


async def test_a_history_has_unknowns_refusals_and_replays_in_it(tmp_path: Path):
    """Else it would say little."""
    (calls,) = await recorded(ENGINES["sqlite"], tmp_path, seeds=range(1), operations=DEEP_OPERATIONS)
    statuses = {call.answer.status for call in calls if call.answer is not None}
    assert {Status.DONE, Status.REPLAYED, Status.CONFLICT, Status.OVER_LIMIT, Status.NOT_FOUND} <= statuses
    assert sum(call.returned is None for call in calls) >= 10
