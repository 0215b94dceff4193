"""Faults planted in the SQL, one at a time: the conformance suite must not let any pass.

Each changes a line of one function. The checks that are named must fail on it, those of locks on a crowd of stores;
on the functions as they are, all of them pass (test_crowd, and the suite itself).
"""

from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from kvot.core.budget import Rules
from kvot.stores.postgres import PostgresStore, Time
from tests.conformance.checks import LAYERS
from tests.conformance.conftest import ENGINES
from tests.conformance.scene import Engine, FullStore, Scene
from tests.postgres.databases import DATABASES

from .crowd import Crowd, sees_what_another_writes_meanwhile, wait_for_locks

CHECKS = {name: check for layer in LAYERS.values() for name, check in layer.items()}
CHECKS["what another transaction writes meanwhile is seen"] = sees_what_another_writes_meanwhile


class Fault(NamedTuple):
    name: str
    function: str
    right: str
    wrong: str
    caught_by: str
    of_a_crowd: bool = False
    takes_free: bool = False
    """Of a crowd that takes what is free; others wait for locks."""


LOCKED = "SELECT * INTO c FROM kvot.company WHERE company_id = p_company FOR UPDATE;"

FAULTS = [
    Fault(
        "the company is read and not locked",
        "take",
        LOCKED,
        "SELECT * INTO c FROM kvot.company WHERE company_id = p_company;",
        "what another transaction writes meanwhile is seen",
        of_a_crowd=True,
    ),
    Fault(
        "the company is read before it is locked",
        "take",
        LOCKED,
        "SELECT * INTO c FROM kvot.company WHERE company_id = p_company;"
        " PERFORM FROM kvot.company WHERE company_id = p_company FOR UPDATE;",
        "what another transaction writes meanwhile is seen",
        of_a_crowd=True,
    ),
    Fault(
        "the lock and what it protects are read in one statement",
        "take",
        LOCKED,
        "SELECT y.* INTO c FROM kvot.company x, LATERAL (SELECT z.* FROM kvot.company z"
        " WHERE z.company_id = x.company_id OFFSET 0) y WHERE x.company_id = p_company FOR UPDATE OF x;",
        "what another transaction writes meanwhile is seen",
        of_a_crowd=True,
    ),
    Fault(
        "a company that is free is read and not locked",
        "take_free",
        "FOR UPDATE SKIP LOCKED",
        "",
        "what another transaction writes meanwhile is seen",
        of_a_crowd=True,
        takes_free=True,
    ),
    Fault(
        "what fits exactly is refused",
        "do_reserve",
        "<= t.token_limit - t.held - h.amount",
        "< t.token_limit - t.held - h.amount",
        "test_of_many_who_want_the_last_unit_one_gets_it",
    ),
    Fault(
        "held tokens do not count",
        "do_reserve",
        "t.token_limit - t.held - h.amount",
        "t.token_limit - h.amount",
        "story: room for one",
    ),
    Fault(
        "a window that is NULL refuses nobody",
        "do_reserve",
        "IF kvot.since(t, window_start) <=",
        "IF coalesce(kvot.since(t, NULL), 0) <=",
        "test_a_refusal_says_how_long_to_wait_to_the_millisecond",
    ),
    Fault(
        "the window is closed on its left",
        "cum_at",
        "p.at <= at_ms",
        "p.at < at_ms",
        "window edges: in order, slots of 2^8 ms",
    ),
    Fault(
        "the sidecar is cut at the wrong slot",
        "late_between",
        "-((-first_ms) >> (8 * level + 8)) <<",
        "first_ms >> (8 * level + 8) <<",
        "window edges: ahead, slots of 2^16 ms",
    ),
    Fault(
        "a hold is due one millisecond late",
        "close_some",
        "d.expires_at <= t.clock",
        "d.expires_at < t.clock",
        "story: room that comes back at the instant of expiry",
    ),
    Fault(
        "the clock follows the caller's backward",
        "advance",
        "greatest(t.clock, now_ms)",
        "now_ms",
        "test_a_clock_that_goes_back_freezes_the_company",
    ),
    Fault(
        "the wait is one millisecond short",
        "fits_at",
        "RETURN first_ms;",
        "RETURN first_ms - 1;",
        "test_a_refusal_says_how_long_to_wait_to_the_millisecond",
    ),
    Fault(
        "an id with other content is a replay",
        "is_same",
        "(e.tokens, e.at_given, e.kind, e.source, e.label_set_no)",
        "(kept.tokens, e.at_given, e.kind, e.source, e.label_set_no)",
        "test_one_id_with_many_contents_is_taken_once",
    ),
    Fault(
        "a late settlement forgets earlier corrections",
        "correct_charge",
        "kvot.tokens_with_corrections(charge)",
        "charge.tokens",
        "test_settling_a_charge_that_was_corrected_meanwhile_comes_to_the_figure",
    ),
    Fault(
        "nobody is told who took a charge back",
        "take_back",
        "PERFORM kvot.note_change(t, p_actor,",
        "PERFORM (t, p_actor,",
        "test_taking_a_charge_back_leaves_a_line_of_whose_doing_it_is",
    ),
    Fault(
        "a charge is taken back by nobody in particular",
        "take_back",
        "IF t.status = 'done' AND p_actor IS NOT NULL THEN",
        "p_actor := coalesce(p_actor, 'somebody'); IF t.status = 'done' THEN",
        "test_what_nobody_decided_leaves_no_line",
    ),
    Fault(
        "pruning takes a slot too much",
        "sweep_piece",
        "AND e.event_id <= next\n        AND e.at <= floor_ms",
        "AND e.event_id <= next\n        AND e.at <= floor_ms + 1",
        "test_ids_are_forgotten_with_their_events_and_no_others",
    ),
]


def engine_with(fault: Fault) -> Engine:
    planted: set[str] = set()

    async def open_faulty(folder: Path, rules: Rules) -> FullStore:
        url = await DATABASES.url(folder)
        if url not in planted:
            await plant(url, fault)
            if fault.of_a_crowd and not fault.takes_free:
                await wait_for_locks(url)
            planted.add(url)
        return await Crowd.open(url, rules) if fault.of_a_crowd else PostgresStore.open(url, rules, time=Time.GIVEN)

    archive = ENGINES["postgres"].archive
    return Engine(
        open_faulty, is_durable=True, archive=archive
    )  # a database with a fault in it is never given to another test


async def plant(url: str, fault: Fault) -> None:
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'kvot'::regnamespace AND proname = $1"
        source: str = await connection.fetchval(query, fault.function)
        assert fault.right in source, f"{fault.function} no longer says {fault.right}"
        await connection.execute(source.replace(fault.right, fault.wrong))
    finally:
        await connection.close()


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
async def test_a_planted_fault_is_caught(fault: Fault, server: object, tmp_path: Path):
    scene = await Scene.open(engine_with(fault), tmp_path)
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            await CHECKS[fault.caught_by](scene)
    finally:
        await scene.close()
