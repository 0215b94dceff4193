"""What is kept of a piece whose end has not come."""

from kvot.gateway.metering.unfinished import Unfinished


def test_all_of_it_within_the_bound():
    kept = Unfinished(10)
    kept.add(b"12345")
    kept.add(b"67890")
    assert (bool(kept), kept.take(), kept.forgotten_bytes) == (True, b"1234567890", 0)


def test_nothing_of_it_beyond_the_bound():
    kept = Unfinished(10)
    for _ in range(3):
        kept.add(b"12345")
    assert (bool(kept), kept.take(), kept.forgotten_bytes) == (True, b"", 15)


def test_of_what_is_beyond_the_bound_the_frame_stays():
    kept = Unfinished(1_000)
    for piece in (b'{"a":"', b"x" * 999, b"x" * 999, b'","b":1}'):
        kept.add(piece)
    assert (bool(kept), kept.take(), kept.forgotten_bytes, bool(kept)) == (True, b'{"a":"","b":1}', 2_012, False)


def test_what_was_not_taken_is_forgotten_once():
    kept = Unfinished(10)
    for piece in (b'{"a":1}', b'{"a":"12345678"'):
        kept.add(piece)
    kept.forget()
    assert (kept.forgotten_bytes, kept.take()) == (22, b"")


def test_the_next_one_is_kept_again():
    kept = Unfinished(10)
    kept.add(b"1" * 11)
    kept.take()
    assert not kept
    kept.add(b"12345")
    assert (kept.take(), kept.forgotten_bytes) == (b"12345", 11)
