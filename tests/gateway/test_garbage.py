"""What calls leave behind goes when they end: the collector of circles, which stops every call while it looks for
some, has nothing to do."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.gateway.calls import CALLS, ask


@contextmanager
def found_in_circles() -> Iterator[set[str]]:
    """Of our own classes, what only the collector could free."""
    found: set[str] = set()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found |= {type(each).__qualname__ for each in gc.garbage if type(each).__module__.startswith("kvot.")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_leaves_no_circle(scene, call: str):
    await ask(scene, call)  # what is kept for later calls is there
    with found_in_circles() as found:
        await ask(scene, call)
    assert found == set()
