"""The table of messages that programs match: phrase, type, and code that causes the message.

The rows are written with the names `flask` and `werkzeug` and run by told.py, once with the real
packages and once with Carboy under these names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One message. `kind` is an exception, a warning, "log:" and the logger, or "output"."""

    name: str
    kind: type[BaseException] | str
    phrase: str
    provoke: Callable[[], Any]


ROWS: list[Row] = []


def row(
    name: str, kind: type[BaseException] | str, phrase: str, provoke: Callable[[], Any]
) -> None:
    """Add a row whose message one expression causes."""
    ROWS.append(Row(name, kind, phrase, provoke))


def rows(
    kind: type[BaseException] | str, phrase: str, provoked: dict[str, Callable[[], Any]]
) -> None:
    """Add rows that differ only in the code that causes the message."""
    for name, provoke in provoked.items():
        row(name, kind, phrase, provoke)


def case(name: str, kind: type[BaseException] | str, *phrases: str) -> Callable[[Any], Any]:
    """Add a row for each phrase of the message that the decorated function causes."""

    def add(function: Callable[[], Any]) -> Callable[[], Any]:
        for number, phrase in enumerate(phrases):
            row(f"{name} ({number})" if number else name, kind, phrase, function)
        return function

    return add
