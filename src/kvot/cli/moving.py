"""What `kvot backup`, `kvot restore` and `kvot copy` share: how far they are, and what they moved."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from kvot.cli import show
from kvot.cli.progress import Progress
from kvot.core.archive import Events, Holds, LedgerEnd, LedgerStart, Part, Source
from kvot.core.model import Hold, HoldState
from kvot.settings import Settings

DIFFERENCES_SHOWN_MAX = 20
"""Enough to see what is wrong; the exit code says that something is."""


class DueHolds:
    """How many tokens the holds have that ran out before now and that no write has closed yet.

    They are moved as they stand: open. No read sees them as held, before the move or after it.
    """

    def __init__(self, now_ms: int) -> None:
        self._now_ms = self._clock_ms = now_ms
        self.tokens = 0

    def add(self, part: Part) -> None:
        if isinstance(part, LedgerStart):
            self._clock_ms = max(part.clock_ms, self._now_ms)
        if isinstance(part, Holds):
            self.tokens += sum(kept.hold.amount for kept in part.holds if self._is_due(kept.hold))

    def _is_due(self, hold: Hold) -> bool:
        return hold.state is HoldState.OPEN and hold.expires_at_ms <= self._clock_ms


def counting(bar: Progress, due: DueHolds, place: Callable[[], int] | None = None) -> Callable[[Part], None]:
    """Tell the bar of every part: rows are events. `place` is how far all is; None: as many companies as ended."""
    ended = 0

    def on_part(part: Part) -> None:
        nonlocal ended
        due.add(part)
        if isinstance(part, Events):
            bar.advance(len(part.events))
        if isinstance(part, LedgerEnd):
            ended += 1
        bar.reach(ended if place is None else place())

    return on_part


def totals(ends: Iterable[LedgerEnd], due: DueHolds) -> dict[str, int]:
    """What was moved, as a document for programs."""
    ends = list(ends)
    return {
        "companies": len(ends),
        "events": sum(end.events for end in ends),
        "tokens": sum(end.tokens for end in ends),
        "holds": sum(end.holds for end in ends),
        "tokensHeld": sum(end.held for end in ends) - due.tokens,
    }


def print_totals(document: dict[str, Any]) -> None:
    show.lines(
        [
            ("companies", show.number(document["companies"])),
            ("events", show.number(document["events"])),
            ("tokens", show.number(document["tokens"])),
            ("holds", f"{show.number(document['holds'])}, with {show.number(document['tokensHeld'])} tokens held"),
        ]
    )


async def shown(differences: AsyncIterator[str]) -> int:
    """Print the differences; how many there are."""
    count = 0
    async for difference in differences:
        count += 1
        if count <= DIFFERENCES_SHOWN_MAX:
            print(show.bad(difference) if sys.stderr.isatty() else difference, file=sys.stderr)
    return count


async def audit_faults(source: Source) -> AsyncIterator[str]:
    if not await source.audit_holds():
        yield "The audit log was changed: a line does not follow from those before it."


def note_on_secret_kept(settings: Settings) -> None:
    """Said where keys leave a database."""
    where = f" ({place})" if (place := _place_of_secret(settings)) else ""
    show.note(f"The secret{where} is not in a backup. Keep it apart: without it no API key works any more.")


def note_on_secret_needed(settings: Settings, thing: str = "a backup", of: str = "was backed up") -> None:
    """Said where keys enter a database: whether its secret has still to be put there. Nobody made one for it.
    `thing`: what they come in; `of`: what was done to the database that they come from."""
    if place := _place_of_secret(settings):
        show.note(
            f"The secret is not in {thing}: API keys work only if {place} is the one that they were made under, which "
            "`kvot doctor` tells."
        )
        return
    path = settings.secret_path
    how = "set KVOT_SECRET to it" if path is None else f"copy its file to {path}, or set KVOT_SECRET to it"
    show.note(
        f"The secret is not in {thing}. Take that of the database which {of}: {how}. Without it no API key works any "
        "more."
    )


def _place_of_secret(settings: Settings) -> str | None:
    """Where the secret is, as far as the settings know; None where it is not there."""
    if settings.secret is not None:
        return "the value of KVOT_SECRET"
    path = settings.secret_path
    return str(path) if path is not None and path.exists() else None
