"""From an answer and a fault to what goes over the wire, prepared once: a head, framed pieces, and how it ends."""

import zlib
from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from tests.provider.answer import Answer, Problem
from tests.provider.script import BOMB_BYTES, Fault, Script

HANG = {Fault.HANG, Fault.STALL}
LENGTH_OFF = {Fault.LENGTH_SHORT: -5, Fault.LENGTH_LONG: 5}
_INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
_REASONS = {200: b"OK", 307: b"Temporary Redirect", 400: b"Bad Request", 429: b"Too Many Requests"}


class End(Enum):
    """What becomes of the connection after the last piece."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()
    HANG = auto()


class Plan(NamedTuple):
    """`repeats`: sent again and again after the pieces. `body`: what the pieces say, neither framed nor compressed."""

    head: bytes
    pieces: Sequence[bytes]
    end: End = End.KEEP
    repeats: bytes | None = None
    body: bytes = b""


def plan(answer: Answer | Problem, script: Script) -> Plan:
    if isinstance(answer, Problem):
        return _framed(answer.content_type, [answer.body], script, status=answer.status)
    fault = script.fault
    if fault is Fault.DROP_BEFORE_HEAD:
        return Plan(b"", [], End.CLOSE)
    if fault is Fault.HANG:
        return Plan(b"", [], End.HANG)
    if fault is Fault.REDIRECT:
        return _framed(answer.content_type, [b"{}"], script, status=307, headers=[("location", "/elsewhere")])
    if fault is Fault.ENDLESS:
        return _endless(answer, script)
    if fault is Fault.NO_END:
        made = _framed(answer.content_type, answer.pieces, script, is_stream=True)
        return made._replace(pieces=made.pieces[:-1], end=End.HANG)
    if fault in {Fault.DROP_AFTER_BYTES, Fault.RESET, Fault.DROP_BEFORE_USAGE, Fault.STALL}:
        return _cut(answer, script)
    spoilt = _spoilt(answer, fault)
    pieces, encoding = _encoded(spoilt, fault)
    headers = [("content-encoding", encoding)] if encoding else []
    made = _framed(answer.content_type, pieces, script, is_stream=answer.is_stream, headers=headers)
    head = _INTERIM + made.head if fault is Fault.INTERIM else made.head
    return made._replace(head=head, body=b"".join(spoilt))


def _spoilt(answer: Answer, fault: Fault) -> Sequence[bytes]:
    """The pieces with what a fault does to their content or their cutting."""
    pieces = answer.pieces
    middle = (answer.usage_at + 1) // 2  # the same, whether the usage was asked for or not
    match fault:
        case Fault.MALFORMED if answer.is_stream:
            return [*pieces[:middle], answer.broken, *pieces[middle + 1 :]]
        case Fault.MALFORMED:
            return [pieces[0][: len(pieces[0]) // 2]]
        case Fault.ERROR_INSIDE:
            return [*pieces[:middle], answer.error]
        case Fault.ERROR_ALONE:
            return [answer.error_alone or answer.error]
        case Fault.CR:
            return [piece.replace(b"\n", b"\r") for piece in pieces]
        case Fault.CRLF:
            return [piece.replace(b"\n", b"\r\n") for piece in pieces]
        case Fault.BYTE_BY_BYTE:
            return [bytes([byte]) for byte in b"".join(pieces)]
        case Fault.SPLIT_UTF8:
            return _split_characters(b"".join(pieces))
    return pieces


def _split_characters(body: bytes) -> list[bytes]:
    """Cut behind the first byte of every character that has more than one."""
    cuts = [place + 1 for place, byte in enumerate(body) if byte >= 0xC0]
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def _encoded(pieces: Sequence[bytes], fault: Fault) -> tuple[Sequence[bytes], str | None]:
    """Each piece can be decompressed as it comes, as a server that flushes sends it."""
    if fault not in {Fault.GZIP, Fault.DEFLATE, Fault.BOMB}:
        return pieces, None
    packer = zlib.compressobj(wbits=15 if fault is Fault.DEFLATE else 31)
    if fault is Fault.BOMB:
        zeros = bytes(1_000_000)
        pieces = [packer.compress(zeros) for _ in range(BOMB_BYTES // len(zeros))]
        return [b"".join(pieces) + packer.flush()], "gzip"
    packed = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return [*packed, packer.flush()], "deflate" if fault is Fault.DEFLATE else "gzip"


def _framed(
    content_type: bytes,
    pieces: Sequence[bytes],
    script: Script,
    *,
    is_stream: bool = False,
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (),
) -> Plan:
    """With a declared length if plain or the length lies, chunked otherwise."""
    fault = script.fault
    body = b"".join(pieces)
    end = End.CLOSE if fault in LENGTH_OFF or fault is Fault.UNTIL_CLOSE else End.KEEP
    lines = [*script.headers, *headers, *_many(fault)]
    if fault is Fault.UNTIL_CLOSE:
        return Plan(_head(status, content_type, lines), pieces, end, body=body)
    if fault in LENGTH_OFF or (not is_stream and fault is not Fault.BROKEN_FRAMES):
        length = len(body) + LENGTH_OFF.get(fault, 0)
        return Plan(_head(status, content_type, [*lines, ("content-length", str(length))]), pieces, end, body=body)
    framed = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
    if fault is Fault.BROKEN_FRAMES:
        framed.insert(len(framed) // 2, b"no number\r\n")
    framed.append(b"0\r\n\r\n")
    head = _head(status, content_type, [*lines, ("transfer-encoding", "chunked")])
    return Plan(head, framed, end, body=body)


def _cut(answer: Answer, script: Script) -> Plan:
    """A reply that stops on its way: all of its head, a part of its body, nothing that ends it."""
    fault = script.fault
    whole = _framed(answer.content_type, answer.pieces, script, is_stream=answer.is_stream)
    end = {Fault.RESET: End.RESET, Fault.STALL: End.HANG}.get(fault, End.CLOSE)
    if fault is Fault.DROP_BEFORE_USAGE and answer.is_stream:
        return Plan(whole.head, whole.pieces[: answer.usage_at], end, body=b"".join(answer.pieces[: answer.usage_at]))
    body = b"".join(answer.pieces)
    after = script.after_bytes if fault in {Fault.DROP_AFTER_BYTES, Fault.RESET} else len(body) // 2
    kept = body[:after]
    framed = b"%x\r\n%b\r\n" % (len(kept), kept) if answer.is_stream else kept
    return Plan(whole.head, [framed] if kept else [], end, body=kept)


def _endless(answer: Answer, script: Script) -> Plan:
    """The text again and again; a plain body is followed by white space for ever."""
    again = answer.pieces[answer.content_at] if answer.is_stream else b" " * 1_024
    first = answer.pieces[: answer.content_at] if answer.is_stream else answer.pieces
    framed = _framed(answer.content_type, first, script, is_stream=True)
    return Plan(framed.head, framed.pieces[:-1], End.KEEP, b"%x\r\n%b\r\n" % (len(again), again))


def _many(fault: Fault) -> list[tuple[str, str]]:
    if fault is Fault.MANY_HEADERS:
        return [(f"x-{number}", "1") for number in range(10_000)]
    return [("x-huge", "1" * 2_000_000)] if fault is Fault.HUGE_HEADER else []


def _head(status: int, content_type: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers)
    reason = _REASONS.get(status, b"Told So")
    return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%b\r\n" % (status, reason, content_type, lines)
