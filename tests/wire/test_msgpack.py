"""MessagePack, with the names of JSON."""

from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract.describe import Instant
from kvot.contract.keys import ApiKeyInfo
from kvot.wire import msgpack
from kvot.wire.binding import struct_from
from kvot.wire.document import MEMBERS_MAX, Malformed
from kvot.wire.style import JsonCase, Style
from tests.wire.samples import RESPONSES, USAGE

pack = msgspec.msgpack.encode


@pytest.mark.parametrize(("case", "first"), [(JsonCase.CAMEL, "companyId"), (JsonCase.PASCAL, "CompanyId")])
def test_names_are_those_of_json(case, first):
    assert next(iter(msgspec.msgpack.decode(msgpack.write(USAGE, Style(case))))) == first


def test_a_moment_is_a_timestamp():
    key = ApiKeyInfo(id="k", roles=[], networks=[], created_at=Instant(978_307_200_001))
    written = msgspec.msgpack.decode(msgpack.write(key, Style()))
    assert written["createdAt"] == datetime(2001, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC)


@given(RESPONSES, st.sampled_from([Style(), Style(JsonCase.PASCAL)]))
def test_what_is_written_reads_as_itself(value, style):
    assert struct_from(type(value), msgpack.read(msgpack.write(value, style), MEMBERS_MAX)) == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xdd\xff\xff\xff\xff", "Input data was truncated."),
        (b"\xc1", "MessagePack data is malformed: invalid opcode '\\xc1' (byte 0)."),
        (pack({"a": 1}) + b"x", "MessagePack data is malformed: trailing characters (byte 4)."),
        (pack({1: 2}), "The name of a member is not text."),
        (pack({"a": [b"x"]}), "It holds bytes or an extension, which no member takes."),
        (pack({"a": msgspec.msgpack.Ext(5, b"x")}), "It holds bytes or an extension, which no member takes."),
        (b"\x91" * 65 + b"\xc0", "It nests more than 64 levels."),
        (b"\x91" * 500_000, "It nests more than 64 levels."),
        (b"\x91" * 524_289, "It has more than 524288 bytes."),
        (pack([0] * 10_001), "It has more than 10000 members."),
    ],
)
def test_a_broken_body_is_refused_with_the_reason(body, message):
    with pytest.raises(Malformed) as refused:
        msgpack.read(body, MEMBERS_MAX)
    assert str(refused.value) == message


@given(st.binary())
def test_no_body_does_more_than_be_refused(body):
    with suppress(Malformed):
        msgpack.read(body, MEMBERS_MAX)
