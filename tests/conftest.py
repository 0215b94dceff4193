"""What every test shares: how hard Hypothesis tries. Fixtures live beside the tests that use them."""

import os

from hypothesis import settings

# No deadline: on a shared core a slow moment is not a fault. In CI Hypothesis's own profile: the
# same examples every time.
settings.register_profile("desk", deadline=None, print_blob=True)
settings.register_profile("deep", deadline=None, print_blob=True, max_examples=5_000)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
