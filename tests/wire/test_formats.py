"""The table of formats."""

from kvot.wire.formats import BY_MEDIA_TYPE, FORMATS


def test_no_two_formats_share_a_name():
    assert len(BY_MEDIA_TYPE) == sum(len(each.media_types) for each in FORMATS.values())
    assert all(key == each.key == key.lower() for key, each in FORMATS.items())


def test_names_are_such_as_headers_are_compared_with():
    assert all(name == name.lower() and name.count("/") == 1 for name in BY_MEDIA_TYPE)
