"""What a test stands on: skipped on a desk that has none, and a failure in CI, which a missing server never shrinks."""

import os
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def needed(start: Callable[[], T]) -> T:
    """What was started. `start` raises ConnectionError, saying what is missing."""
    try:
        return start()
    except ConnectionError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
