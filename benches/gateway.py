"""What does a metered, enforced, durable call cost, beside nginx as a plain proxy in front of the same provider?

Kvot (one worker, the embedded engine) and nginx (one worker) have a core in turn; the mock provider and wrk share the
other. The mock is the tests' own, behind both sides. It keeps what it has prepared for a request and then answers at
once: the harsher question, which leaves the proxies alone with their own work. With "each reply made anew" it reads
every request and makes its reply, as it does for any two that differ. "Bare" is a passthrough on the same server and
upstream without keys, holds and meters.

Sketch: a call is a durable POST (some 200 µs of a core), a call to the provider (another 100), a second commit that
mostly shares its flush with others, and 20 µs of metering: 350 to 450 µs, where nginx takes 35 and the mock 100. So 0.3
of nginx at 16 connections; alone two commits of some 250 µs and 300 µs of Python, 0.8 ms.

Found: the mock takes 13 µs and nginx 21 to 28, so that 0.3 of nginx leaves 85 to 160 µs a call, as much as the bare
passthrough alone takes; a call takes 340 to 520 µs, and 740 to 980 at one connection, where the passthrough has 200
and adds 0.27 ms. "A plain reverse proxy" can be read in two ways, so both are measured: nginx as somebody would set it
up who is after speed, and nginx with `proxy_pass` alone. See docs/internals/benches.md.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benches.load import (
    BOTH_CORES,
    CHUNKS,
    OTHERS_CORE,
    OURS_CORE,
    Ask,
    Figure,
    Side,
    load,
    nginx,
    ready,
    rss_mb,
    rss_of_streams,
)
from benches.report import Ratio, ratio_of

ROUNDS = 4
STREAMS = 1_000
COMPANY = "9f0c1d2e-0000-4000-8000-000000000003"
_PLAIN = (
    '{"model":"gpt-x","messages":[{"role":"user","content":"Say hello to everybody who reads this."}],"max_tokens":64}'
)
_STREAM = _PLAIN.replace('"max_tokens"', '"stream":true,"max_tokens"')
_PATH = "/v1/chat/completions"


def measure() -> Iterator[Ratio]:
    """a metered, enforced, durable call and stream beside nginx and a bare passthrough; memory of 1,000 slow streams"""
    with _sides() as sides:
        yield from _calls("replies kept", sides)
        yield from _alone_and_streams(sides)
    with _sides("--plans", "0") as sides:
        yield from _calls("each reply made anew", sides)
    yield from _alone_anywhere()
    yield _slow_streams()


class Sides(NamedTuple):
    """All in front of one provider. `key` is for Kvot."""

    folder: Path
    provider: Side
    key: str
    kvot: Side
    nginx: Side
    plain: Side  # nginx that opens a connection to the provider for each call
    bare: Side


@contextmanager
def _sides(*mock: str) -> Iterator[Sides]:
    """`mock`: further words for the mock provider."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        provider = stack.enter_context(ready("tests.provider", "--chunks", str(CHUNKS), *mock, core=OTHERS_CORE))
        key = _key(folder)
        kvot = stack.enter_context(_kvot(folder, provider))
        kept = stack.enter_context(nginx(provider, folder))
        plain = stack.enter_context(nginx(provider, folder, is_plain=True))
        bare = stack.enter_context(ready("benches.passthrough", "ours", provider.url, core=OURS_CORE))
        yield Sides(folder, provider, key, kvot, kept, plain, bare)


def _calls(mock: str, sides: Sides) -> Iterator[Ratio]:
    ours, theirs = Ask("/openai" + _PATH, _PLAIN, sides.key), Ask(_PATH, _PLAIN)
    kvot, kept, plain = _in_turn(16, sides.folder, (sides.kvot, ours), (sides.nginx, theirs), (sides.plain, theirs))
    question = f"call, 16 connections, the mock's {mock}: Kvot / nginx"
    yield _rate(f"{question} that keeps its connections to it", "≥ 0.30", kvot, kept)
    yield _rate(f"{question} with `proxy_pass` alone", "≥ 0.30", kvot, plain)


def _alone_and_streams(sides: Sides) -> Iterator[Ratio]:
    ours, theirs = Ask("/openai" + _PATH, _PLAIN, sides.key), Ask(_PATH, _PLAIN)
    kvot, without, bare = _in_turn(1, sides.folder, (sides.kvot, ours), (sides.provider, theirs), (sides.bare, theirs))
    yield _added("p50 at 1 connection, ms more than without, pinned apart", "≤ 0.8", kvot, without)
    yield _added("the same of the bare passthrough, without a hold and its flush", "–", bare, without)
    ours, theirs = ours._replace(body=_STREAM), theirs._replace(body=_STREAM)
    streams = _in_turn(16, sides.folder, (sides.kvot, ours), (sides.bare, theirs))
    yield _cpu(f"CPU of a stream of {CHUNKS} chunks: Kvot / bare", "≤ 2", *streams)


Figures = list[Figure]


def _alone_anywhere() -> Iterator[Ratio]:
    """Whoever takes one core from each of them makes every way between them wake the other core."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        provider = stack.enter_context(ready("tests.provider", core=BOTH_CORES))
        ours, theirs = Ask("/openai" + _PATH, _PLAIN, _key(folder)), Ask(_PATH, _PLAIN)
        kvot = stack.enter_context(_kvot(folder, provider, BOTH_CORES))
        figures = _in_turn(1, folder, (kvot, ours), (provider, theirs), core=BOTH_CORES)
        yield _added("p50 at 1 connection, ms more than without, nothing pinned to a core", "≤ 0.8", *figures)


def _in_turn(connections: int, folder: Path, *sides: tuple[Side, Ask], core: str = OTHERS_CORE) -> list[Figures]:
    figures: list[Figures] = [[] for _ in sides]
    for number in range(ROUNDS + 1):
        for (side, ask), kept in zip(sides, figures, strict=True):
            figure = load(side, connections, ask, folder, core)
            if number:  # the first round warms up
                kept.append(figure)
    return figures


def _rate(question: str, bound: str, ours: Figures, theirs: Figures) -> Ratio:
    ratio = ratio_of([each.calls_per_s for each in ours], [each.calls_per_s for each in theirs])
    return Ratio(question, ratio, bound, _words(ours), _words(theirs))


def _cpu(question: str, bound: str, ours: Figures, theirs: Figures) -> Ratio:
    ratio = ratio_of([each.cpu_us for each in ours], [each.cpu_us for each in theirs])
    return Ratio(question, ratio, bound, _words(ours), _words(theirs))


def _added(question: str, bound: str, ours: Figures, theirs: Figures) -> Ratio:
    mine, other = (min(each.median_us for each in figures) / 1e3 for figures in (ours, theirs))
    return Ratio(question, mine - other, bound, f"{mine:.2f} ms, {_words(ours)}", f"{other:.2f} ms")


def _words(figures: Figures) -> str:
    best = max(figures)
    return f"{best.calls_per_s:,.0f}/s, {min(each.cpu_us for each in figures):,.0f} µs of CPU"


def _slow_streams() -> Ratio:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        slow = ("--delay-ms", "1000", "--chunks", "60")
        provider = stack.enter_context(ready("tests.provider", *slow, core=OTHERS_CORE))
        ask = Ask("/openai" + _PATH, _STREAM, _key(folder))
        kvot = stack.enter_context(_kvot(folder, provider))
        empty = rss_mb(kvot.pid)
        full = asyncio.run(rss_of_streams(kvot, STREAMS, ask, settle_s=2))
    return Ratio(f"RSS in MB, {STREAMS:,} slow streams", full, "< 250", f"{full:.0f} MB", f"{empty:.0f} MB idle")


def _key(folder: Path) -> str:
    """A key of a company whose budget holds every call of the bench."""
    _cli(folder, "budget", "set", "--company", COMPANY, "--token-limit", "2000000000")
    return _cli(folder, "keys", "create", "--company", COMPANY).splitlines()[-1]


def _cli(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "kvot.cli", *words, "--database", f"sqlite:///{folder / 'kvot.db'}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _kvot(folder: Path, provider: Side, core: str = OURS_CORE) -> Iterator[Side]:
    command = ["taskset", "-c", core, sys.executable, "-m", "kvot.cli", "serve", "--port", "0"]
    command += ["--database", f"sqlite:///{folder / 'kvot.db'}"]
    environment = {"KVOT_OPENAI_BASE_URL": provider.url + "/v1", "KVOT_OPENAI_API_KEY": "sk-bench", "PATH": "/usr/bin"}
    environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, env=environment, **output) as process:  # type: ignore[call-overload]
        try:
            found = next(filter(None, (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stdout)), None)
            if found is None:
                raise SystemExit("kvot serve did not start")
            yield Side(found[0], process.pid)
        finally:
            process.terminate()
