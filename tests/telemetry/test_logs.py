"""What a process logs, seen from outside."""

import json
import os
import subprocess
import sys


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
