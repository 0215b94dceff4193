"""Elements of an array that comes in pieces. The oracle is a parser that has the whole."""

import json
import random
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.metering.json_array import ElementReader

OBJECTS = [
    {"text": 'quoted: "usage" \\ }]', "more": [1, {"deep": [[{}]]}, "[{"]},
    {"text": "é€😀\u2028", "é": None},
    [{"nested": []}],
    {},
    {"\\": "\\\\", '"': '\\"'},
]
ARRAYS = [
    json.dumps(OBJECTS).encode(),
    json.dumps(OBJECTS, ensure_ascii=False, indent=1).replace("\n", "\r\n").encode(),
    b' [1, "a{", null,' + b", true ,".join(json.dumps(each).encode() for each in OBJECTS) + b', 2.5] {"after": 1}',
]


def elements_of(*pieces: bytes, element_bytes_max: int = 1_000) -> list[bytes]:
    reader = ElementReader(element_bytes_max)
    return [element for piece in pieces for element in reader.feed(piece)]


def values_of(*pieces: bytes) -> list[object]:
    return [json.loads(element) for element in elements_of(*pieces)]


@pytest.mark.parametrize("array", ARRAYS)
def test_every_single_cut_and_every_byte_alone_give_the_same_elements(array: bytes):
    assert values_of(array) == OBJECTS
    assert values_of(*(array[n : n + 1] for n in range(len(array)))) == OBJECTS
    for n in range(len(array)):
        assert values_of(array[:n], b"", array[n:]) == OBJECTS


@given(array=st.sampled_from(ARRAYS), cuts=st.lists(st.integers(0, 200)))
def test_any_cuts_give_the_same_elements(array: bytes, cuts: list[int]):
    places = [0, *sorted(cuts), len(array)]
    assert values_of(*(array[a:b] for a, b in pairwise(places))) == OBJECTS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(values=st.lists(json_values), ascii_only=st.booleans(), step=st.integers(1, 9))
def test_any_array_gives_its_objects_and_arrays(values: list[object], ascii_only: bool, step: int):
    array = json.dumps(values, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    pieces = [array[n : n + step] for n in range(0, len(array), step)]
    elements = elements_of(*pieces, element_bytes_max=len(array))
    found = [json.loads(element.decode("utf-8", "surrogatepass")) for element in elements]
    assert found == [value for value in values if isinstance(value, list | dict)]


@pytest.mark.parametrize(
    ("reply", "elements"),
    [
        (b'{"error": {}}', [b'{"error": {}}']),
        (b'\n{"error": {}} {"after": 1}', [b'{"error": {}}']),
        (b"[{}] [{}]", [b"{}"]),
        (b"[{}", [b"{}"]),
        (b"] [{}]", []),
        (b"", []),
        (b"null", []),
        (b'"[{}]"', []),
        (b"[{]]", [b"{]"]),  # whose it is not to judge
    ],
)
def test_what_is_no_proper_array(reply: bytes, elements: list[bytes]):
    assert elements_of(reply) == elements
    assert elements_of(*(reply[n : n + 1] for n in range(len(reply)))) == elements


@pytest.mark.parametrize("step", [1, 7, 100])
def test_an_element_over_the_bound_is_left_out_and_the_next_is_found(step: int):
    array = b'[{"a": "%s"}, {"b": 1}]' % (b"x" * 50)
    pieces = [array[n : n + step] for n in range(0, len(array), step)]
    assert elements_of(*pieces, element_bytes_max=20) == [b'{"b": 1}']


@pytest.mark.parametrize("step", [1, 7, 1_000, 100_000])
def test_of_an_element_over_the_bound_the_frame_is_read(step: int):
    array = b'[{"data": "%s", "usageMetadata": {"a": 1}}, {"b": 1}]' % (b"x" * 2_000)
    pieces = [array[n : n + step] for n in range(0, len(array), step)]
    assert elements_of(*pieces) == [b'{"data": "", "usageMetadata": {"a": 1}}', b'{"b": 1}']


@given(st.lists(st.binary(max_size=40) | st.text('[]{}"\\,a', max_size=40).map(str.encode)), st.integers(1, 5))
def test_any_bytes_are_read_alike_however_they_are_cut(pieces: list[bytes], step: int):
    whole = b"".join(pieces)
    stepwise = elements_of(*(whole[n : n + step] for n in range(0, len(whole), step)))
    assert elements_of(whole) == elements_of(*pieces) == stepwise


MEGABYTE = 1 << 20
CHANCE = random.Random(4)
HOSTILE = {
    "chance": CHANCE.randbytes(MEGABYTE),
    "chance of JSON": bytes(CHANCE.choices(b'[]{}"\\,a', k=MEGABYTE)),
    "brackets": b"[" * MEGABYTE,
    "quotes": b'[{"' + b'"' * MEGABYTE,
    "backslashes": b'[{"' + b"\\" * MEGABYTE,
    "an endless string": b'[{"' + b"a" * MEGABYTE,
    "many small strings": b"[{" + b'"a",' * (MEGABYTE // 4),
    "an endless element": b"[[" + b"[]," * (MEGABYTE // 3),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_anything_is_read_without_fault(name: str):
    elements = elements_of(*pieces_of(HOSTILE[name]), element_bytes_max=10_000)
    assert all(len(element) <= 10_000 for element in elements)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_more_is_kept_than_the_bound(name: str):
    reader = ElementReader(element_bytes_max=10_000)
    pieces = pieces_of(HOSTILE[name][:150_000])  # tracing is slow
    tracemalloc.start()
    try:
        for piece in pieces:
            reader.feed(piece)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 50_000


def pieces_of(data: bytes) -> list[bytes]:
    return [data[n : n + 1_400] for n in range(0, len(data), 1_400)]
