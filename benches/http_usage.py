"""What does the exact answer cost over HTTP, against nginx answering the same bytes statically?

Server (Kvot with one worker, or nginx with one) and load (wrk) have a core each; all sides run in turn, under the same
load. Static is a file; nginx's `return 200`, which opens none and is no server of anything, is printed beside it.

Sketch: a bare ASGI reply of uvicorn is 0.37 of nginx. Ours adds finding the operation, proving the key (cached), one
SQLite statement and the reply: 20 to 25 µs on top of some 40. So 0.25 to 0.3; a durable record is two thread hops and a
share of a commit more.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benches.report import Ratio, in_turn, ratio_of

COMPANIES = {"1,000": "9f0c1d2e-0000-4000-8000-000000000001", "1,000,000": "9f0c1d2e-0000-4000-8000-000000000002"}
CONNECTIONS = 64
SECONDS = 3
ROUNDS = 4
SERVER_CORE, LOAD_CORE = "0", "1"
PATH = "/assistant/ai-chat/usage"
NGINX_PORT = 18_099

_POST = """wrk.method = "POST"
wrk.body = '{"tokensUsed":1}'
wrk.headers["Content-Type"] = "application/json"
"""

_NGINX = """worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} reuseport;
    root {folder}/static; default_type "application/json; charset=utf-8"; add_header Vary Accept; sendfile on;
    location = /returned {{ return 200 '{body}'; }}
  }}
}}
"""


def measure() -> Iterator[Ratio]:
    """GET usage and durable POST at 64 connections, one worker, against nginx on the same core"""
    _need("wrk", "nginx", "taskset")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        keys = {size: _filled(folder, company, int(size.replace(",", ""))) for size, company in COMPANIES.items()}
        url = stack.enter_context(_kvot(folder))
        body = _get(url + PATH, keys["1,000"])
        nginx = stack.enter_context(_nginx(folder, body))
        post = folder / "post.lua"
        post.write_text(_POST)
        sides = in_turn(
            ROUNDS,
            lambda: _load(url + PATH, keys["1,000"]),
            lambda: _load(url + PATH, keys["1,000,000"]),
            lambda: _load(nginx + PATH, keys["1,000"]),
            lambda: _load(nginx + "/returned", keys["1,000"]),
            lambda: _load(url + PATH, keys["1,000"], script=post),
        )
    few, many, static, returned, recorded = sides
    get, record = f"Kvot GET {max(few):,.0f}/s", f"Kvot POST {max(recorded):,.0f}/s"
    yield Ratio("GET usage / nginx static", ratio_of(few, static), "≥ 0.25", get, f"nginx {max(static):,.0f}/s")
    fastest = f"nginx {max(returned):,.0f}/s"
    yield Ratio("the same / nginx `return 200`", ratio_of(few, returned), "none set", get, fastest)
    yield Ratio("durable POST / GET usage", ratio_of(recorded, few), "≥ 0.4", record, get)
    cost = f"{max(many):,.0f}/s at 1,000,000"
    yield Ratio(
        "time of GET, 1,000,000 / 1,000 events", ratio_of(few, many), "≤ 1.3", cost, f"{max(few):,.0f}/s at 1,000"
    )


def _need(*programs: str) -> None:
    if missing := [name for name in programs if shutil.which(name) is None]:
        raise SystemExit(f"needs {', '.join(missing)}: apt-get install wrk nginx-light util-linux")


def _filled(folder: Path, company: str, events: int) -> str:
    """Import so many events for a company, spread over the last 29 days; an API key for it."""
    rows = folder / f"{events}.csv"
    start_ms = int(time.time() * 1000) - 29 * 86_400_000
    step_ms = 29 * 86_400_000 / events
    with rows.open("w") as file:
        file.write("id,at,tokens\n")
        file.writelines(f"{events}-{each},{start_ms + int(each * step_ms)},1\n" for each in range(events))
    _cli(folder, "import", str(rows), "--company", company, "--json")
    return _cli(folder, "keys", "create", "--company", company).splitlines()[-1]


def _cli(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "kvot.cli", *words, "--database", f"sqlite:///{folder / 'kvot.db'}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _kvot(folder: Path) -> Iterator[str]:
    command = ["taskset", "-c", SERVER_CORE, sys.executable, "-m", "kvot.cli", "serve", "--port", "0"]
    command += ["--database", f"sqlite:///{folder / 'kvot.db'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0]
                break
        process.terminate()


@contextmanager
def _nginx(folder: Path, body: str) -> Iterator[str]:
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=NGINX_PORT, body=body))
    page = Path(f"{folder}/static{PATH}")
    page.parent.mkdir(parents=True)
    page.write_text(body)
    command = ["taskset", "-c", SERVER_CORE, "nginx", "-p", str(folder), "-c", str(config)]
    url = f"http://127.0.0.1:{NGINX_PORT}"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        _await(url + PATH)
        yield url
        process.terminate()


def _await(url: str) -> None:
    for _ in range(100):
        if subprocess.run(["curl", "-sf", "-o", os.devnull, url], check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers at {url}")


def _get(url: str, key: str) -> str:
    command = ["curl", "-sf", "-H", f"x-api-key: {key}", url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _load(url: str, key: str, *, script: Path | None = None) -> float:
    """Requests per second; a reply that is not 2xx ends the bench."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-H", f"x-api-key: {key}"]
    command += ["-s", str(script)] if script else []
    output = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"the load met errors:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found is not None
    return float(found[1])
