"""Processes of Kvot itself that end under load: what was acknowledged is there, and nothing is there twice."""

import pytest

from tests.postgres.server import PrivateServer, wait_until
from tests.reliability.clients import NOT_ANSWERED
from tests.reliability.fleet import START_TIMEOUT_S, WORKERS, Fleet
from tests.reliability.test_trouble import HEARD, prove_under_load
from tests.reliability.troubles import Trouble, kill_all, kill_worker, replace_all

CUT_OFF = HEARD | {NOT_ANSWERED}
"""A process takes its connections with it. Its clients repeat what they heard nothing of."""


async def test_workers_that_are_killed_are_started_again(fleet: Fleet, server: PrivateServer):
    before = set(fleet.workers())
    await prove_under_load(fleet, server, kill_worker, 3, CUT_OFF)
    wait_until(lambda: len(fleet.workers()) == WORKERS, START_TIMEOUT_S)
    assert 0 < len(before - set(fleet.workers())) <= 3


@pytest.mark.parametrize("trouble", [kill_all, replace_all])
async def test_a_server_that_ends_goes_on_where_it_was_when_it_is_started_again(
    pooled_fleet: Fleet, server: PrivateServer, trouble: Trouble
):
    before = set(pooled_fleet.workers())
    await prove_under_load(pooled_fleet, server, trouble, 1, CUT_OFF)
    assert before.isdisjoint(pooled_fleet.workers())
