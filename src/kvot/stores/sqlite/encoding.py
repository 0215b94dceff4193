"""How the ledger's values stand in SQLite: ids as their shortest lossless form, words as small numbers.

The numbers are part of the file format: add to the end, never reorder.
"""

import re

from kvot.core.model import HoldState, Kind, Source

Key = str | bytes
"""An id as it is stored: the sixteen bytes of a canonical UUID, or the text of any other id."""

SOURCES = (Source.REPORTED, Source.ESTIMATED, Source.PARTIAL, Source.CORRECTED, Source.IMPORTED)
KINDS = (Kind.USAGE, Kind.SETTLEMENT, Kind.EXPIRY, Kind.CORRECTION)
HOLD_STATES = (HoldState.OPEN, HoldState.SETTLED, HoldState.RELEASED, HoldState.EXPIRED, HoldState.CHARGED)

SOURCE_NO = {source: number for number, source in enumerate(SOURCES)}
KIND_NO = {kind: number for number, kind in enumerate(KINDS)}
HOLD_STATE_NO = {state: number for number, state in enumerate(HOLD_STATES)}

_is_canonical_uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_UUID_LENGTH = 36


def to_key(text: str) -> Key:
    """Only a canonical UUID is shortened, since only it can be written back as it came."""
    if len(text) == _UUID_LENGTH and _is_canonical_uuid(text):
        return bytes.fromhex(text.replace("-", ""))
    return text


def from_key(key: Key) -> str:
    return from_guid(key) if isinstance(key, bytes) else key


def to_guid(company_id: str) -> bytes:
    return bytes.fromhex(company_id.replace("-", ""))


def from_guid(guid: bytes) -> str:
    digits = guid.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
