"""What a process logs, seen from outside."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from kvot.telemetry import logs
from tests.logs import logging_to

SECRET = "what a client said"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, through the standard library or not, once it has been set up."""
    stream = io.StringIO()
    with logging_to(stream):
        yield stream


def failing(_: str) -> None:
    raise ValueError(SECRET)


def test_a_fault_that_a_library_logs_has_its_place_but_not_its_text(lines):
    try:
        failing(SECRET)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    line = json.loads(lines.getvalue())
    assert (line["event"], line["error"]) == ("Exception in ASGI application", "ValueError")
    assert line["at"][-1].endswith(" failing")
    assert SECRET not in lines.getvalue()


async def test_a_fault_that_nobody_waits_for_has_neither_text_nor_values(lines):
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.in_background)
    loop.call_soon(failing, SECRET)
    loop.call_exception_handler({"message": "Task was destroyed but it is pending!"})
    await asyncio.sleep(0)
    without, with_error = map(json.loads, lines.getvalue().splitlines())
    assert (without["event"], without["reason"]) == ("unforeseen error", "Task was destroyed but it is pending!")
    assert (with_error["error"], with_error["at"][-1].split()[-1]) == ("ValueError", "failing")
    assert SECRET not in lines.getvalue()


def test_logs_are_json_where_nobody_watches():
    script = (
        "import logging; from kvot.telemetry import logs; logs.configure();"
        "logs.logger('room').info('said', count=1); logging.getLogger('uvicorn.error').warning('heard')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment)
    ours, theirs = map(json.loads, result.stderr.splitlines())
    assert (ours["event"], ours["count"], ours["room"]) == ("said", 1, "room")
    assert (theirs["event"], theirs["level"]) == ("heard", "warning")


def test_a_log_that_cannot_be_written_fails_nothing():
    script = (
        "import os, sys; from kvot.telemetry import logs; logs.configure(); os.close(2);"
        "logs.logger('room').info('said'); sys.stderr = None"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", script], check=False, env=environment).returncode == 0
