"""How every bench says what it found: machine and versions first, then ratios, each with both sides and its bound.

These machines are shared and noisy, so nothing is judged by one time: sides are run in turn, A B A B, and the ratio is
the median of the pairs.
"""

import os
import platform
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version


@dataclass(frozen=True, slots=True)
class Ratio:
    """What was asked, the median ratio, the bound that the design sets and both sides in words."""

    question: str
    ratio: float
    bound: str
    ours: str
    theirs: str

    def print(self) -> None:
        print(
            f"  {self.question}\n    {self.ratio:8.3f}   bound {self.bound}   ({self.ours}; {self.theirs})", flush=True
        )


def print_machine() -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in ("apsw", "msgspec", "uvicorn", "uvloop", "httptools"))
    print(f"{_cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    print(f"Python {platform.python_version()}, {packages}")
    print(f"command: python -m benches {' '.join(sys.argv[1:])}\n", flush=True)


def in_turn(rounds: int, *sides: Callable[[], float]) -> list[list[float]]:
    """Run every side once per round; the figures of each side, round by round. One round more warms up, uncounted."""
    figures: list[list[float]] = [[] for _ in sides]
    for number in range(rounds + 1):
        for side, kept in zip(sides, figures, strict=True):
            figure = side()
            if number:
                kept.append(figure)
    return figures


def ratio_of(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of the pairs."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
