"""Style as code: each check reads one module of src/kvot and yields what is wrong with it.

A check never imports what it reads and never writes. A finding reads
`http/app.py:12 print() outside the CLI`; test_tidy.py's ratchet lists it without the line number.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

LINES_PER_MODULE_MAX = 600
LINES_PER_FUNCTION_MAX = 60

# If it has no name, it has no place yet.
EMPTY_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}

# docs/internals/architecture.md has one word per idea; these are its best-known rivals.
RIVALS = {
    "tenant": "company",
    "tenants": "company",
    "reservation": "hold",
    "reservations": "hold",
    "quota": "budget",
    "quotas": "budget",
}

# The outermost edges, where an error that nobody named must still end as an answer.
# The writer is the edge of its thread, a lane that of its task: whoever waits for it must hear of a fault that nobody
# named, too.
EDGES = {
    "http/app.py",
    "http/gateway.py",
    "cli/__init__.py",
    "cli/main.py",
    "stores/sqlite/writer.py",
    "stores/postgres/lanes.py",
}


@dataclass(frozen=True)
class Module:
    """One source file; `path` is relative to src/kvot, with forward slashes."""

    path: str
    source: str

    @property
    def room(self) -> str:
        return PurePosixPath(self.path).parts[0].removesuffix(".py")

    def nodes(self) -> Iterator[ast.AST]:
        return ast.walk(ast.parse(self.source, self.path))


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    complaint: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.complaint}"


Check = Callable[[Module], Iterator[Finding]]


def long_modules(module: Module) -> Iterator[Finding]:
    lines = len(module.source.splitlines())
    if lines > LINES_PER_MODULE_MAX:
        yield Finding(module.path, lines, f"module of {lines} lines, at most {LINES_PER_MODULE_MAX}")


def long_functions(module: Module) -> Iterator[Finding]:
    for node in module.nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LINES_PER_FUNCTION_MAX:
                yield Finding(module.path, node.lineno, f"{node.name}() is over {LINES_PER_FUNCTION_MAX} lines")


def empty_names(module: Module) -> Iterator[Finding]:
    for part in PurePosixPath(module.path).with_suffix("").parts:
        if part.strip("_") in EMPTY_NAMES:
            yield Finding(module.path, 1, f"the name {part} says nothing")


def broad_catches(module: Module) -> Iterator[Finding]:
    """`except Exception` and wider. A handler that ends in a bare `raise` hides nothing and may stay."""
    if module.path in EDGES:
        return
    for node in module.nodes():
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _reraises(node):
            yield Finding(module.path, node.lineno, "catches what it cannot name")


def prints(module: Module) -> Iterator[Finding]:
    if module.room == "cli":
        return
    for node in module.nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield Finding(module.path, node.lineno, "print() outside the CLI")


def rival_words(module: Module) -> Iterator[Finding]:
    for node in module.nodes():
        for name in _names(node):
            for word in _words(name):
                if word in RIVALS:
                    line = getattr(node, "lineno", 1)
                    yield Finding(module.path, line, f"{name}: the word is {RIVALS[word]}")


def foreign_core_imports(module: Module) -> Iterator[Finding]:
    """In core/: whatever is neither the standard library nor core itself."""
    if module.room != "core":
        return
    for node in module.nodes():
        for name in _imported(node):
            own = name == "kvot.core" or name.startswith("kvot.core.")
            if not own and name.split(".")[0] not in sys.stdlib_module_names:
                yield Finding(module.path, getattr(node, "lineno", 1), f"the core imports {name}")


CHECKS: tuple[Check, ...] = (
    long_modules,
    long_functions,
    empty_names,
    broad_catches,
    prints,
    rival_words,
    foreign_core_imports,
)


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(each) for each in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def _reraises(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.keyword(arg=str(name)):
            yield name


def _words(name: str) -> list[str]:
    """`TenantId`, `tenant_id` and `TENANT_ID` all hold the words tenant and id."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _imported(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(name), level=0):
            yield name
