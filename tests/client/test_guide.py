"""docs/guides/client.md names only what is there."""

import re
from importlib import import_module
from pathlib import Path

import kvot.client
from kvot.client import replies

GUIDE = (Path(__file__).parents[2] / "docs/guides/client.md").read_text()
PYTHONS_OWN = {"TypeError", "RuntimeError"}


def test_what_the_guide_imports_is_there():
    imports = re.findall(r"^from (\S+) import (.+)$", GUIDE, re.MULTILINE)
    assert len(imports) > 1
    for module, names in imports:
        assert not set(names.split(", ")) - set(dir(import_module(module)))


def test_every_error_of_the_guide_and_of_a_reply_is_the_client_s_to_import():
    told = set(re.findall(r"`([A-Z]\w+)`", GUIDE.split("## Errors")[1])) - PYTHONS_OWN
    raised = {kind.__name__ for kind in replies._ERRORS.values()}
    assert raised <= told <= set(kvot.client.__all__)
