"""What every test shares: how hard Hypothesis tries, and that Ctrl-C is heard. Fixtures live beside the tests."""

import os
import signal

from hypothesis import settings

# No deadline: on a shared core a slow moment is not a fault. In CI Hypothesis's own profile: the
# same examples every time.
settings.register_profile("desk", deadline=None, print_blob=True)
settings.register_profile("deep", deadline=None, print_blob=True, max_examples=5_000)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

# Who is started in the background by a shell ignores Ctrl-C, and so do all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
