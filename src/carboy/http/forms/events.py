"""What a multipart body consists of, as events: in from the decoder, out by the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carboy.http.headers import Headers


class Event:
    """Anything that a multipart body is made of."""


@dataclass(frozen=True)
class Preamble(Event):
    """What stands before the first boundary; readers ignore it."""

    data: bytes


@dataclass(frozen=True)
class Field(Event):
    """The head of a part that is a value."""

    name: str
    headers: Headers


@dataclass(frozen=True)
class File(Event):
    """The head of a part that is a file."""

    name: str
    filename: str
    headers: Headers


@dataclass(frozen=True)
class Data(Event):
    """A piece of a part's content; `more_data` is off on the last."""

    data: bytes
    more_data: bool


@dataclass(frozen=True)
class Epilogue(Event):
    """What stands behind the last boundary; readers ignore it."""

    data: bytes


class NeedData(Event):
    """Nothing can be said before there is more input."""


NEED_DATA = NeedData()


class State(Enum):
    """Which event comes next in a body."""

    PREAMBLE = auto()
    PART = auto()
    DATA = auto()
    DATA_START = auto()
    EPILOGUE = auto()
    COMPLETE = auto()
