"""Carries out calls of PyPI's client, in the interpreter that has it: a line of JSON in, what came of it a line out.

Runs beside `dtos.py`, the classes that the server generated.
"""

import dataclasses
import json
import sys
from datetime import date
from io import BytesIO

import dtos  # type: ignore[import-not-found]
import servicestack  # type: ignore[import-not-found]

NAMES = vars(servicestack) | vars(dtos) | {"BytesIO": BytesIO}


def come_of(given):
    client = servicestack.JsonServiceClient(given["url"])
    client.headers.update(given.get("headers", {}))
    client.bearer_token = given.get("bearer")
    try:
        return {"returned": shown(eval(given["call"], NAMES | {"client": client}))}
    except servicestack.WebServiceException as error:
        return {
            "raised": "WebServiceException",
            "status_code": error.status_code,
            "status_description": error.status_description,
            "response_status": shown(error.response_status),
        }
    except Exception as error:
        return {"raised": type(error).__name__, "text": str(error)}


def shown(value):
    """Members by name, and the class, so that a test sees what the client made of the answer."""
    if isinstance(value, list):
        return [shown(each) for each in value]
    if dataclasses.is_dataclass(value):
        members = {each.name: shown(getattr(value, each.name)) for each in dataclasses.fields(value)}
        return {"class": type(value).__name__, **members}
    return value.isoformat() if isinstance(value, date) else value


answers, sys.stdout = sys.stdout, sys.stderr  # the client logs to standard output
for line in sys.stdin:
    print(json.dumps(come_of(json.loads(line))), file=answers, flush=True)
