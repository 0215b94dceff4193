"""The suite as data: every check by layer and name, for those who call it from a program instead of from pytest.

A check is a coroutine function of a scene. The script is no check but a game of its own: see `play_script`.
"""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from types import ModuleType

from tests.conformance import test_races
from tests.conformance.scene import Scene
from tests.conformance.sentences import (
    test_audit,
    test_budget,
    test_correct,
    test_keys,
    test_latest,
    test_lifecycle,
    test_prune,
    test_record,
    test_reports,
    test_reserve,
    test_settle,
    test_stored_replies,
    test_usage,
    test_wait,
)
from tests.conformance.tables import test_hold_life, test_window_edges

Check = Callable[[Scene], Awaitable[None]]

SENTENCES = (
    test_audit,
    test_budget,
    test_correct,
    test_keys,
    test_latest,
    test_lifecycle,
    test_prune,
    test_record,
    test_reports,
    test_reserve,
    test_settle,
    test_stored_replies,
    test_usage,
    test_wait,
)


def sentences_of(module: ModuleType) -> dict[str, Check]:
    """The tests of a module that need nothing but a scene, by name."""
    return {
        name: check
        for name, check in vars(module).items()
        if name.startswith("test_") and list(inspect.signature(check).parameters) == ["scene"]
    }


def tables() -> dict[str, Check]:
    stories = {f"story: {story}": partial(test_hold_life.play, story=story) for story in test_hold_life.STORIES}
    edges = {
        f"window edges: {arrival}, slots of 2^{shift} ms": partial(test_window_edges.play, arrival=arrival, shift=shift)
        for arrival, shift in test_window_edges.CASES
    }
    return {**stories, **edges, **sentences_of(test_window_edges)}


LAYERS: dict[str, dict[str, Check]] = {
    "sentences": {name: check for module in SENTENCES for name, check in sentences_of(module).items()},
    "tables": tables(),
    "races": sentences_of(test_races),
}
