"""What a shell offers where an application is named: those of a folder, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from carboy.cli.locate import FACTORIES, NAMES

KINDS = ("Flask", "Carboy")
MOST = 100  # files that are read: a key has been pressed, and somebody waits


def complete(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """For click: the applications of the current folder that begin like this."""
    return [name for name in applications(Path.cwd()) if name.startswith(incomplete)]


def applications(folder: Path) -> list[str]:
    """MODULE:NAME of each application and factory, as far as the source shows it."""
    files = sorted(folder.glob("*.py")) + sorted(folder.glob("*/__init__.py"))
    return [f"{_module(file)}:{name}" for file in files[:MOST] for name in _names(file)]


def _module(file: Path) -> str:
    return file.parent.name if file.name == "__init__.py" else file.stem


def _names(file: Path) -> Iterator[str]:
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return
    for statement in body:
        if isinstance(statement, ast.FunctionDef) and statement.name in (*NAMES, *FACTORIES):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            names = [each.id for each in statement.targets if isinstance(each, ast.Name)]
            yield from (name for name in names if name in NAMES or _makes_one(statement.value))


def _makes_one(value: ast.expr) -> bool:
    """Whether it reads like `Flask(…)` or `flask.Flask(…)`."""
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in KINDS
