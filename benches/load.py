"""Servers and loads for the benches of the gateway.

The side that is measured has a core, the provider and the load share the other. CPU is what its process took, all
threads, user and system together, from /proc: unlike calls per second it does not depend on the other core.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CHUNKS = 200
SECONDS = 2
OURS_CORE, OTHERS_CORE = "0", "1"
BOTH_CORES = f"{OURS_CORE},{OTHERS_CORE}"
NGINX_PORTS = {"kept": 18_098, "plain": 18_099}
_AT_ONCE = 100
_US = {"us": 1.0, "ms": 1e3, "s": 1e6}
_TICKS = os.sysconf("SC_CLK_TCK")

_NGINX = """worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream provider {{ server {provider};{upstream} }}
  server {{
    listen 127.0.0.1:{port};{server}
    location / {{ proxy_pass http://provider; }}
  }}
}}
"""
_NGINX_KEEPS = {
    "upstream": " keepalive 256; keepalive_requests 1000000000;",
    "server": ' proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;',
}


class Figure(NamedTuple):
    calls_per_s: float
    cpu_us: float  # of the side, a call
    median_us: float


class Side(NamedTuple):
    url: str
    pid: int


@contextmanager
def nginx(provider: Side, folder: Path, *, is_plain: bool = False) -> Iterator[Side]:
    """nginx as a reverse proxy with one worker, in front of a provider.

    It keeps its connections to the provider, as we do; or `is_plain`: nothing but `proxy_pass`, with which nginx 1.22
    opens one for each call.
    """
    name = "plain" if is_plain else "kept"
    port, folder = NGINX_PORTS[name], folder / name
    folder.mkdir(mode=0o755)
    keeps = dict.fromkeys(_NGINX_KEEPS, "") if is_plain else _NGINX_KEEPS
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, provider=provider.url.removeprefix("http://"), **keeps))
    command = ["taskset", "-c", OURS_CORE, "nginx", "-p", str(folder), "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            pid_file = folder / "nginx.pid"
            while not (pid_file.exists() and _worker(process.pid)):
                if process.poll() is not None:
                    raise SystemExit(f"nginx did not start: {(folder / 'error.log').read_text()}")
                time.sleep(0.05)
            yield Side(f"http://127.0.0.1:{port}", _worker(process.pid))
        finally:
            process.terminate()


def _worker(master: int) -> int:
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return int(children[0]) if children else 0


@contextmanager
def ready(module: str, *words: str, core: str) -> Iterator[Side]:
    command = ["taskset", "-c", core, sys.executable, "-m", module, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("ready "):
                raise SystemExit(f"{module} did not start: {line!r}")
            yield Side(line.split()[1], process.pid)
        finally:
            process.terminate()


class Ask(NamedTuple):
    """What the load asks of a side, again and again."""

    path: str
    body: str
    key: str = ""

    def script(self, folder: Path) -> Path:
        """For wrk."""
        lines = ['wrk.method = "POST"', f"wrk.body = '{self.body}'", 'wrk.headers["Content-Type"] = "application/json"']
        if self.key:
            lines.append(f'wrk.headers["Authorization"] = "Bearer {self.key}"')
        path = folder / f"{abs(hash(self))}.lua"
        path.write_text("\n".join(lines))
        return path


def load(side: Side, connections: int, ask: Ask, folder: Path, core: str = OTHERS_CORE) -> Figure:
    """One run of wrk. A reply that is not 2xx ends the bench."""
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency"]
    command += ["-s", str(ask.script(folder)), side.url + ask.path]
    before = _cpu_s(side.pid)
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spent_s = _cpu_s(side.pid) - before
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"the load met errors:\n{output}")
    calls, rate = _found(r"(\d+) requests in", output), _found(r"Requests/sec:\s+([\d.]+)", output)
    median = re.search(r"50%\s+([\d.]+)([mu]?s)\n", output)
    assert median is not None, output
    return Figure(rate, spent_s / calls * 1e6, float(median[1]) * _US[median[2]])


def _found(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found[1])


def _cpu_s(pid: int) -> float:
    """User and system time of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def rss_of_streams(side: Side, count: int, ask: Ask, settle_s: float) -> float:
    """RSS of a side in MB with so many streams open, each begun and then not read."""
    host, _, port = side.url.removeprefix("http://").partition(":")
    head = f"POST {ask.path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(ask.body)}\r\n"
    head += f"authorization: Bearer {ask.key}\r\n" if ask.key else ""

    async def begin() -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection(host, int(port), limit=1)
        writer.write(f"{head}\r\n{ask.body}".encode())
        await reader.readexactly(1)
        return writer

    writers = []
    for _ in range(count // _AT_ONCE):
        writers += await asyncio.gather(*(begin() for _ in range(_AT_ONCE)))
    await asyncio.sleep(settle_s)
    found = rss_mb(side.pid)
    for writer in writers:
        writer.close()
    return found


def rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1_024
