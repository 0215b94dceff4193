"""HTML: a reply as a page for people, with links to the same reply in formats for programs. It is never read.

The page is whole in itself: no script, no image, and one style sheet that never changes, so that the policy sent with
it can name that sheet by its hash and forbid everything else.
"""

import hashlib
from base64 import b64encode
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec
from jinja2 import Environment, Template

from kvot.contract.describe import MemberType, members_of
from kvot.contract.status import ResponseStatus
from kvot.wire import json, jsv
from kvot.wire.document import Malformed
from kvot.wire.rows import Reply
from kvot.wire.scalars import utc
from kvot.wire.style import Style

STYLE_SHEET = """
:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e4e7eb); --paper: light-dark(#fff, #15181c);
  --soft: light-dark(#f3f5f7, #1f242a); --line: light-dark(#d5dae0, #363d46); --link: light-dark(#0b5cad, #7fb6f0); }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.25rem; } nav a { margin-right: 1rem; } a { color: var(--link); }
table { border-collapse: collapse; margin: 1rem 0; } caption { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem 1rem .35rem 0; text-align: left; vertical-align: top; }
td, pre { overflow-wrap: anywhere; white-space: pre-wrap; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem;
  font: .875rem/1.45 ui-monospace, monospace; }
form { max-width: 30rem; } label, input, button { display: block; font: inherit; margin: .5rem 0; }
input { width: 100%; padding: .4rem; } button { padding: .4rem 1rem; }
[role=alert] { border-left: 4px solid light-dark(#b3261e, #f2b8b5); padding-left: .75rem; }
"""


def policy(style_source: str) -> str:
    """The Content-Security-Policy of a page that holds one style sheet and nothing else that is loaded or run."""
    return f"default-src 'none'; style-src {style_source}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


POLICY = policy(f"'sha256-{b64encode(hashlib.sha256(STYLE_SHEET.encode()).digest()).decode()}'")
"""The Content-Security-Policy of every page made here."""

_TEMPLATES = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)


def template(body: str) -> Template:
    """A whole page around `body`, which is given `title`."""
    opening = '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{{ title }}</title>\n'
    head = f'<meta name="viewport" content="width=device-width">\n<style>{STYLE_SHEET}</style>\n</head>\n<body>\n'
    return _TEMPLATES.from_string(f"{opening}{head}<h1>{{{{ title }}}}</h1>\n{body}</body>\n</html>\n")


_PAGE = template(
    """{% if ways_on %}
<nav aria-label="Service">{% for name, address in ways_on %}<a href="{{ address }}">{{ name }}</a>{% endfor %}</nav>
{% endif %}
{% if links %}
<nav>{% for name, address in links %}<a href="{{ address }}">{{ name }}</a>{% endfor %}</nav>
{% endif %}
{% if fault %}
<p role="alert">{{ fault.message }}{% if reason %}<br>{{ reason }}{% endif %}</p>
{% endif %}
{% for caption, rows in tables %}
<table>
<caption>{{ caption }}</caption>
{% for name, text in rows %}
<tr><th scope="row">{{ name }}</th><td>{{ text }}</td></tr>
{% endfor %}
</table>
{% endfor %}
{% if json %}
<pre>{{ json }}</pre>
{% endif %}
"""
)

WAYS_ON = (("Operations", "/metadata"), ("Sign in or out", "/auth"))
"""What leads on from every page, whoever reads it: `/auth` says who is signed in, or asks to sign in."""


class Page(NamedTuple):
    """What a page says beside the reply. `operation` empty: it is none's. `at_ms` None: the moment is left out."""

    operation: str = ""
    at_ms: int | None = None
    links: tuple[tuple[str, str], ...] = ()


NO_PAGE = Page()


def write(reply: Reply, style: Style, page: Page = NO_PAGE) -> bytes:
    """A reply in a table and as JSON; one that failed as what is wrong, without JSON: there is nothing else in it."""
    responses = reply if isinstance(reply, list) else [reply]
    status = getattr(reply, "response_status", None)
    tables = [(type(each).__name__, _rows(each)) for each in responses] if status is None else _fault_tables(status)
    title = page.operation or ("Reply" if status is None else "Error")
    return _PAGE.render(
        title=title if page.at_ms is None else f"{title} Snapshot of {_moment(utc(page.at_ms))}",
        links=page.links,
        ways_on=() if WAYS_ON[0] in page.links else WAYS_ON,
        fault=status,
        reason="" if status is None else _reason(status),
        tables=tables,
        json=json.write(reply, replace(style, is_indented=True)).decode() if status is None else "",
    ).encode()


def _reason(status: ResponseStatus) -> str:
    """What is wrong with the first field, where the message, as the contract has it, does not say so itself."""
    said = status.errors[0].message if status.errors else ""
    return "" if said in status.message else said


def _fault_tables(status: ResponseStatus) -> list[tuple[str, list[tuple[str, str]]]]:
    """The code and what is told beside it, then each field that is wrong."""
    tables = [("Error", [("ErrorCode", status.error_code), *(status.meta or {}).items()])]
    if status.errors:
        tables.append(("Fields", [(each.field_name, f"{each.message} ({each.error_code})") for each in status.errors]))
    return tables


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _rows(response: msgspec.Struct) -> list[tuple[str, str]]:
    values = ((member, getattr(response, member.name)) for member in members_of(type(response)))
    return [(member.wire_name, _writer(member)(value)) for member, value in values if value is not None]


@cache
def _writer(member: MemberType) -> Any:
    return str if member.clr == "String" and not member.is_list else jsv.writer_of(member)


def read(body: bytes, members_max: int) -> Any:
    if body:
        raise Malformed("HTML cannot be read.")
