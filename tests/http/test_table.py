"""Which operation a path means."""

import pytest

from kvot.contract import ROUTES
from kvot.contract.describe import Operation, Request, Route
from kvot.core.errors import InvalidRequest
from kvot.http.table import Table
from kvot.wire.formats import FORMATS, JSON


class Deep(Request):
    a: str | None = None
    b: str | None = None


DEEP = Operation(
    Deep, None, (Route("GET", "/deep/{A}/of/{B}", ""), Route("GET", "/deep/{A}/act", "")), api_verbs=frozenset({"GET"})
)
TABLE = Table((*ROUTES, DEEP))


def find(path):
    return TABLE.find(path, path.encode())


def test_every_route_of_the_contract_is_found_and_leads_to_its_operation():
    for operation in ROUTES:
        for route in operation.routes:
            match = find(route.path.replace("{Id}", "k"))
            assert match is not None
            assert match.endpoint.operation(route.verb) is operation


def test_every_operation_is_found_under_api():
    for operation in ROUTES:
        match = find(f"/api/{operation.name}")
        assert match is not None
        verbs = operation.api_verbs or {"GET", "POST", "ANYTHING"}
        assert all(match.endpoint.operation(verb) is operation for verb in verbs)


@pytest.mark.parametrize(
    ("path", "values", "format_"),
    [
        ("/deep/x/of/y", {"a": "x", "b": "y"}, None),
        ("/DEEP/X/OF/Y/", {"a": "X", "b": "Y"}, None),
        ("/deep/x%2Fz/of/%C3%A5%20b", {"a": "x/z", "b": "å b"}, None),
        ("/deep/x.json/of/y.jsv", {"a": "x.json", "b": "y"}, "jsv"),
        ("/deep/x/of/y.z", {"a": "x", "b": "y.z"}, None),
    ],
)
def test_variables_take_one_segment_each(path, values, format_):
    match = find(path)
    assert match is not None
    assert match.path_values == values
    assert (match.endpoint.format and match.endpoint.format.key) == format_


@pytest.mark.parametrize("path", ["/deep/x/of", "/deep/x/of/y/z", "/deep/x/or/y", "", "/", "//", "/deep//of/y/"])
def test_other_paths_are_not_found(path):
    found = find(path)
    assert found is None or "" in found.path_values.values()


@pytest.mark.parametrize("key", FORMATS)
def test_an_extension_after_a_literal_end_is_the_format_and_one_before_it_is_not(key):
    match = find(f"/deep/a.{key}/act.{key}")
    assert match is not None
    assert (match.path_values, match.endpoint.format) == ({"a": f"a.{key}"}, FORMATS[key])
    plain = find(f"/deep/a.{key}/act")
    assert plain is not None
    assert (plain.path_values, plain.endpoint.format) == ({"a": f"a.{key}"}, None)


def test_a_path_that_is_not_utf_8_is_refused():
    with pytest.raises(InvalidRequest) as refused:
        TABLE.find("/deep/x/of/?", b"/deep/x/of/%ff")
    assert refused.value.code == "SerializationException"  # as for a query


@pytest.mark.parametrize(
    ("path", "format_"),
    [
        ("/api/deeper", None),
        ("/api/deeper[]", None),
        ("/api/deeper.xml", "xml"),
        ("/xml/reply/deeper", "xml"),
        ("/JSV/OneWay/deeper", "jsv"),
    ],
)
def test_an_operation_that_does_not_exist_is_no_unknown_path(path, format_):
    match = find(path)
    assert match is not None
    assert not match.endpoint.operations
    assert (match.endpoint.format and match.endpoint.format.key) == format_


@pytest.mark.parametrize("path", ["/zzz/reply/deep", "/json/replies/deep", "/json/reply", "/api", "/apis/deep"])
def test_what_only_looks_like_a_predefined_path_is_unknown(path):
    assert find(path) is None


@pytest.mark.parametrize("name", ["Deep", "deep", "Deep[]"])
@pytest.mark.parametrize("key", ["json", "xml", "jsv", "csv", "jsonl", "msgpack", "html"])
def test_every_format_has_its_reply_and_oneway(key, name):
    for kind in ("reply", "oneway"):
        match = find(f"/{key}/{kind}/{name}")
        assert match is not None
        assert match.endpoint.operation("GET") is DEEP
        assert match.endpoint.format is FORMATS[key]
        assert match.endpoint.body_format is (JSON if key == "html" else FORMATS[key])
        assert (match.endpoint.is_oneway, match.endpoint.is_batch) == (kind == "oneway", name.endswith("[]"))
