from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from kvot.operations.ids import new_id

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
