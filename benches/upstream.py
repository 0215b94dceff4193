"""What does it cost to pass a call on to a provider, by each client that could do it, and beside nginx?

The passthrough (one process: an ASGI application on uvicorn, or nginx with one worker) has a core; the mock provider
and the load (wrk) share the other. All sides run in turn. CPU is what the passthrough's process took, all threads, user
and system together, from /proc: unlike calls per second it does not depend on the load's core.

Sketch: a bare ASGI reply costs 40 µs. A call on is another request written and reply read by llhttp, some 40 µs in
Python; aiohttp takes twice that; pyreqwest does it in Rust, in a thread of its own, for two hops between threads.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benches.load import CHUNKS, OTHERS_CORE, OURS_CORE, Ask, Figure, Side, load, nginx, ready, rss_mb, rss_of_streams
from benches.report import Ratio, ratio_of

SIDES = ("ours", "aiohttp", "pyreqwest", "nginx")
CONNECTIONS = (1, 16)
ROUNDS = 3
STREAMS = 1_000
UNREAD = 100
"""Streams whose clients do not read: fewer, since each fills some megabytes of the kernel's buffers first."""
PATH = "/v1/chat/completions"
_LONG = "x" * 10_000
_ASKS = {
    "plain": Ask(PATH, '{"model":"m","messages":[]}'),
    "stream": Ask(PATH, '{"model":"m","messages":[],"stream":true}'),
}


def measure() -> Iterator[Ratio]:
    """a call and a stream of 200 chunks passed on, at 1 and 16 connections; memory of 1,000 slow streams"""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        provider = stack.enter_context(ready("tests.provider", "--chunks", str(CHUNKS), core=OTHERS_CORE))
        sides = {name: stack.enter_context(_side(name, provider, folder)) for name in SIDES}
        for kind in _ASKS:
            for connections in CONNECTIONS:
                yield from _compare(kind, connections, folder, sides)
    for name in SIDES[:-1]:
        yield _slow_streams(name)


@contextmanager
def _side(name: str, provider: Side, folder: Path) -> Iterator[Side]:
    if name == "nginx":
        with nginx(provider, folder) as side:
            yield side
    else:
        with ready("benches.passthrough", name, provider.url, core=OURS_CORE) as side:
            yield side


def _compare(kind: str, connections: int, folder: Path, sides: dict[str, Side]) -> Iterator[Ratio]:
    figures: dict[str, list[Figure]] = {name: [] for name in sides}
    for number in range(ROUNDS + 1):
        for name, side in sides.items():
            figure = load(side, connections, _ASKS[kind], folder)
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


def _slow_streams(name: str) -> Ratio:
    """RSS with so many streams open: of a slow provider, and of one that never ends and whose clients do not read."""
    with ExitStack() as stack:
        provider = stack.enter_context(
            ready("tests.provider", "--delay-ms", "1000", "--chunks", "60", core=OTHERS_CORE)
        )
        side = stack.enter_context(ready("benches.passthrough", name, provider.url, core=OURS_CORE))
        empty = rss_mb(side.pid)
        slow = asyncio.run(rss_of_streams(side, STREAMS, _ASKS["stream"], settle_s=1))
    with ExitStack() as stack:
        provider = stack.enter_context(ready("tests.provider", "--fault", "endless", "--text", _LONG, core=OTHERS_CORE))
        side = stack.enter_context(ready("benches.passthrough", name, provider.url, core=OURS_CORE))
        unread = asyncio.run(rss_of_streams(side, UNREAD, _ASKS["stream"], settle_s=3))
    found = f"{name}: {slow:.0f} MB; {UNREAD} that nobody reads: {unread:.0f} MB"
    return Ratio(f"RSS, {STREAMS:,} slow streams / none", slow / empty, "< 250 MB", found, f"{empty:.0f} MB")
