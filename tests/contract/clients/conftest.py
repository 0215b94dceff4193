"""One server per casing and one process per client, for all tests; a company of its own for each test."""

import shutil
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract.clients.parts import Host, caller
from tests.metadata import tools

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    with Host(tmp_path_factory.mktemp("host"), "camel").running() as host:
        yield host


@pytest.fixture(scope="session")
def pascal_host(tmp_path_factory):
    with Host(tmp_path_factory.mktemp("pascal_host"), "pascal").running() as host:
        yield host


@pytest.fixture(scope="session")
def python_process(tmp_path_factory, host):
    folder = tmp_path_factory.mktemp("python")
    (folder / "dtos.py").write_text(host.classes("python"), encoding="utf-8")
    shutil.copy(HERE / "call_python.py", folder)
    with caller(tools.python(), "call_python.py", cwd=folder) as process:
        yield process


def npm(folder, host):
    (folder / "dtos.mjs").write_text(host.classes("mjs"), encoding="utf-8")
    shutil.copy(HERE / "call_npm.mjs", folder)
    (folder / "node_modules").symlink_to(tools.client_modules())
    return caller(tools.program("node"), "call_npm.mjs", cwd=folder)


@pytest.fixture(scope="session")
def npm_process(tmp_path_factory, host):
    with npm(tmp_path_factory.mktemp("npm"), host) as process:
        yield process


@pytest.fixture(scope="session")
def pascal_npm_process(tmp_path_factory, pascal_host):
    with npm(tmp_path_factory.mktemp("pascal_npm"), pascal_host) as process:
        yield process


@pytest.fixture
def company():
    """A company that no other test has touched."""
    return str(uuid4())


@pytest.fixture
def anonymous_python(python_process, host):
    return partial(python_process, url=host.url)


@pytest.fixture
def python(anonymous_python, host, company):
    """Calls of PyPI's client, by a user of the company."""
    return partial(anonymous_python, bearer=host.token(company))


@pytest.fixture(params=["JsonServiceClient", "JsonApiClient"])
def anonymous_npm(npm_process, host, request):
    return partial(npm_process, url=host.url, client=request.param)


@pytest.fixture
def npm_client(anonymous_npm, host, company):
    """Calls of npm's client, made in either way, by a user of the company."""
    return partial(anonymous_npm, bearer=host.token(company))


@pytest.fixture
def pascal_npm_client(pascal_npm_process, pascal_host, company):
    return partial(pascal_npm_process, url=pascal_host.url, bearer=pascal_host.token(company))
