"""Finds the lines of Carboy's code that exercises name, in the installed package."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from carboy.dev.explain.places import CARBOY, Place
from carboy.dev.learn.exercise import Code
from carboy.dev.links import link_of


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a function, as it is now."""

    place: Place
    number: int
    text: str

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.place.short}:{self.number}"

    @property
    def link(self) -> str:
        """A permanent link, or ""."""
        return link_of(self.place, self.number).url


def find(code: Code) -> Line:
    """The line that `code` names. Raises LookupError if it is not there."""
    file = CARBOY / code.file
    lines = _text(file).split("\n")
    first, last = _lines_of(file, code.function)
    for number in range(first, last + 1):
        text = lines[number - 1].strip()
        if code.line in text:
            room = Path(code.file).parts[0]
            place = Place(str(file), first, last, "carboy", room, f"carboy/{code.file}")
            return Line(place, number, text)
    raise LookupError(f"{code.function} in {code.file} has no line with {code.line!r}.")


@cache
def _text(file: Path) -> str:
    return file.read_text("utf-8")


@cache
def _lines_of(file: Path, function: str) -> tuple[int, int]:
    node: ast.AST = ast.parse(_text(file))
    for name in function.split("."):
        inner = (each for each in ast.walk(node) if getattr(each, "name", None) == name)
        found = next(inner, None)
        if found is None:
            raise LookupError(f"{file.name} has no {function}.")
        node = found
    return getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0
