"""What does it cost to pass a call on to a provider, by each client that could do it, and beside nginx?

The passthrough (one process: an ASGI application on uvicorn, or nginx with one worker) has a core; the mock provider
and the load (wrk) share the other. All sides run in turn. CPU is what the passthrough's process took, all threads, user
and system together, from /proc: unlike calls per second it does not depend on the load's core.

Sketch: a bare ASGI reply costs 40 µs. A call on is another request written and reply read by llhttp, some 40 µs in
Python; aiohttp takes twice that; pyreqwest does it in Rust, in a thread of its own, for two hops between threads.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benches.report import Ratio, ratio_of

SIDES = ("ours", "aiohttp", "pyreqwest", "nginx")
CHUNKS = 200
CONNECTIONS = (1, 16)
SECONDS = 2
ROUNDS = 3
STREAMS = 1_000
AT_ONCE = 100
UNREAD = 100
"""Streams whose clients do not read: fewer, since each fills some megabytes of the kernel's buffers first."""
OURS_CORE, OTHERS_CORE = "0", "1"
NGINX_PORT = 18_098
PATH = "/v1/chat/completions"
_LONG = "x" * 10_000
_TICKS = os.sysconf("SC_CLK_TCK")

_BODIES = {"plain": '{"model":"m","messages":[]}', "stream": '{"model":"m","messages":[],"stream":true}'}
_POST = """wrk.method = "POST"
wrk.body = '{body}'
wrk.headers["Content-Type"] = "application/json"
"""
_NGINX = """worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream provider {{ server {provider}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass http://provider; }}
  }}
}}
"""


class Figure(NamedTuple):
    calls_per_s: float
    cpu_us: float


def measure() -> Iterator[Ratio]:
    """a call and a stream of 200 chunks passed on, at 1 and 16 connections; memory of 1,000 slow streams"""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        provider = stack.enter_context(_ready("tests.provider", "--chunks", str(CHUNKS), core=OTHERS_CORE))
        sides = {name: stack.enter_context(_side(name, provider, folder)) for name in SIDES}
        for kind, body in _BODIES.items():
            script = folder / f"{kind}.lua"
            script.write_text(_POST.format(body=body))
            for connections in CONNECTIONS:
                yield from _compare(kind, connections, script, sides)
    for name in SIDES[:-1]:
        yield _slow_streams(name)


def _compare(kind: str, connections: int, script: Path, sides: dict[str, "Side"]) -> Iterator[Ratio]:
    figures: dict[str, list[Figure]] = {name: [] for name in sides}
    for number in range(ROUNDS + 1):
        for name, side in sides.items():
            figure = _load(side, connections, script)
            if number:  # the first round warms up
                figures[name].append(figure)
    nginx = figures["nginx"]
    for name in SIDES[:-1]:
        ours, theirs = ([each.calls_per_s for each in figures[side]] for side in (name, "nginx"))
        bound = "none: bare" if name == "ours" else "none"
        yield Ratio(
            f"{kind}, {connections}: {name} / nginx",
            ratio_of(ours, theirs),
            bound,
            *map(_words, (figures[name], nginx)),
        )


def _words(figures: list[Figure]) -> str:
    best = max(figures)
    return f"{best.calls_per_s:,.0f}/s, {min(each.cpu_us for each in figures):.0f} µs of CPU"


class Side(NamedTuple):
    url: str
    pid: int


@contextmanager
def _side(name: str, provider: Side, folder: Path) -> Iterator[Side]:
    if name != "nginx":
        with _ready("benches.passthrough", name, provider.url, core=OURS_CORE) as side:
            yield side
        return
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=NGINX_PORT, provider=provider.url.removeprefix("http://")))
    command = ["taskset", "-c", OURS_CORE, "nginx", "-p", str(folder), "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        pid_file = folder / "nginx.pid"
        while not (pid_file.exists() and _worker(process.pid)):
            time.sleep(0.05)
        yield Side(f"http://127.0.0.1:{NGINX_PORT}", _worker(process.pid))
        process.terminate()


def _worker(master: int) -> int:
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return int(children[0]) if children else 0


@contextmanager
def _ready(module: str, *words: str, core: str) -> Iterator[Side]:
    command = ["taskset", "-c", core, sys.executable, "-m", module, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready "):
            raise SystemExit(f"{module} did not start: {line!r}")
        yield Side(line.split()[1], process.pid)
        process.terminate()


def _load(side: Side, connections: int, script: Path) -> Figure:
    command = ["taskset", "-c", OTHERS_CORE, "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script)]
    before = _cpu_s(side.pid)
    output = subprocess.run([*command, side.url + PATH], check=True, capture_output=True, text=True).stdout
    spent_s = _cpu_s(side.pid) - before
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"the load met errors:\n{output}")
    calls, rate = re.search(r"(\d+) requests in", output), re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert calls is not None
    assert rate is not None
    return Figure(float(rate[1]), spent_s / int(calls[1]) * 1e6)


def _cpu_s(pid: int) -> float:
    """User and system time of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _slow_streams(name: str) -> Ratio:
    """RSS with so many streams open: of a slow provider, and of one that never ends and whose clients do not read."""
    with ExitStack() as stack:
        provider = stack.enter_context(
            _ready("tests.provider", "--delay-ms", "1000", "--chunks", "60", core=OTHERS_CORE)
        )
        side = stack.enter_context(_ready("benches.passthrough", name, provider.url, core=OURS_CORE))
        empty = _rss_mb(side.pid)
        slow = asyncio.run(_rss_of_streams(side, STREAMS, settle_s=1))
    with ExitStack() as stack:
        provider = stack.enter_context(
            _ready("tests.provider", "--fault", "endless", "--text", _LONG, core=OTHERS_CORE)
        )
        side = stack.enter_context(_ready("benches.passthrough", name, provider.url, core=OURS_CORE))
        unread = asyncio.run(_rss_of_streams(side, UNREAD, settle_s=3))
    found = f"{name}: {slow:.0f} MB; {UNREAD} that nobody reads: {unread:.0f} MB"
    return Ratio(f"RSS, {STREAMS:,} slow streams / none", slow / empty, "< 250 MB", found, f"{empty:.0f} MB")


async def _rss_of_streams(side: Side, count: int, settle_s: float) -> float:
    host, _, port = side.url.removeprefix("http://").partition(":")
    body = _BODIES["stream"].encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n\r\n".encode()

    async def begin() -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection(host, int(port), limit=1)
        writer.write(head + body)
        await reader.readexactly(1)
        return writer

    writers = []
    for _ in range(count // AT_ONCE):
        writers += await asyncio.gather(*(begin() for _ in range(AT_ONCE)))
    await asyncio.sleep(settle_s)
    found = _rss_mb(side.pid)
    for writer in writers:
        writer.close()
    return found


def _rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1_024
