"""The table of who may import whom (docs/design.md, section 3), held literally."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
EVERYTHING = ("carboy",)

# room: prefixes of what it may import besides itself and the standard library
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "grammar": (),
    "dates": (),
    "protocol": ("carboy.grammar",),
    "net": ("carboy.dates",),
    "gateway": ("carboy.protocol.events", "carboy.protocol.errors"),
    "server": ("carboy.gateway", "carboy.net", "carboy.protocol", "carboy.dates"),
    "http": ("carboy.grammar", "carboy.dates"),
    "routing": ("carboy.http",),
    "app": ("carboy.routing", "carboy.http", "carboy.dates"),
    "middleware": ("carboy.http",),
    "dev": ("carboy.http", "carboy.app.signals"),
    "testing": ("carboy.app", "carboy.http", "carboy.gateway", "carboy.dates"),
    "cli": EVERYTHING,
    "compat": EVERYTHING,
}
# module: what it alone may import besides
MODULE_MAY_IMPORT: dict[str, tuple[str, ...]] = {
    # A server in a thread is what it gives.
    "carboy.testing.live": ("carboy.server",),
    # A test's request takes the way of one from the socket: the machine reads it and looks at
    # the answer, so that both lanes are tested with what clients send.
    "carboy.testing.direct": ("carboy.protocol",),
}
# only under `if TYPE_CHECKING:`
MAY_IMPORT_FOR_TYPES: dict[str, tuple[str, ...]] = {
    "http": ("carboy.gateway.interface",),
    # what test_client() gives is written in its signature
    "app": ("carboy.gateway.interface", "carboy.testing"),
    "dev": ("carboy.gateway.interface",),
}
# module: its documented imports inside a function, each with its reason
LATE_IMPORTS: dict[str, tuple[str, ...]] = {
    # app.run() and the test helpers are Flask's methods of the application, but what they
    # start lives in the other column; Jinja2, click, logging and asyncio load when first used.
    "carboy.app.app": (
        "carboy.server",
        "carboy.testing",
        "carboy.app.commands",
        "carboy.app.logging",
        "carboy.app.loop",
        "carboy.app.templating",
    ),
    # The developer's tools are WSGI middleware and a watcher of files; they load when asked for.
    "carboy.server.development": (
        "carboy.dev.debugger",
        "carboy.dev.reload",
        "carboy.middleware.shared_data",
    ),
    # Only requests that are made up have a builder, which knows the request class itself.
    "carboy.http.request": ("carboy.http.environ_builder",),
    # Nobody looks at parts but who knows Werkzeug's; their dataclasses load inspect.
    "carboy.routing.rule": ("carboy.routing.described",),
    # blinker loads when somebody asks for a signal.
    "carboy.app.signals": ("carboy.app.signal_objects",),
    # A blueprint has commands too, if somebody adds one: click.
    "carboy.app.blueprint": ("carboy.app.commands",),
    # `carboy run` serves a foreign WSGI application without loading the framework.
    "carboy.cli.application": ("carboy.app.commands",),
    # Only where --flask is given.
    "carboy.cli.run": ("carboy.compat",),
    # A script that is run under the names may have no use for the command line.
    "carboy.compat.__main__": ("carboy.cli.main",),
    # At the start of every child process; most ask for none of the names.
    "carboy.compat.child.carboy_names": ("carboy.compat.install",),
}
# top-level packages a room may use besides the standard library
PACKAGES: dict[str, set[str]] = {
    "http": {"markupsafe", "multipart"},
    "app": {"blinker", "click", "itsdangerous", "jinja2", "markupsafe"},
    "testing": {"click"},
    "cli": {"click"},
    "dev": {"markupsafe"},
    # Its own module, beside it on PYTHONPATH.
    "compat": {"carboy_names"},
}


def modules() -> list[tuple[str, Path]]:
    found = []
    for path in sorted((SOURCE / "carboy").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found.append((".".join(parts), path))
    return found


def imports(module: str, path: Path) -> list[tuple[str, str, int]]:
    """(what is imported, where: "top" | "types" | "function", line) of every import."""
    found: list[tuple[str, str, int]] = []

    def visit(node: ast.AST, where: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = where
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                inner = "function"
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                inner = "types"
            elif isinstance(child, ast.Import):
                found.extend((alias.name, where, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    package = module.removesuffix(".__init__").split(".")
                    keep = len(package) - child.level + module.endswith(".__init__")
                    base = ".".join([*package[:keep], *([child.module] if child.module else [])])
                found.extend((f"{base}.{alias.name}", where, child.lineno) for alias in child.names)
            visit(child, inner)

    visit(ast.parse(path.read_text()), "top")
    return found


def allowed(target: str, prefixes: tuple[str, ...]) -> bool:
    return any(target == prefix or target.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize(("module", "path"), modules(), ids=str)
def test_a_module_imports_only_what_its_room_may(module: str, path: Path) -> None:
    room = module.split(".")[1]
    if room in ("__init__", "__main__"):
        return
    wrong = []
    for target, where, line in imports(module, path):
        top = target.split(".")[0]
        if top == "carboy":
            prefixes = (f"carboy.{room}", *MAY_IMPORT[room], *MODULE_MAY_IMPORT.get(module, ()))
            if where == "types":
                prefixes += MAY_IMPORT_FOR_TYPES.get(room, ())
            if where == "function":
                if allowed(target, LATE_IMPORTS.get(module, ())):
                    continue
                wrong.append(f"{path}:{line} imports {target} inside a function")
            if not allowed(target, prefixes):
                wrong.append(f"{path}:{line} {room} may not import {target}")
        elif where == "top" and top not in sys.stdlib_module_names | PACKAGES.get(room, set()):
            wrong.append(f"{path}:{line} {room} may not import the package {top}")
    assert not wrong, "\n".join(wrong)


def test_every_room_stands_in_the_table() -> None:
    rooms = {module.split(".")[1] for module, _ in modules()} - {"__init__", "__main__"}
    assert rooms <= set(MAY_IMPORT)


def test_there_is_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {}
    names = {module.removesuffix(".__init__") for module, _ in modules()}
    for module, path in modules():
        name = module.removesuffix(".__init__")
        edges = graph.setdefault(name, set())
        for target, where, _ in imports(module, path):
            if where != "top":
                continue
            while target and target not in names:
                target = target.rpartition(".")[0]
            # A package's own __init__ re-exports its modules; that is no dependency of theirs.
            if target and target != name and not name.startswith(target + "."):
                edges.add(target)
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail, name])
        if name in done:
            return
        for target in sorted(graph.get(name, ())):
            walk(target, (*trail, name))
        done.add(name)

    for name in graph:
        walk(name, ())
