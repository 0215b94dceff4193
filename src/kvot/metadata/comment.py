"""Text of the contract inside comments of generated code: on one line, and unable to end the comment it stands in.

Strings of attributes go through `printable` too: a character that no editor shows is refused by some compilers.
"""


def printable(text: str) -> str:
    """A blank in place of every character that cannot be seen: line ends, controls, marks of writing direction."""
    return "".join(character if character.isprintable() else " " for character in text)


def in_line(text: str) -> str:
    """For comments that run to the end of the line."""
    return " ".join(printable(text).split())


def in_block(text: str) -> str:
    """For comments between `/*` and `*/`, whether or not they nest."""
    return in_line(text).replace("*/", "* /").replace("/*", "/ *")
