"""multipart/form-data: the fields of a form, as text. Files are skipped: no operation takes one."""

import re
from collections.abc import Iterator

from kvot.wire.document import Malformed, text_of

PART_HEAD_BYTES_MAX = 2_048
"""Headers of one part: a name and a type."""

_BOUNDARY = re.compile(r'boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(r'[;\s]name=(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_FILE_NAME = re.compile(r"[;\s]filename\*?=", re.IGNORECASE)


def read(body: bytes, content_type: str, parts_max: int) -> list[tuple[str, str]]:
    """Names and values in the order they came."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise Malformed("The boundary of its parts is not stated.")
    fields = [_field(part) for part in _parts(body, (found[1] or found[2]).encode("latin-1"), parts_max)]
    return [field for field in fields if field is not None]


def _parts(body: bytes, boundary: bytes, parts_max: int) -> Iterator[bytes]:
    """What stands between the boundaries. RFC 2046: a boundary begins a line, and the last one ends with dashes."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, parts_max + 2)
    if len(pieces) > parts_max + 2:
        raise Malformed(f"It has more than {parts_max} parts.")
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return
        if not piece.startswith((b"\r\n", b" ", b"\t")):
            raise Malformed("A boundary does not end its line.")
        yield piece.partition(b"\r\n")[2]
    raise Malformed("The last boundary is missing.")


def _field(part: bytes) -> tuple[str, str] | None:
    head, blank_line, value = (b"\r\n" + part).partition(b"\r\n\r\n")
    if not blank_line or len(head) > PART_HEAD_BYTES_MAX:
        raise Malformed("The headers of a part do not end.")
    disposition = _disposition(text_of(head))
    name = _NAME.search(disposition)
    if name is None:
        raise Malformed("A part has no name.")
    return None if _FILE_NAME.search(disposition) else (name[1] or name[2] or "", text_of(value))


def _disposition(head: str) -> str:
    lines = (line.partition(":") for line in head.split("\r\n"))
    return next((value for name, _, value in lines if name.strip().lower() == "content-disposition"), "")
