"""Whether files parse, by a tree-sitter grammar: for languages whose compilers Debian, PyPI and npm do not have.

A grammar finds what is misplaced, not what is misnamed.
"""

from pathlib import Path

from tests.metadata import tools

_PARSE = """
import sys
from tree_sitter_language_pack import get_parser

def faults(node):
    if node.type == "ERROR" or node.is_missing:
        yield f"line {node.start_point[0] + 1}: {node.text.decode()[:100]!r}"
    for child in node.children:
        yield from faults(child)

parser = get_parser(sys.argv[1])
found = []
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        found += [f"{path} {fault}" for fault in faults(parser.parse(file.read()).root_node)]
sys.exit("\\n".join(found) or 0)
"""


def must_parse(grammar: str, *paths: Path) -> None:
    tools.run(tools.python(), "-c", _PARSE, grammar, *paths, cwd=paths[0].parent)
