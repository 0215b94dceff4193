"""The reply to what came on a provider's path and never became a call: in the words of its API, under an id of ours."""

import secrets
from typing import NamedTuple
from urllib.parse import parse_qsl

from kvot.core.errors import KvotError
from kvot.gateway.dialect import Dialect, Refusal
from kvot.http import problem
from kvot.http.replies import NO_STORE
from kvot.wire.negotiate import asks_for_problem

REQUEST_ID = b"x-kvot-request-id"

Query = dict[str, str]


class AskedFor(NamedTuple):
    """`path` begins behind the provider's prefix. `accept`: the header, if it came."""

    verb: str
    path: str
    query: Query
    accept: bytes | None


def refused_call(dialect: Dialect, error: KvotError, status: int, asked: AskedFor, request_id: str) -> Refusal:
    refusal = dialect.failed(error, status, request_id)
    if asks_for_problem(asked.accept):
        refusal = problem.in_place_of(refusal, problem.of_error(error, status, problem.request_meta(request_id)))
    elif (found := dialect.find(asked.verb, asked.path, asked.query)) is not None:
        refusal = found.endpoint.framed(refusal)
    return refusal._replace(headers=(*refusal.headers, (REQUEST_ID, request_id.encode()), NO_STORE))


def new_request_id() -> str:
    return f"req_{secrets.token_hex(12)}"


def read_query(query_string: bytes) -> Query:
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
