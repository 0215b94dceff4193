"""MessagePack, with the names of JSON. A moment is a timestamp of the format's own; a GUID is its text."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kvot.contract.describe import Instant
from kvot.wire import json
from kvot.wire.document import Malformed, TooDeep, check_bounds
from kvot.wire.rows import Reply
from kvot.wire.style import Style

BODY_BYTES_MAX = 524_288
"""One byte can stand for an object of 64, and all of them are made before they can be counted."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write(reply: Reply, style: Style) -> bytes:
    return _encode(reply if style.is_plain_json else json.document_of(reply, style))


def _timestamp(value: object) -> datetime:
    if isinstance(value, Instant):
        return _EPOCH + timedelta(milliseconds=value.ms)
    raise TypeError(f"{type(value).__name__} has no form in MessagePack")


_encode = msgspec.msgpack.Encoder(enc_hook=_timestamp).encode


def read(body: bytes, members_max: int) -> Any:
    """The document in a body. An empty body is None."""
    if not body:
        return None
    if len(body) > BODY_BYTES_MAX:
        raise Malformed(f"It has more than {BODY_BYTES_MAX} bytes.")
    try:
        document = msgspec.msgpack.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"{error}.") from None
    except RecursionError:
        raise TooDeep from None
    check_bounds(document, members_max)
    _refuse_repeated(body, document)
    return _as_in_json(document)


def _refuse_repeated(body: bytes, document: Any) -> None:
    """msgspec keeps the last of two members and does not tell; but a map begins with how many it has.

    As for JSON Lines, what is looked at is the document and the rows of a list, not what they hold.
    """
    if isinstance(document, dict) and _members_said(body) != len(document):
        raise Malformed("It has a member twice.")
    if isinstance(document, list):
        rows = msgspec.msgpack.decode(body, type=list[msgspec.Raw])
        for raw, row in zip(rows, document, strict=True):
            if isinstance(row, dict):
                _refuse_repeated(bytes(raw), row)


def _members_said(encoded_map: bytes) -> int:
    length_bytes = {0xDE: 2, 0xDF: 4}.get(encoded_map[0], 0)
    return int.from_bytes(encoded_map[1 : 1 + length_bytes]) if length_bytes else encoded_map[0] & 0x0F


def _as_in_json(value: Any) -> Any:
    """Only what JSON could have said as well. Its depth has been checked."""
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise Malformed("The name of a member is not text.")
        return {name: _as_in_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_in_json(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float):
        return value
    raise Malformed("It holds bytes or an extension, which no member takes.")
