"""Events of a value: a line of a function, and what the line did with the value."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from carboy.dev.explain.places import Place


@dataclass(frozen=True, slots=True)
class Where:
    """A line of a function."""

    function: str
    module: str
    place: Place
    line: int
    is_own: bool = False  # it is the application's

    @property
    def text(self) -> str:
        """Short name of the file, and the line."""
        return f"{self.place.short}:{self.line}"


@dataclass(frozen=True, slots=True)
class Received:
    """The bytes that one call of `recv` read."""

    at: int
    call: str  # "socket.recv_into"
    data: bytes
    where: Where


@dataclass(frozen=True, slots=True)
class Reader:
    """The code of the application that reads the value, and its expression."""

    where: Where
    expression: str
    call: tuple[int, int]
    has_name: bool = False  # one of its variables is the name of the value


@dataclass(slots=True)
class Event:
    """One line, and what it did with the value.

    The kinds are: `argument` and `inside` (an argument is the value, or holds it), `variable` and
    `stored` (a variable or a part of an object got it), `returned` and `container` (the result is
    the value, or holds it), `read` (a line of the application read it from a dictionary).
    """

    at: int
    kind: str
    call: tuple[int, int]  # process and number
    path: str  # "self.environ['HTTP_HOST']"
    text: str  # an excerpt
    whole: bool  # the text is the value; else it contains the value
    expression: str  # the source of the call that returned it
    where: Where
    caller: Where | None
    caller_call: int = 0
    again: bool = False  # the caller had it before
    reader: Reader | None = None
    is_for_view: bool = False  # a view is running


def event_of(pid: int, data: dict[str, Any], views: Collection[tuple[str, int]]) -> Event:
    """The event from the data of a file. `views` are files and first lines of functions."""
    caller, reader = data["caller"], data.get("reader")
    found = Event(
        data["at"], data["kind"], (pid, data["call"]), data["path"], data["text"], data["whole"],
        data["expression"], where_of(data), where_of(caller) if caller else None,
        data.get("caller_call", 0), data["again"],
    )  # fmt: skip
    if reader:
        found.reader = Reader(
            where_of(reader), reader["expression"], (pid, reader["call"]), reader["has_name"]
        )
    found.is_for_view = any((file, line) in views for file, line in data["owns"])
    return found


def where_of(data: dict[str, Any]) -> Where:
    """The line from the data of a file."""
    return Where(
        data["function"], data["module"], Place(*data["place"]), data["line"], data["is_own"]
    )
