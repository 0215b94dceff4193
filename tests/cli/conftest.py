import os

import pytest

from tests.cli.support import Kvot


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("KVOT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def kvot(tmp_path, capfd):
    return Kvot(tmp_path, capfd)
