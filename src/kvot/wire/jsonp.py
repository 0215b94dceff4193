"""JSONP: JSON in the call of a function that the page which asked has. Off unless a host enables it.

Whoever may load a script may read it, so no cookie counts for such a request.
"""

import re

from kvot.core.errors import InvalidRequest
from kvot.wire import json
from kvot.wire.rows import Reply
from kvot.wire.style import Style

_CALLBACK = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,63}")


def callback_of(text: str) -> str:
    """The name of the function. Nothing that could be more than a name passes."""
    if not _CALLBACK.fullmatch(text):
        raise InvalidRequest("The callback must be the name of a function, of at most 64 characters.")
    return text


def write(reply: Reply, style: Style, callback: str = "callback") -> bytes:
    written = json.write(reply, style)
    # Two characters that end a line in older JavaScript but not in JSON.
    harmless = written.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return callback.encode() + b"(" + harmless + b")"
