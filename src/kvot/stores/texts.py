"""What can be in a database as text."""


def can_be_kept(text: str) -> bool:
    """Whether it has a form in UTF-8. What comes from a command line may have none: half pairs of surrogates stand for
    bytes that are not UTF-8. No row is named so."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
