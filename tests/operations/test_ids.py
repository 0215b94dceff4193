from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.store import TAG_DIGITS
from kvot.operations.ids import TAG_BYTES, is_gateways, new_gateway_id, new_id

WALL_NS = st.integers(0, (1 << 48) * 1_000_000 - 1)
RANDOM = st.binary(min_size=10, max_size=10)


def made(wall_ns: int, random: bytes) -> UUID:
    return UUID(new_id(lambda: wall_ns, lambda count: random[:count]))


@given(WALL_NS, RANDOM)
def test_an_id_is_a_uuid_of_version_7(wall_ns, random):
    assert (made(wall_ns, random).version, made(wall_ns, random).variant) == (7, RFC_4122)


@given(WALL_NS, RANDOM)
def test_an_id_is_written_as_uuids_are(wall_ns, random):
    assert str(made(wall_ns, random)) == new_id(lambda: wall_ns, lambda count: random[:count])


@given(WALL_NS, WALL_NS, RANDOM, RANDOM)
def test_ids_of_later_milliseconds_come_later(one_ns, other_ns, one, other):
    earlier_ns, later_ns = sorted((one_ns, other_ns))
    if earlier_ns // 1_000_000 < later_ns // 1_000_000:
        assert str(made(earlier_ns, one)) < str(made(later_ns, other))


def test_each_of_the_74_random_bits_is_another_id():
    draws = [bytes(10), *((1 << bit).to_bytes(10) for bit in range(80))]
    assert len({made(0, each) for each in draws}) == 1 + 74


def test_ids_of_one_millisecond_are_all_different():
    assert len({new_id(lambda: 0) for _ in range(10_000)}) == 10_000


def gateways(tag: bytes | None, random: bytes) -> str:
    return new_gateway_id(tag, lambda: 0, lambda count: random)


TAGS = st.binary(min_size=TAG_BYTES, max_size=TAG_BYTES)


@given(WALL_NS, RANDOM, TAGS)
def test_an_id_of_the_gateway_is_a_uuid_of_version_8_that_carries_its_tag(wall_ns, random, tag):
    made_id = new_gateway_id(tag, lambda: wall_ns, lambda count: random[:count])
    assert (UUID(made_id).version, UUID(made_id).variant, str(UUID(made_id))) == (8, RFC_4122, made_id)
    assert (is_gateways(made_id), made_id[-TAG_DIGITS:]) == (True, tag.hex())


def test_beside_the_tag_34_random_bits_are_left():
    draws = [bytes(5), *((1 << bit).to_bytes(5) for bit in range(40))]
    assert len({gateways(b"of it", each) for each in draws}) == 1 + 34


def test_without_a_tag_an_id_of_the_gateway_is_as_random_as_any():
    draws = [bytes(10), *((1 << bit).to_bytes(10) for bit in range(80))]
    assert len({gateways(None, each) for each in draws}) == 1 + 74


@pytest.mark.parametrize("other", [new_id(), new_gateway_id(None).upper(), new_gateway_id(None) + "0", "h", ""])
def test_no_other_id_is_taken_for_one_of_the_gateway(other):
    assert not is_gateways(other)
