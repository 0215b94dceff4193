"""What every reply may carry: the outcome of a request that failed, in ServiceStack's shape."""

from kvot.contract.describe import Response


class ResponseError(Response):
    error_code: str
    field_name: str
    message: str
    meta: dict[str, str] | None = None


class ResponseStatus(Response, kw_only=True):
    error_code: str
    message: str
    stack_trace: str | None = None
    errors: list[ResponseError]
    meta: dict[str, str] | None = None


class ErrorResponse(Response):
    response_status: ResponseStatus
