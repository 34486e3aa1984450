"""A configuration file in Python (gunicorn.conf.py): its settings, read without running it."""

from __future__ import annotations

import ast
import os
import runpy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from carboy.cli.migrate.expressions import CannotRead, Reading
from carboy.cli.migrate.given import Given, Unread


class WrongFile(Exception):
    """The source cannot be read; the text says why and what to do."""


def read_python(path: Path, environ: Mapping[str, str] = os.environ) -> list[Given]:
    """The assignments and functions of the file, in its order. Raises WrongFile."""
    try:
        text = path.read_text("utf-8")
        tree = ast.parse(text, str(path))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError) as problem:
        raise WrongFile(f"{path} cannot be read: {problem}. Correct the file.") from None
    reading = Reading(environ, path.absolute())
    found: dict[str, Given] = {}
    for each in _statements(tree.body, reading, path.name):
        found[each.name] = each
    return list(found.values())


def run_python(path: Path, names: Iterable[str]) -> list[Given]:
    """The settings of the file with these names, after it has been run. Raises WrongFile."""
    try:
        values = runpy.run_path(str(path))
    except (Exception, SystemExit) as problem:
        raise WrongFile(f"{path} has raised {problem!r}. Correct the file.") from None
    read = {each.name: each.place for each in read_python(path)}
    return [
        Given(name, Unread(name) if callable(values[name]) else values[name], repr(values[name]),
              read.get(name, path.name))
        for name in names
        if name in values
    ]  # fmt: skip


def _statements(body: list[ast.stmt], reading: Reading, file: str) -> Iterator[Given]:
    for node in body:
        place = f"{file}:{node.lineno}"
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from _assigned(target, node.value, reading, place)
        elif isinstance(node, ast.AugAssign):
            both = ast.BinOp(node.target, node.op, node.value)
            yield from _assigned(node.target, both, reading, place)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            reading.names.pop(node.name, None)
            if not isinstance(node, ast.ClassDef):
                yield Given(node.name, Unread("a function"), f"def {node.name}", place)
        elif isinstance(node, ast.If):
            yield from _branch(node, reading, file)
        elif isinstance(node, ast.Try):
            yield from _statements(node.body, reading, file)
        elif isinstance(node, ast.For | ast.While | ast.With):
            yield from _unread(node, reading, file)


def _assigned(target: ast.expr, value: ast.expr, reading: Reading, place: str) -> Iterator[Given]:
    if not isinstance(target, ast.Name):
        return
    text = ast.unparse(value)
    try:
        found = reading.value(value)
    except CannotRead:
        reading.names.pop(target.id, None)
        yield Given(target.id, Unread(text), text, place)
        return
    variables, of_processors = frozenset(reading.variables), reading.of_processors
    reading.names[target.id] = found, variables, of_processors
    yield Given(target.id, found, text, place, tuple(sorted(variables)), of_processors)


def _branch(node: ast.If, reading: Reading, file: str) -> Iterator[Given]:
    """The branch that is taken; if that is not known, what both assign is not known."""
    try:
        taken = node.body if reading.value(node.test) else node.orelse
    except CannotRead:
        yield from _unread(node, reading, file)
        return
    yield from _statements(taken, reading, file)


def _unread(node: ast.stmt, reading: Reading, file: str) -> Iterator[Given]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            reading.names.pop(each.id, None)
            yield Given(
                each.id, Unread("set by code that was not run"), each.id, f"{file}:{each.lineno}"
            )
