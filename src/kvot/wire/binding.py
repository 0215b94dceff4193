"""The request type of an operation, filled from what came: body, path, query, form.

Names match in any case, unknown ones are ignored, and so is an empty value. What a path, query or form holds must be
of its member's type: every field that is not is named, all of them at once. What a body holds may be wrong where the
contract skips it, unless the member says `refuse_malformed`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import msgspec

from kvot.contract.describe import MemberType, Operation, Request, Unreadable, members_of
from kvot.core.errors import FieldError, Forbidden, InvalidRequest
from kvot.wire import jsv, multipart
from kvot.wire.document import (
    EMPTY_ELEMENT,
    LIST_ITEMS_MAX,
    LIST_MEMBERS_MAX,
    MEMBERS_MAX,
    BrokenRow,
    Element,
    Malformed,
)
from kvot.wire.formats import BY_MEDIA_TYPE, JSON, JSV, Format
from kvot.wire.scalars import SCALARS, without_thousands

FIELDS_MAX = 1_000
"""Fields of one query or form. Our widest request has a dozen members."""

FIELDS_BYTES_MAX = 262_144
"""Bytes of one query or form. Decoding takes many times their memory; what is long comes in a body of another type."""

SHOWN_MAX = 100
"""Characters of a bad value that an error repeats."""

_HIDDEN = "***"
_MALFORMED = "SerializationException"
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_FORMS = frozenset({_FORM, _MULTIPART})

Fields = Mapping[str, str]
"""Text by lower-case name."""

NO_FIELDS: Fields = {}


class Sent(NamedTuple):
    """What came with a call, beside its operation. `body` is None for verbs that have none."""

    path: Fields = NO_FIELDS
    query: Fields = NO_FIELDS
    body: bytes | None = None
    content_type: str = ""


def read_fields(encoded: bytes) -> Fields:
    """A query or an URL-encoded form. The values of a repeated name are joined with a comma."""
    if len(encoded) > FIELDS_BYTES_MAX:
        raise InvalidRequest(f"The query or form has more than {FIELDS_BYTES_MAX} bytes.", code=_MALFORMED)
    if encoded.count(b"&") >= FIELDS_MAX:
        raise InvalidRequest(f"The query or form has more than {FIELDS_MAX} fields.", code=_MALFORMED)
    try:
        parted = [pair.partition("=") for pair in encoded.decode().split("&")]
        pairs = [(_decoded(name), _decoded(value)) for name, _, value in parted]
    except UnicodeDecodeError:
        raise InvalidRequest("The query or form is not UTF-8.", code=_MALFORMED) from None
    return _joined(pairs)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        fields[key] = f"{fields[key]},{value}" if key in fields else value
    return fields


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="strict")


def bind_route(operation: Operation, sent: Sent) -> Request:
    """For an operation's own paths: the body by its content type, then path, query and form overwrite."""
    media_type = _media_type(sent)
    filling = _Filling(operation.request)
    if sent.body and media_type not in _FORMS:
        filling.put_document(
            _document(operation, sent.body, _format_of_body(operation, media_type, sent.path)), operation
        )
    for fields in (sent.path, sent.query, _form(sent, media_type)):
        filling.put_fields(fields)
    return filling.request(operation)


def bind_api(operation: Operation, sent: Sent, format_: Format = JSON) -> Request:
    """For `/api/{Op}`: a form on top of the query; or the body, then the query where the body says nothing.

    The body is read as `format_` whatever its content type says, since clients send JSON as text. JSON Lines alone
    are believed where a list is expected.
    """
    media_type = _media_type(sent)
    filling = _Filling(operation.request)
    if not sent.body or media_type in _FORMS:
        filling.put_fields(sent.query)
        filling.put_fields(_form(sent, media_type))
        return filling.request(operation)
    if operation.list_member and media_type in BY_MEDIA_TYPE:
        format_ = BY_MEDIA_TYPE[media_type]
    filling.put_document(_document(operation, sent.body, format_), operation)
    filling.put_missing_fields(sent.query)
    return filling.request(operation)


def _media_type(sent: Sent) -> str:
    """The type of a body, without its parameters. Raises InvalidRequest for a body in other letters than ours."""
    media_type, _, parameters = sent.content_type.partition(";")
    if sent.body and (charset := _CHARSET.search(parameters)):
        name = charset[1].lower()
        if name not in _UTF_8 and not (name in _LIKE_ASCII and sent.body.isascii()):
            raise InvalidRequest(f"The charset '{name[:40]}' is not read: send UTF-8.", code=_MALFORMED)
    return media_type.strip().lower()


_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s"';]+)""", re.IGNORECASE)
_UTF_8 = frozenset({"utf-8", "utf8"})
_LIKE_ASCII = frozenset({"us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "latin1", "windows-1252"})
"""Charsets in which ASCII is ASCII. Old clients name one of them and send nothing else."""


def _form(sent: Sent, media_type: str) -> Fields:
    if not sent.body or media_type not in _FORMS:
        return NO_FIELDS
    if media_type == _FORM:
        if sent.body.lstrip().startswith(b"{"):  # a form that fills nothing in; curl -d says so of whatever it sends
            raise InvalidRequest(
                "A form cannot begin with '{'. For JSON say 'Content-Type: application/json'.", code=_MALFORMED
            )
        return read_fields(sent.body)
    try:
        return _joined(multipart.read(sent.body, sent.content_type, FIELDS_MAX))
    except Malformed as error:
        raise InvalidRequest(f"The form cannot be read.\nError: {error}", code=_MALFORMED) from None


def _format_of_body(operation: Operation, media_type: str, path: Fields) -> Format | None:
    """None for a type that we do not know: the contract then takes the body for empty. Where nothing is required but
    what the path says, an empty request would be carried out, which nobody meant who sent a body: there it is
    refused."""
    format_ = BY_MEDIA_TYPE.get(media_type) if media_type else JSON
    if format_ is None and not any(_is_required(each, path) for each in members_of(operation.request)):
        raise InvalidRequest(f"A body of the type '{media_type[:SHOWN_MAX]}' cannot be read.", code=_MALFORMED)
    return format_


def _is_required(member_type: MemberType, path: Fields) -> bool:
    """Of the body, or the query."""
    member = member_type.member
    return member is not None and member.is_required and member_type.wire_name.lower() not in path


def _document(operation: Operation, body: bytes, format_: Format | None) -> Any:
    if format_ is None:
        return None
    members_max = LIST_MEMBERS_MAX if operation.list_member else MEMBERS_MAX
    with _told_by(operation, format_):
        document = format_.read(body, members_max)
        if operation.list_member and (items := _listed(document, operation)) is not None:
            if len(items) > LIST_ITEMS_MAX:
                raise Malformed(f"It has more than {LIST_ITEMS_MAX} items.")
            return {operation.list_member.replace("_", ""): items}
        if format_.is_rows:
            document = _only_row(document)
        if document is None or isinstance(document, dict):
            return document
        raise Malformed("Expected '{'.")


@contextmanager
def _told_by(operation: Operation, format_: Format) -> Iterator[None]:
    """Say what is wrong with a body in the contract's words."""
    try:
        yield
    except Malformed as error:
        what = f"Could not deserialize '{format_.media_types[0]}' request using {operation.name}"
        raise InvalidRequest(f"{what}\nError: {error}", code=_MALFORMED) from None


def _listed(document: Any, operation: Operation) -> list[Any] | None:
    """The items of a document that is a list. An element is one unless it holds a member of the request."""
    if isinstance(document, Element) and not _by_name(operation.request).keys() & {name.lower() for name in document}:
        return document.items_in_order
    return document if isinstance(document, list) else None


def _only_row(rows: list[Any]) -> Any:
    if len(rows) > 1:
        raise Malformed(f"Expected one row, not {len(rows)}.")
    if rows and isinstance(rows[0], BrokenRow):
        raise Malformed(rows[0].why)
    return rows[0] if rows else None


def read_batch(operation: Operation, sent: Sent, format_: Format, items_max: int) -> list[Any]:
    """The documents of a batch, each to be bound by `bind_item`. No body is a batch of none."""
    if not sent.body:
        return []
    is_form = _media_type(sent) in _FORMS
    with _told_by(operation, format_):
        try:
            documents = format_.read(sent.body, LIST_MEMBERS_MAX)
        except Malformed:
            if is_form:  # asked only now, as some clients call every body a form
                raise Malformed(f"A form cannot hold a batch: send a list as {format_.media_types[0]}.") from None
            raise
        if isinstance(documents, Element):
            documents = documents.items_in_order
        if format_ is JSV and isinstance(documents, dict):  # its lists need no brackets, so this is one of one item
            documents = [documents]
        if not isinstance(documents, list):
            raise Malformed("Expected '['.")
        if len(documents) > items_max:
            raise Malformed(f"A batch has at most {items_max} items.")
        return documents


def bind_item(operation: Operation, document: Any, query: Fields, format_: Format) -> Request:
    """One request of a batch: what its document says, then the query where that says nothing."""
    with _told_by(operation, format_):
        if isinstance(document, BrokenRow):
            raise Malformed(document.why)
        if document is not None and not isinstance(document, dict):
            raise Malformed("An item of the batch is no object.")
    filling = _Filling(operation.request)
    filling.put_document(document, operation)
    filling.put_missing_fields(query)
    return filling.request(operation)


class _Filling:
    """The members of one request as they come together, and what is wrong with them."""

    def __init__(self, struct: type[Request]) -> None:
        self._struct = struct
        self._members = _by_name(struct)
        self._values: dict[str, Any] = {}
        self._faults: dict[str, FieldError] = {}

    def request(self, operation: Operation) -> Request:
        if self._faults:
            message = f"Unable to bind to request '{operation.name}'"
            raise InvalidRequest(message, code=_MALFORMED, fields=list(self._faults.values()))
        return self._struct(**self._values)

    def put_fields(self, fields: Fields) -> None:
        for name, text in fields.items():
            if text and (bound := self._members.get(name)):
                self._put_text(bound, text)

    def put_missing_fields(self, fields: Fields) -> None:
        """Only where the body left a member at its default."""
        for name, text in fields.items():
            bound = self._members.get(name)
            is_missing = bound and self._values.get(bound.name, bound.default) == bound.default
            if text and bound and (is_missing or bound.says_whose):
                self._put_text(bound, text)

    def put_document(self, document: Any, operation: Operation) -> None:
        said: dict[str, str] = {}
        repeated = document.repeated if isinstance(document, Element) else ()
        for name, value in (document or {}).items():
            bound = self._members.get(name) or self._members.get(name.lower())
            if bound and not _is_unsaid(bound, value):
                if said.setdefault(bound.name, name) != name or (name in repeated and not bound.is_container):
                    message = f"'{bound.wire_name}' is there twice"
                    self._faults[bound.name] = FieldError(bound.wire_name, _MALFORMED, message)
                self._put_value(bound, value, keep_unreadable=bound.name == operation.list_member)

    def _put_text(self, bound: "_Bound", text: str) -> None:
        try:
            self._put(bound, bound.from_text(text))
        except ValueError:
            self._faults[bound.name] = _fault(bound, text)

    def _put(self, bound: "_Bound", value: Any) -> None:
        if bound.says_whose and self._values.get(bound.name, value) != value:
            raise Forbidden(f"The request names two values for '{bound.wire_name}'.")
        self._values[bound.name] = value

    def _put_value(self, bound: "_Bound", value: Any, *, keep_unreadable: bool) -> None:
        try:
            self._put(bound, bound.from_value(value, keep_unreadable))
        except ValueError:
            if bound.refuse_malformed:
                self._faults[bound.name] = _fault(bound, value)


def _is_unsaid(bound: "_Bound", value: Any) -> bool:
    if value is None:
        return True
    return value == "" and bound.is_blank_when_empty and not (value is EMPTY_ELEMENT and bound.is_container)


def _fault(bound: "_Bound", value: object) -> FieldError:
    shown = _HIDDEN if bound.is_secret else _shown(value)
    return FieldError(bound.wire_name, _MALFORMED, f"'{shown}' is an Invalid value for '{bound.wire_name}'")


def _shown(value: object) -> str:
    """A bad value as an error repeats it. Nothing longer than the bound is ever made into text."""
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    if value is None:
        return "null"
    return (value if isinstance(value, str) else str(value))[:SHOWN_MAX]


class _Bound(NamedTuple):
    """How one member is filled. `is_blank_when_empty`: for it, empty text in a body means that nothing was said;
    `is_container`: a list or map, for which an empty element says that it is empty."""

    name: str
    wire_name: str
    default: Any
    is_blank_when_empty: bool
    is_container: bool
    refuse_malformed: bool
    says_whose: bool
    is_secret: bool
    from_text: Callable[[str], Any]
    from_value: Callable[[Any, bool], Any]


@cache
def _by_name(struct: type[msgspec.Struct]) -> dict[str, _Bound]:
    """By wire name in lower case, and by the two spellings that bodies really have."""
    named: dict[str, _Bound] = {}
    for member, field in zip(members_of(struct), msgspec.structs.fields(struct), strict=True):
        bound = _bound(member, field.default)
        for name in (
            member.wire_name,
            member.wire_name[0].lower() + member.wire_name[1:],
            member.wire_name.lower(),
        ):
            named[name] = bound
    return named


def _bound(member: MemberType, default: Any) -> _Bound:
    return _Bound(
        member.name,
        member.wire_name,
        default,
        member.is_list or member.clr != "String",
        member.is_list or member.clr == "dict",
        member.member is not None and member.member.refuse_malformed,
        member.member is not None and member.member.says_whose,
        member.member is not None and member.member.is_secret,
        _list_from_text(member) if member.is_list else _one_from_text(member),
        _list_from_value(member) if member.is_list else _one_from_value(member),
    )


def _one_from_text(member: MemberType) -> Callable[[str], Any]:
    if member.clr in SCALARS:
        return SCALARS[member.clr]
    from_value = _one_from_value(member)
    return lambda text: from_value(jsv.read_object(text), False)


def _list_from_text(member: MemberType) -> Callable[[str], Any]:
    from_value = _list_from_value(member)
    return lambda text: from_value(jsv.read_list(text), False)


def _one_from_value(member: MemberType) -> Callable[[Any, bool], Any]:
    if member.clr in SCALARS:
        return _scalar_from_value(
            member.clr, takes_fractions=member.member is None or not member.member.refuse_malformed
        )
    if issubclass(member.scalar, msgspec.Struct):
        return lambda value, keep_unreadable: struct_from(member.scalar, value, keep_unreadable=keep_unreadable)
    return lambda value, keep_unreadable: _map_from_value(value)


def _list_from_value(member: MemberType) -> Callable[[Any, bool], list[Any]]:
    one_from_value, from_text = _one_from_value(member), jsv.read_list

    def list_from_value(value: Any, keep_unreadable: bool) -> list[Any]:
        items = from_text(value) if isinstance(value, str) else value
        if isinstance(value, Element):
            items = value.items_in_order
        if not isinstance(items, list):
            raise ValueError(value)
        return [one_from_value(item, keep_unreadable) for item in items]

    return list_from_value


def _scalar_from_value(clr: str, *, takes_fractions: bool) -> Callable[[Any, bool], Any]:
    """takes_fractions: as a text. Of an id two that differ beyond the 17th digit would be one."""
    from_text = SCALARS[clr]
    is_number = clr in ("Int32", "Int64")

    def scalar_from_value(value: Any, keep_unreadable: bool) -> Any:
        if isinstance(value, str):
            return from_text(without_thousands(value) if is_number and "," in value else value)
        if isinstance(value, bool):
            return from_text("true" if value else "false")
        if isinstance(value, int):
            return from_text(str(value))
        if isinstance(value, float) and clr == "String" and takes_fractions:
            return repr(value)
        raise ValueError(value)

    return scalar_from_value


def _map_from_value(value: Any) -> dict[str, str]:
    if isinstance(value, Element):
        value = _map_from_entries(value.items_in_order)
    if isinstance(value, str):
        value = jsv.read_object(value) if value else {}
    if not isinstance(value, dict):
        raise ValueError(value)
    return {str(key): str(each) for key, each in value.items()}


def _map_from_entries(entries: list[Any]) -> dict[Any, Any]:
    """Elements have no map either: it comes as a list of keys and values."""
    try:
        return {entry["Key"]: entry["Value"] for entry in entries}
    except (KeyError, TypeError):
        raise ValueError("no map") from None


def struct_from(struct: type[msgspec.Struct], value: Any, *, keep_unreadable: bool = False) -> Any:
    """A value of a type of the contract from its document.

    keep_unreadable: a member that cannot be read holds `Unreadable`, and a value that is no document at all gives one
    whose first member does. Otherwise ValueError.
    """
    members = _by_name(struct)
    values: dict[str, Any] = {}
    if isinstance(value, str) and value.startswith("{"):
        value = _document_in_text(value, keep_unreadable)
    if not isinstance(value, dict):
        if not keep_unreadable:
            raise ValueError(value)
        why = value.why if isinstance(value, BrokenRow) else ""
        return struct(**{struct.__struct_fields__[0]: Unreadable(_shown(value), why)})
    for name, each in value.items():
        bound = members.get(name) or members.get(name.lower())
        if bound is None or _is_unsaid(bound, each):
            continue
        try:
            values[bound.name] = bound.from_value(each, False)
        except ValueError:
            if not keep_unreadable:
                raise
            values[bound.name] = Unreadable(_shown(each))
    return struct(**values)


def _document_in_text(text: str, keep_unreadable: bool) -> Any:
    try:
        return jsv.read_object(text)
    except Malformed:
        if keep_unreadable:
            return text
        raise
