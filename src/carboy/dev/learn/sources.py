"""Finds the lines of Carboy's code that exercises name, in the installed package."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from carboy.dev.explain.places import CARBOY, Place
from carboy.dev.learn.exercise import Code, Exercise
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


def find(code: Code) -> Line | None:
    """The line that `code` names; None if there is no such line."""
    file = CARBOY / code.file
    lines = _text(file).split("\n")
    first, last = _lines_of(file, code.function)
    for number in range(first, last):
        text = lines[number].strip()
        if code.line in text:
            room = Path(code.file).parts[0]
            place = Place(str(file), first + 1, last, "carboy", room, f"carboy/{code.file}")
            return Line(place, number + 1, text)
    return None


def lines_of(exercise: Exercise) -> list[tuple[Code, Line]]:
    """The lines that an exercise names, each with the text about it."""
    found = ((code, find(code)) for code in exercise.code)
    return [(code, line) for code, line in found if line is not None]


@cache
def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError:
        return ""  # only compiled files are installed


@cache
def _lines_of(file: Path, function: str) -> tuple[int, int]:
    """The first line of a function, counted from 0, and the line after it."""
    if not function:
        return 0, _text(file).count("\n")
    node: ast.AST = ast.parse(_text(file))
    for name in function.split("."):
        inner = (each for each in ast.walk(node) if getattr(each, "name", None) == name)
        found = next(inner, None)
        if found is None:
            return 0, 0
        node = found
    return getattr(node, "lineno", 1) - 1, getattr(node, "end_lineno", None) or 0
