"""How the ledger's values stand in SQLite: ids as their shortest lossless form, words as small numbers.

The numbers are part of the file format: add to the end, never reorder.
"""

from binascii import unhexlify
from collections.abc import Sequence
from functools import lru_cache

from kvot.core.model import HoldState, Kind, Source

Key = str | bytes
"""An id as it is stored: the sixteen bytes of a canonical UUID, or the text of any other id."""

SOURCES = (Source.REPORTED, Source.ESTIMATED, Source.PARTIAL, Source.CORRECTED, Source.IMPORTED)
KINDS = (Kind.USAGE, Kind.SETTLEMENT, Kind.EXPIRY, Kind.CORRECTION)
HOLD_STATES = (HoldState.OPEN, HoldState.SETTLED, HoldState.RELEASED, HoldState.EXPIRED, HoldState.CHARGED)

SOURCE_NO = {source: number for number, source in enumerate(SOURCES)}
KIND_NO = {kind: number for number, kind in enumerate(KINDS)}
HOLD_STATE_NO = {state: number for number, state in enumerate(HOLD_STATES)}

_UUID_LENGTH, _UUID_BYTES = 36, 16


def to_key(text: str) -> Key:
    """Only a canonical UUID is shortened, since only it can be written back as it came.

    Without a regular expression: this runs once for every event, and takes half as long so.
    """
    if len(text) != _UUID_LENGTH or text[8:24:5] != "----":
        return text
    digits = text.replace("-", "")
    try:
        key = unhexlify(digits)
    except ValueError:
        return text
    return key if key.hex() == digits and len(key) == _UUID_BYTES else text


def to_keys(texts: Sequence[str]) -> Sequence[Key]:
    """What `to_key` makes of each."""
    return list(map(to_key, texts)) if _UUID_LENGTH in set(map(len, texts)) else texts


def from_key(key: Key) -> str:
    return from_guid(key) if isinstance(key, bytes) else key


@lru_cache(maxsize=4_096)
def to_guid(company_id: str) -> bytes:
    """Remembered, since every operation names its company and few are busy at a time."""
    return bytes.fromhex(company_id.replace("-", ""))


def from_guid(guid: bytes) -> str:
    digits = guid.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
