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


def test_the_next_one_is_kept_again():
    kept = Unfinished(10)
    kept.add(b"1" * 11)
    kept.take()
    assert not kept
    kept.add(b"12345")
    assert (kept.take(), kept.forgotten_bytes) == (b"12345", 11)
