"""`python -m kvot.cli` is `kvot`."""

import sys

from kvot.cli import main

sys.exit(main())
