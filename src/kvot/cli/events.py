"""`kvot events`."""

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from kvot.bootstrap import wall_ms
from kvot.cli import show
from kvot.cli.moments import parse_moment
from kvot.cli.options import NO_DATABASE_OPTIONS, DatabaseOptions, UsageError, company_guid
from kvot.cli.running import run
from kvot.contract.describe import Instant
from kvot.core.budget import Rules
from kvot.core.model import Event
from kvot.core.window import INSTANT_MAX
from kvot.stores.archives import open_source
from kvot.wire.scalars import shortest_date

LIMIT, LIMIT_MAX = 50, 10_000
"""So many are in memory at once, each with a receipt of up to 8 kB, mostly of half of one."""


def events(
    *,
    company: Annotated[str, Parameter(help="The company's GUID.")],
    since: Annotated[str | None, Parameter(help="Leave out what is earlier, UTC.")] = None,
    until: Annotated[str | None, Parameter(help="Leave out what is later, UTC.")] = None,
    limit: Annotated[int, Parameter(help=f"How many at most, up to {LIMIT_MAX:,}.")] = LIMIT,
    options: DatabaseOptions = NO_DATABASE_OPTIONS,
) -> None:
    """List the events of a company, the newest first: what was used, when, by whom, and as whose figure.

    With --json each has its receipt too, where its call went through the gateway: what the provider told of it beside
    the tokens, by which its bill can be checked. No prompt and no answer is in it.

    It reads the database itself, also while a server has it, and looks at every event of the company for it. For what
    comes after the last one that is listed, ask again with its time as --until; those of that very time come again.
    What is charged for a call that was sent and whose hold ran out is listed from that time on.

    For example:

    ```
    kvot events --company $COMPANY
    kvot events --company $COMPANY --since 2026-11-01 --until 2026-11-22T08:30
    ```
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise UsageError(f"--limit {limit}: must be from 1 to {LIMIT_MAX:,}.")
    company_id, first, last = company_guid(company), parse_moment("--since", since), parse_moment("--until", until)
    assert company_id is not None
    database = options.source_settings().database
    found = run(_latest(database, company_id, first, last, limit))
    if options.json:
        show.document({"results": [_document(event) for event in found]})
    elif not found:
        print("No events.")
    else:
        header = ("at", "tokens", "input", "cached", "output", "reasoning", "source", "provider", "model", "user", "id")
        show.table(header, [_row(event) for event in found], right=range(1, 6))


async def _latest(
    database: str, company_id: str, since: Instant | None, until: Instant | None, events_max: int
) -> list[Event]:
    source = await open_source(database, Rules())
    try:
        since_ms = 1 if since is None else since.ms
        until_ms = INSTANT_MAX if until is None else until.ms
        return await source.latest(
            company_id, since_ms=since_ms, until_ms=until_ms, events_max=events_max, now_ms=wall_ms()
        )
    finally:
        await source.close()


def _row(event: Event) -> tuple[str, ...]:
    detail = event.detail
    parts = (detail.input_tokens, detail.cached_tokens, detail.output_tokens, detail.reasoning_tokens)
    return (
        shortest_date(event.at_ms),  # to the millisecond, as --until takes it
        show.number(event.tokens),
        *("-" if part is None else show.number(part) for part in parts),
        event.source.value,
        detail.provider or "-",
        detail.model or "-",
        detail.user or "-",
        event.event_id,
    )


def _document(event: Event) -> dict[str, Any]:
    """Without what the event does not say."""
    detail = event.detail
    members = {
        "id": event.event_id,
        "at": Instant(event.at_ms),
        "tokens": event.tokens,
        "kind": event.kind.value,
        "source": event.source.value,
        "provider": detail.provider,
        "model": detail.model,
        "user": detail.user,
        "feature": detail.feature,
        "inputTokens": detail.input_tokens,
        "outputTokens": detail.output_tokens,
        "cachedTokens": detail.cached_tokens,
        "reasoningTokens": detail.reasoning_tokens,
        "corrects": event.ref,
        "reason": event.reason,
        "receipt": None if event.receipt is None else _as_json(event.receipt),
    }
    return {name: value for name, value in members.items() if value is not None}


def _as_json(receipt: str) -> object:
    """As it is kept. What is none, which somebody else must have written, as a text."""
    try:
        return msgspec.json.decode(receipt)
    except msgspec.DecodeError:
        return receipt
