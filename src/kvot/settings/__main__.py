import sys

from kvot.settings.page import reference_page

sys.stdout.write(reference_page())
