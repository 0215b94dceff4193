"""What goes back to a client: status, headers, body."""

from typing import NamedTuple

import msgspec

from kvot.core.errors import KvotError
from kvot.http import errors
from kvot.wire.formats import FORMATS, Format
from kvot.wire.style import Style

Pairs = tuple[tuple[bytes, bytes], ...]

_VARY = (b"vary", b"Accept")
_TEXT = ((b"content-type", b"text/plain; charset=utf-8"),)
CLOSE = (b"connection", b"close")

_FORMAT_HEADERS: dict[str, Pairs] = {
    key: ((b"content-type", format_.content_type.encode()), _VARY) for key, format_ in FORMATS.items()
}


class Reply(NamedTuple):
    """`headers` lack the content length."""

    status: int
    headers: Pairs
    body: bytes


def of_response(response: msgspec.Struct, format_: Format, style: Style, status: int = 200) -> Reply:
    assert format_.write is not None
    return Reply(status, _FORMAT_HEADERS[format_.key], format_.write(response, style))


def of_error(error: KvotError, format_: Format, style: Style) -> Reply:
    reply = of_response(errors.to_wire(error), format_, style, errors.STATUSES[type(error)])
    seconds = errors.retry_after_s(error)
    if seconds is None:
        return reply
    return reply._replace(headers=(*reply.headers, (b"retry-after", b"%d" % seconds)))


def of_text(text: str, status: int = 200) -> Reply:
    return Reply(status, _TEXT, text.encode())


NOT_FOUND = of_text("404", 404)
"""No path of ours: the contract answers so in text, whatever the client accepts."""


def of_unforeseen(request_id: str, format_: Format, style: Style) -> Reply:
    return of_response(errors.unforeseen(request_id), format_, style, 500)
