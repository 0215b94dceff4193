"""The reply to what came on a provider's path and never became a call: in the words of its API, under an id of ours."""

import secrets
from urllib.parse import parse_qsl

from kvot.core.errors import KvotError
from kvot.gateway.dialect import Dialect, Refusal

REQUEST_ID = b"x-kvot-request-id"

Query = dict[str, str]


def refused_call(dialect: Dialect, error: KvotError, status: int, verb: str, path: str, query: Query) -> Refusal:
    """`path` begins behind the provider's prefix."""
    request_id = new_request_id()
    refusal = dialect.failed(error, status, request_id)
    if (found := dialect.find(verb, path, query)) is not None:
        refusal = found.endpoint.framed(refusal)
    return refusal._replace(headers=(*refusal.headers, (REQUEST_ID, request_id.encode())))


def new_request_id() -> str:
    return f"req_{secrets.token_hex(12)}"


def read_query(query_string: bytes) -> Query:
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
