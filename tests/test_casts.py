"""Code that runs for each request does not call `typing.cast`, which costs a function call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import carboy

SOURCE = Path(carboy.__file__).parent
ROOMS = ("app", "gateway", "http", "middleware", "net", "protocol", "routing", "server")
# Functions that run once: decorators, commands and what is made at the start.
ONCE = {
    "app/commands.py": {"_find", "command", "decorator", "with_appcontext"},
    "app/context.py": {"copy_current_request_context"},
    "app/json/provider.py": {"_compact_encoder"},
    "app/registry.py": {"setupmethod"},
}


def casts() -> Iterator[tuple[str, str]]:
    """The file and the name of each function that calls `cast`."""
    for room in ROOMS:
        for path in sorted((SOURCE / room).rglob("*.py")):
            for function in ast.walk(ast.parse(path.read_text())):
                if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                    continue
                for node in ast.walk(function):
                    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "cast":
                        name = getattr(function, "name", "<lambda>")
                        yield path.relative_to(SOURCE).as_posix(), name


def test_only_functions_that_run_once_call_cast() -> None:
    wrong = [(file, name) for file, name in casts() if name not in ONCE.get(file, ())]
    assert not wrong
