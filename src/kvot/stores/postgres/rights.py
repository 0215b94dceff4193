"""Which rights Kvot's user lacks of those that calls need.

A database can be there, migrated and writable, and yet each call fail for one of them. What only pruning, copying and
changes of keys need is not asked for: some withhold it on purpose.
"""

from kvot.core.errors import StoreUnavailable
from kvot.stores.postgres.pool import Pool

NEEDED = {
    "company": "SELECT INSERT UPDATE",
    "budget": "SELECT",
    "point": "SELECT INSERT UPDATE",
    "late": "SELECT INSERT UPDATE",
    "label_set": "SELECT INSERT",
    "event": "SELECT INSERT",
    "hold": "SELECT INSERT UPDATE",
    "rollup": "SELECT INSERT UPDATE",
    "stored_reply": "SELECT INSERT UPDATE DELETE",
    "api_key": "SELECT",
    "keys_version": "SELECT",
    "provider_key": "SELECT",
}
_PAIRS = [(f"kvot.{table}", right) for table, rights in NEEDED.items() for right in rights.split()]
_LACKING = """SELECT named, allowed FROM unnest($1::text[], $2::text[]) needed(named, allowed)
    WHERE NOT has_table_privilege(named, allowed)"""


async def need_rights(pool: Pool) -> None:
    """Raise StoreUnavailable, naming what is lacking."""
    lacking = await pool.run(_LACKING, *zip(*_PAIRS, strict=True))
    if lacking:
        what = ", ".join(f"{allowed} on {named}" for named, allowed in lacking)
        advice = "Grant it, or run Kvot as the schema's owner."
        raise StoreUnavailable.of(pool.address.shown, f"forbids Kvot's user {what}. {advice}")
