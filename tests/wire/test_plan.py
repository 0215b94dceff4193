"""Plans: what is written in one go and what is put together say the same."""

from typing import Annotated

import pytest

from kvot.contract.describe import Guid, Int, Response, members_of
from kvot.wire.plan import Part, Plan, Writers

ZEROS = "00000000-0000-0000-0000-000000000000"


class Sample(Response, kw_only=True):
    id: Annotated[Guid, ()] = ZEROS
    count: Int
    text: str
    note: str | None = None


def plan(absent):
    dropped = {"id": ZEROS}
    parts = [Part(each, f"{each.name}=", str, "", absent, dropped.get(each.name)) for each in members_of(Sample)]
    return Plan("<", parts, "|", ">")


@pytest.mark.parametrize(
    ("values", "without", "marked"),
    [
        ({}, "<count=1|text=t>", "<?|count=1|text=t|?>"),
        ({"note": "n"}, "<count=1|text=t|note=n>", "<?|count=1|text=t|note=n>"),
        ({"id": "i"}, "<id=i|count=1|text=t>", "<id=i|count=1|text=t|?>"),
        ({"id": "i", "note": "n"}, "<id=i|count=1|text=t|note=n>", "<id=i|count=1|text=t|note=n>"),
    ],
)
def test_a_missing_member_is_left_out_or_marked(values, without, marked):
    sample = Sample(count=1, text="t", **values)
    assert plan(None).write(sample) == without
    assert plan("?").write(sample) == marked


@pytest.mark.parametrize("text", ["{value}", "'", '"', "\\", "\r\n", "{0}%s%", "'''", "{{"])
def test_no_text_means_anything_to_the_compiler(text):
    parts = [Part(each, text, str, text, text) for each in members_of(Sample) if each.name == "text"]
    assert Plan(text, parts, text, text).write(Sample(count=1, text=text)) == text * 5


def test_a_type_without_members_is_its_brackets():
    assert Plan("{", [], ",", "}").write(object()) == "{}"


def test_a_writer_is_made_once():
    made = []

    def make(type_):
        made.append(type_)
        return str

    writers = Writers(make)
    assert [writers[int](1), writers[int](2), made] == ["1", "2", [int]]
