"""Facts about the source: modules, imports, lines and functions of a checkout.

`tests/test_layers.py` holds the rules with it and `tools/metrics.py` prints figures.
"""

from __future__ import annotations

import ast
import functools
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# From the ground up: an import from a room to one further down this list is an arrow upwards.
ROOMS = (
    "grammar", "origins", "file_wrapper", "late", "lazy", "dates", "engine_url",
    "request_identity", "log_fields", "sizes", "speedups", "spooled_body", "thread_frames",
    "time_limits", "trace_context", "unix_path", "user_sockets", "uuid7", "werkzeug_log", "relay",
    "protocol", "net", "acme", "gateway", "server", "_speedups", "http", "routing", "app", "shared",
    "realtime", "middleware", "dev", "serving", "testing", "cli", "compat",
)  # fmt: skip
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ASSIGNING = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Call)
LOADERS = {"import_module", "__import__", "lazy_names"}


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports, or reaches in another way.

    `where` is "top", "types" (under `if TYPE_CHECKING:`), "function", "string" (a module's name
    that is loaded by `import_module`
    or `lazy_names`) or "assigned" (an attribute of a module that is set).
    """

    target: str
    where: str
    line: int


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the package: `carboy.net.tls`, or `carboy.net.__init__` for a package."""

    name: str
    path: Path

    @property
    def room(self) -> str:
        return self.name.split(".")[1]

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.path)

    @property
    def package(self) -> str:
        """The package that a relative import with one dot starts from."""
        return self.name.rpartition(".")[0]

    def imports(self) -> list[Import]:
        return _imports_of(self)

    def functions(self) -> list[tuple[str, int]]:
        """(qualified name, lines) of every function."""
        return list(_functions(self.tree, ""))


@functools.cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def modules(checkout: Path) -> list[Module]:
    source = checkout / "src"
    found = []
    for path in sorted((source / "carboy").rglob("*.py")):
        found.append(Module(".".join(path.relative_to(source).with_suffix("").parts), path))
    return found


@functools.cache
def _imports_of(module: Module) -> list[Import]:
    return list(_imports(module))


def _imports(module: Module) -> Iterator[Import]:
    tree = module.tree
    ours: dict[str, str] = {}  # local names of modules and members of this package

    def visit(node: ast.AST, where: str) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):  # it has no import statement
                continue
            inner = where
            if isinstance(child, FUNCTIONS):
                inner = "function"
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                inner = "types"
            elif isinstance(child, ast.Import | ast.ImportFrom):
                for target, name in _targets(module, child):
                    ours[name] = target
                    yield Import(target, where, child.lineno)
            yield from visit(child, inner)

    yield from visit(tree, "top")
    nodes = list(ast.walk(tree))
    yield from _loaded_by_name(nodes)
    for node in nodes:
        if not isinstance(node, ASSIGNING):
            continue
        for holder, attribute in _assigned(node):
            if ours.get(holder, "").startswith("carboy."):
                yield Import(f"{ours[holder]}.{attribute}", "assigned", getattr(node, "lineno", 0))


def _targets(module: Module, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """(what is imported, the name it gets here)."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, alias.asname or alias.name.split(".")[0]
        return
    base = node.module or ""
    if node.level:
        parts = module.package.split(".")
        parts = parts[: len(parts) - node.level + 1]
        base = ".".join([*parts, *([node.module] if node.module else [])])
    for alias in node.names:
        yield f"{base}.{alias.name}", alias.asname or alias.name


def _loaded_by_name(nodes: list[ast.AST]) -> Iterator[Import]:
    """Modules of this package whose names are strings, in a file that loads modules by name."""
    calls = [
        node for node in nodes if isinstance(node, ast.Call) and _last_name(node.func) in LOADERS
    ]
    if not calls:
        return
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.rstrip(".")
            if name.startswith("carboy.") and all(map(str.isidentifier, name.split("."))):
                yield Import(name, "string", node.lineno)


def _assigned(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(name, attribute) of each `name.attribute = …` and `setattr(name, "attribute", …)`."""
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                yield target.value.id, target.attr
    elif isinstance(node, ast.Call) and _last_name(node.func) == "setattr" and node.args:
        first = node.args[0]
        if isinstance(first, ast.Name):
            yield first.id, ast.unparse(node.args[1]).strip("\"'")


def _last_name(function: ast.expr) -> str:
    """`c` of `c(…)` and `a.b.c(…)`."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            name = prefix + child.name
            if not isinstance(child, ast.ClassDef):
                yield name, (child.end_lineno or child.lineno) - child.lineno + 1
            yield from _functions(child, name + ".")
        else:
            yield from _functions(child, prefix)


@dataclass(frozen=True, slots=True)
class Lines:
    """How many lines of a file are code, comments or docstrings; the rest are blank."""

    total: int
    code: int
    comments: int
    docstrings: int


SKIPPED = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENDMARKER, tokenize.ENCODING,
}  # fmt: skip


def lines_of(text: str) -> Lines:
    """A line with code and a comment is code; a line of a docstring is not."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Module)) and ast.get_docstring(node):
            first = node.body[0]
            docstrings.update(range(first.lineno, (first.end_lineno or 0) + 1))
    code: set[int] = set()
    comments: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in SKIPPED:
            code.update(range(token.start[0], token.end[0] + 1))
    code -= docstrings
    return Lines(len(text.splitlines()), len(code), len(comments - code), len(docstrings))


def room_arrows(found: list[Module]) -> dict[tuple[str, str], set[str]]:
    """(room, room it reaches): the ways in which it does ("top", "types", "function", …)."""
    arrows: dict[tuple[str, str], set[str]] = {}
    for module in found:
        for each in module.imports():
            package, _, rest = each.target.partition(".")
            arrow = (module.room, rest.split(".")[0])
            if package == "carboy" and arrow[0] != arrow[1] and set(arrow) <= set(ROOMS):
                arrows.setdefault(arrow, set()).add(each.where)
    return arrows


def points_upwards(arrow: tuple[str, str]) -> bool:
    return ROOMS.index(arrow[0]) < ROOMS.index(arrow[1])
