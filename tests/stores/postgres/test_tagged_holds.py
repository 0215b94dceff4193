"""Holds are found by their tags without a walk through all that a company ever had."""

import json
from collections.abc import Iterator
from typing import Any

import asyncpg

from kvot.core.model import NewEvent
from kvot.stores.postgres import PostgresStore
from kvot.stores.postgres.store import _TAGGED_HOLDS
from tests.conformance.scene import COMPANY, T0

HOLDS, LIMIT, TAGS, STEP_MS = 20_000, 1_000, 256, 60_000

# One a minute up to now, all of them settled. Their tags are numbers that come again and again.
_FILL = """INSERT INTO kvot.hold SELECT $1,
        lpad(to_hex(n), 8, '0') || '-0000-8000-8000-00' || lpad(to_hex(n % $2), 10, '0'),
        1, 60000, true, true, 0, at, at + 60000, 'settled', at, 1, '[1, "partial"]'
    FROM (SELECT n, $3::bigint - n::bigint * $4 AS at FROM generate_series(0, $5 - 1) n) made"""


def rows_read(node: dict[str, Any]) -> Iterator[int]:
    """By each node of a plan that reads holds."""
    if node.get("Relation Name") == "hold":
        yield node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    for inner in node.get("Plans", ()):
        yield from rows_read(inner)


async def plans_of(connection: asyncpg.Connection, sql: str, *values: Any) -> list[dict[str, Any]]:
    """Of a statement and of those in the functions that it calls, as they ran."""
    seen: list[str] = []
    for each in ("LOAD 'auto_explain'", *_EXPLAINED):
        await connection.execute(each)
    connection.add_log_listener(lambda _, message: seen.append(message.message))
    await connection.execute("SET client_min_messages = log")
    await connection.fetch(sql, *values)
    await connection.execute("RESET client_min_messages")
    return [json.loads(each.partition("plan:")[2])["Plan"] for each in seen if "plan:" in each]


_EXPLAINED = [
    f"SET auto_explain.{name}"
    for name in ("log_min_duration = 0", "log_nested_statements = on", "log_analyze = on", "log_format = json")
]


async def test_many_tags_are_looked_for_among_the_last_holds_alone(url: str, store: PostgresStore):
    await store.record(COMPANY, NewEvent("e", 1), now_ms=T0)
    tags, within_ms = [f"{number:010x}" for number in range(TAGS)], LIMIT * STEP_MS
    connection = await asyncpg.connect(url)
    await connection.execute(_FILL, COMPANY, TAGS, T0, STEP_MS, HOLDS)
    await connection.execute("ANALYZE kvot.hold")
    asked = (*store._question(COMPANY, T0), tags, within_ms, LIMIT)
    read = [rows for plan in await plans_of(connection, _TAGGED_HOLDS, *asked) for rows in rows_read(plan)]
    await connection.close()
    found = await store.tagged_holds(COMPANY, tags, within_ms=within_ms, limit=LIMIT, now_ms=T0)
    assert len(found) == LIMIT
    assert LIMIT <= sum(read) <= 2 * LIMIT
