"""An error as a problem (RFC 9457): only for a client whose `Accept` names `application/problem+json`.

A problem of a budget has the type that the draft of the RateLimit fields gives it, and names the policy that these
fields tell of. No other has a type of its own: its status and `errorCode` say what it is. What the other bodies say
beside their message stands here too, by the same names.
"""

from http import HTTPStatus
from typing import Any

import msgspec

from kvot.contract.status import ErrorResponse, ResponseStatus
from kvot.core.errors import BudgetExceeded, KvotError
from kvot.gateway.dialect import Limits, Pair, Refusal
from kvot.gateway.providers.refusals import budget_block
from kvot.http import errors
from kvot.http.errors import Meta
from kvot.wire.ratelimit import POLICY

CONTENT_TYPE = b"application/problem+json"
EXHAUSTED_TYPE = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_UNTYPED = "about:blank"
_EXHAUSTED_TITLE = "Request cannot be satisfied as assigned quota has been exceeded"


def of_error(error: KvotError, status: int, meta: Meta = None) -> bytes:
    response = errors.to_wire(error, meta)
    assert isinstance(response, ErrorResponse)
    return of_status(response.response_status, status, is_exhausted=isinstance(error, BudgetExceeded))


def of_status(said: ResponseStatus, status: int, *, is_exhausted: bool = False) -> bytes:
    document = _document(status, said.message, said.error_code, is_exhausted=is_exhausted)
    if said.errors:
        document["errors"] = [
            {"errorCode": each.error_code, "fieldName": each.field_name, "message": each.message}
            | ({} if each.meta is None else {"meta": each.meta})
            for each in said.errors
        ]
    if said.meta:
        document["meta"] = said.meta
    return msgspec.json.encode(document)


def of_exhausted_call(limits: Limits, message: str, status: int, request_id: str) -> bytes:
    """Of a call to a provider, whose other bodies tell the budget in a member `kvot`."""
    document = _document(status, message, BudgetExceeded.code, is_exhausted=True)
    document |= {"meta": request_meta(request_id), "kvot": budget_block(limits)}
    return msgspec.json.encode(document)


def request_meta(request_id: str) -> dict[str, str]:
    return {"RequestId": request_id}


def in_place_of(refusal: Refusal, body: bytes) -> Refusal:
    """The same refusal with a problem for a body; what else its headers say stays."""
    headers: tuple[Pair, ...] = tuple(pair for pair in refusal.headers if pair[0] != b"content-type")
    return refusal._replace(headers=((b"content-type", CONTENT_TYPE), *headers), body=body)


def _document(status: int, detail: str, code: str, *, is_exhausted: bool) -> dict[str, Any]:
    title = _EXHAUSTED_TITLE if is_exhausted else HTTPStatus(status).phrase
    violated = {"violated-policies": [POLICY]} if is_exhausted else {}
    kind = EXHAUSTED_TYPE if is_exhausted else _UNTYPED
    return {"type": kind, "title": title, "status": status, "detail": detail, "errorCode": code, **violated}
