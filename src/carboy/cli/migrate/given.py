"""Settings of another server as they were found, before any rule is applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Unread:
    """A value that can only be found by running code; `text` is its source."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Given:
    """One setting: its name, its value, the text that it was read from, and its place.

    `variables` are the environment variables that the value was computed from, `of_processors`
    says whether it depends on the number of processors.
    """

    name: str
    value: Any
    text: str
    place: str
    variables: tuple[str, ...] = ()
    of_processors: bool = False
