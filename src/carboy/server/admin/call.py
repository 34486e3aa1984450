"""One request to the admin server, as a handler sees it, and its reply."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping
from dataclasses import field
from typing import Any
from urllib.parse import parse_qsl

from carboy.server.dataclass import dataclass
from carboy.server.processes.messages import Message

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Refused(Exception):
    """The request cannot be carried out; the text is for the user."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class CannotAnswer(Exception):
    """A worker cannot answer a question; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request: method and path, the fields of its query, and the JSON object of its content."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    values: Message = field(default_factory=dict)
    accept: str = ""  # the field Accept

    def number(self, name: str, default: float, most: float) -> float:
        """A field of the query as a number. Raises Refused if it is not one, or is too large."""
        text = self.query.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= most:
            raise Refused(400, f"{name} must be a number from 0 to {most:g}, not {text!r}.")
        return value


@dataclass(frozen=True, slots=True)
class Reply:
    """The response: a value for JSON, or `content` with its media type."""

    value: Any = None
    status: int = 200
    content: bytes | None = None
    media_type: str = JSON

    def body(self) -> bytes:
        """The content as bytes."""
        if self.content is not None:
            return self.content
        return json.dumps(self.value, indent=2).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to workers, which a handler yields; it gets the answers (questions.py).

    `workers`: their numbers; None: all that can answer.
    """

    question: str
    values: Message = field(default_factory=dict)
    workers: Iterable[int] | None = None
    seconds: float = 2.0  # for the answers


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one worker: its value, or why there is none."""

    worker: int
    value: Any = None
    failure: str = ""


Answers = dict[int, Answer]  # by worker
Steps = Generator[Ask, Answers, Reply]


def read_call(method: str, path: str, query: str, body: bytes, accept: str = "") -> Call:
    """The call of a request. Raises Refused for content that is not a JSON object."""
    values: Any = {}
    if body.strip():
        try:
            values = json.loads(body)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise Refused(400, "The content must be a JSON object.")
    return Call(method, path, dict(parse_qsl(query, keep_blank_values=True)), values, accept)
