"""What every test shares: how hard Hypothesis tries, that Ctrl-C is heard, that logging is left as it was."""

import os
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# No deadline: on a shared core a slow moment is not a fault. In CI Hypothesis's own profile: the
# same examples every time.
settings.register_profile("desk", deadline=None, print_blob=True)
settings.register_profile("deep", deadline=None, print_blob=True, max_examples=5_000)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

# Who is started in the background by a shell ignores Ctrl-C, and so do all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logging_as_found() -> Iterator[None]:
    """Logging is set up once for a process, and loggers keep their stream for good: whoever does that in the tests'
    process hides from later ones what is logged."""
    yield
    was_set_up = structlog.is_configured()
    structlog.reset_defaults()
    assert not was_set_up, "this test set up logging for all that follow: let a process of its own do it, or tests.logs"
