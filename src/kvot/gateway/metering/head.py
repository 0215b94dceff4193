"""The short members of a document whose beginning alone is at hand: its figures may stand before something long.

vLLM tells the probabilities of a prompt behind the usage, and Ollama those of an answer behind its counts. What is read
begins where the document does, so no text can pass for a member, and no inner member for an outer one.
"""

import codecs
import re

from kvot.gateway.metering.thinned import IN_STRING, groups

HEAD_BYTES_MAX = 65_536
"""Of what is kept."""

MEMBER_BYTES_MAX = 4_096
"""A usage with all its details has some hundred bytes; content is of no use here."""

_BEGINNING = re.compile(rb"(?:%b)?\s*+\{" % codecs.BOM_UTF8)
_MEMBER = re.compile(
    rb'\s*+"%b"\s*+:\s*+(?:"%b"|[^"\[\]{},]++|[\[{]%b[\]}])\s*+,' % (IN_STRING, IN_STRING, groups(8)), re.DOTALL
)
"""Whole, and with another behind it. It never goes back, but once a level where one has no end: linear in time."""


def short_members(head: bytes) -> bytes:
    """Those of the outermost object, as they stand, each with its comma."""
    kept = bytearray()
    at = _BEGINNING.match(head)
    while at is not None and (at := _MEMBER.match(head, at.end())) is not None:
        length = at.end() - at.start()
        if length <= MEMBER_BYTES_MAX and len(kept) + length <= HEAD_BYTES_MAX:
            kept += at[0]
    return bytes(kept)
