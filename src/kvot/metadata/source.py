"""Text that generated classes of several languages are made of: lines, indentation, attributes, quoted strings."""

from collections.abc import Callable, Iterable

from kvot.metadata.model import Attribute


def document(lines: Iterable[str]) -> str:
    """Lines as a file. It ends with one line end, however many the lines end with."""
    return "\n".join(lines).rstrip("\n") + "\n"


def indented(lines: Iterable[str], blanks: int) -> list[str]:
    """The lines moved right; empty ones stay empty."""
    return [" " * blanks + line if line else line for line in lines]


def spaced(blocks: Iterable[list[str]]) -> list[str]:
    """The blocks one after another, an empty line between them."""
    lines: list[str] = []
    for block in blocks:
        lines += ["", *block] if lines else block
    return lines


def quoted(text: str) -> str:
    """A string as most languages write it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def attribute_text(
    attribute: Attribute, equals: str = "=", quote: Callable[[str], str] = quoted, positional: bool = False
) -> str:
    """`ApiResponse(Description="…", StatusCode=401)`, `DataContract`. `positional`: arguments without their names."""
    if not attribute.arguments:
        return attribute.name
    written = (
        _literal(value, quote) if positional or not name else f"{name}{equals}{_literal(value, quote)}"
        for name, value in attribute.arguments
    )
    return f"{attribute.name}({', '.join(written)})"


def _literal(value: str | int | bool, quote: Callable[[str], str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else str(value)
