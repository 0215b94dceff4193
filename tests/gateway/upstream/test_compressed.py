"""Unpacking: every cutting alike, within bounds, and nothing that is not whole."""

import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.upstream.compressed import PIECE_BYTES_MAX, RATIO_MAX, SMALL_BYTES, Unpacker, can_unpack
from kvot.gateway.upstream.port import UpstreamFailed, UpstreamPacked

PACKED: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"x-gzip": gzip.compress,
}


def unpack(encoding, *pieces):
    unpacker = Unpacker(encoding)
    data = b"".join(out for piece in pieces for out in unpacker.feed(piece))
    unpacker.finish()
    return data


@given(st.sampled_from(sorted(PACKED)), st.binary(max_size=500), st.lists(st.integers(0, 600), max_size=5))
def test_every_cutting_gives_the_same(encoding, data, cuts):
    packed = PACKED[encoding](data)
    edges = sorted({0, len(packed), *(min(cut, len(packed)) for cut in cuts)})
    assert unpack(encoding, *(packed[a:b] for a, b in pairwise(edges))) == data


def test_several_members_are_one_body():
    assert unpack(b"gzip", gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"


def test_a_piece_is_never_larger_than_its_bound():
    pieces = list(Unpacker(b"gzip").feed(gzip.compress(bytes(900_000))))
    assert max(map(len, pieces)) == PIECE_BYTES_MAX


def test_a_bomb_ends_at_its_bound():
    packed = gzip.compress(bytes(100_000_000))
    found: list[int] = []
    with pytest.raises(UpstreamFailed, match="bomb"):
        found.extend(map(len, Unpacker(b"gzip").feed(packed)))
    assert 0 < sum(found) <= max(SMALL_BYTES, RATIO_MAX * len(packed))


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"identity, gzip", b"\xff"])
def test_what_we_cannot_unpack_is_known(encoding):
    assert not can_unpack(encoding)


@pytest.mark.parametrize(
    ("encoding", "told"), [(b"br", "'br'"), (b"\xff\x00", r"'\xff\x00'"), (b"x" * 999, "'" + "x" * 63)]
)
def test_what_we_cannot_unpack_is_told_by_its_name_in_ascii(encoding: bytes, told: str):
    assert UpstreamPacked(encoding).encoding == told


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"no" + data, lambda data: data[:-8] + bytes(8)]
)
def test_what_is_not_whole_fails(damage):
    with pytest.raises(UpstreamFailed):
        unpack(b"gzip", damage(gzip.compress(b"some text that is long enough")))


def test_nothing_unpacks_to_nothing():
    assert unpack(b"gzip") == b""
