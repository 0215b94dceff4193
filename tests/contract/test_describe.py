"""What items of a list keep of values that could not be read."""

from kvot.contract.describe import Instant, Unreadable, unreadable_member
from kvot.contract.keeping import AiChatUsageEvent


def test_an_item_that_was_read_has_no_unreadable_member():
    assert unreadable_member(AiChatUsageEvent(id="e", at=Instant(1), tokens=5)) is None


def test_the_first_member_that_could_not_be_read_is_named():
    event = AiChatUsageEvent(id="e", at=Unreadable("never"), tokens=Unreadable("many"))  # type: ignore[arg-type]
    assert unreadable_member(event) == ("At", Unreadable("never"))
