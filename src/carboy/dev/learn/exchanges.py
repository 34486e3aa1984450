"""The requests of a recorded connection, each with its response, as the exercises look at them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from carboy.dev.explain import byte_steps
from carboy.dev.explain.byte_steps import (
    BODY,
    FIELD,
    HANDED_OVER,
    REFUSED,
    REQUEST,
    UNREAD,
    Step,
    Stepped,
)
from carboy.dev.learn.recording import Moment, Snapshot
from carboy.protocol.events import RequestHead

START = "Request line"
BLANK = "Empty line before the request"
STATUS = "Status line"
CONTENT = ("Body", "Content of a chunk")
ANSWERS = ("whole_response", "start_response", "error_response")
FINISHES = ("whole_response", "end_response", "error_response")
# Requests that browsers send by themselves.
EXTRA = ("/favicon.ico", "/apple-touch-icon", "/.well-known/", "/robots.txt")


@dataclass(slots=True)
class Response:
    """The final response to a request, as far as it was sent."""

    status: int = 0
    reason: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False

    def get(self, name: str) -> str | None:
        """The value of the first header of this name."""
        return _get(self.fields, name)


@dataclass(slots=True)
class Exchange:
    """One request and its response. Offsets count from the first byte of the connection."""

    connection: int  # number of the connection
    first: int
    last: int
    steps: list[Step]
    raw: bytes
    head: RequestHead | None = None
    fields: list[tuple[str, str]] = field(default_factory=list)  # as they were sent
    body: bytes = b""
    body_first: int = 0  # offset of the first byte after the empty line; 0: there is none yet
    refused: str = ""  # status and reason
    unread: int = 0  # bytes after the refusal
    response: Response = field(default_factory=Response)
    interim: list[int] = field(default_factory=list)  # statuses before the final one
    began: Moment | None = None  # the server got the last bytes of the request
    answered: Moment | None = None  # the response began
    finished: Moment | None = None  # the response was complete
    open: bool = False  # the connection is open

    @property
    def line(self) -> bytes:
        """The first line without its end."""
        return self.raw.lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r")

    @property
    def target(self) -> str:
        """The second word of the first line, or ""."""
        words = self.line.decode("latin-1").split(" ")
        return words[1] if len(words) > 1 else ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come: the response is complete, or the connection closed."""
        return self.response.complete or not self.open

    @property
    def is_extra(self) -> bool:
        """Whether a browser has sent the request by itself."""
        return self.target.startswith(EXTRA)

    def get(self, name: str) -> str | None:
        """The value of the first header of this name, if the server has read it."""
        return _get(self.fields, name)

    def step(self, title: str) -> Step | None:
        """The first step with this title."""
        return next((step for step in self.steps if step.title == title), None)


@dataclass(slots=True)
class Seen:
    """A connection, as far as it was recorded."""

    number: int
    stepped: Stepped
    exchanges: list[Exchange]
    opened: float
    closed: float | None


def _get(fields: Iterable[tuple[str, str]], name: str) -> str | None:
    wanted = name.lower()
    return next((value for key, value in fields if key.lower() == wanted), None)


def see(snapshot: Snapshot) -> Seen:
    """The exchanges of a connection."""
    stepped = byte_steps.replay(snapshot.calls)
    found = _requests(stepped, snapshot.number)
    for each, response, interim in zip(found, *_responses(stepped), strict=False):
        each.response, each.interim = response, interim
    _add_times(found, snapshot)
    for each in found:
        each.open = snapshot.closed is None
    return Seen(snapshot.number, stepped, found, snapshot.opened, snapshot.closed)


def _requests(stepped: Stepped, number: int) -> list[Exchange]:
    found: list[Exchange] = []
    heads = iter(stepped.heads)
    complete = True  # nothing of the current request is missing
    for step in stepped.steps:
        if step.direction != REQUEST or step.title in (BLANK, HANDED_OVER):
            continue
        begins = step.title == START or (complete and step.kind in (REFUSED, UNREAD))
        if begins and not (step.kind == UNREAD and found and found[-1].refused):
            if step.kind == UNREAD and not stepped.bytes_of(step).strip():
                continue
            found.append(Exchange(number, step.first, step.last, [], b""))
            complete = False
        if not found:
            continue
        last = found[-1]
        last.steps.append(step)
        last.last = max(last.last, step.last)
        _add(last, step, stepped)
        if step.title == "End of the head":
            last.head = next(heads, None)
            last.body_first = step.last
            complete = last.head is not None and not last.head.has_body
        if step.title in ("End of the request", "End of the chunked body"):
            complete = True
    for each in found:
        each.raw = stepped.request[each.first : each.last]
    return found


def _add(exchange: Exchange, step: Step, stepped: Stepped) -> None:
    parts = [part.text for part in step.parts]
    if step.kind == FIELD and len(parts) == 2:
        exchange.fields.append((parts[0], parts[1]))
    elif step.kind == BODY and step.title in CONTENT:
        exchange.body += stepped.bytes_of(step)
    elif step.kind == REFUSED:
        exchange.refused = step.error
    elif step.kind == UNREAD and exchange.refused:
        exchange.unread += step.last - step.first


def _responses(stepped: Stepped) -> tuple[list[Response], list[list[int]]]:
    found: list[Response] = []
    interims: list[list[int]] = []
    interim: list[int] = []
    current: Response | None = None
    for step in stepped.steps:
        if step.direction == REQUEST:
            continue
        parts = [part.text for part in step.parts]
        if step.title == STATUS and len(parts) == 2:
            code, _, reason = parts[1].partition(" ")
            current = None
            if code.startswith("1"):
                interim.append(int(code))
            else:
                current = Response(int(code), reason)
                found.append(current)
                interims.append(interim)
                interim = []
        if current is None:
            continue
        if step.kind == FIELD and len(parts) == 2:
            current.fields.append((parts[0], parts[1]))
        elif step.title == "Body":
            current.body += stepped.bytes_of(step)
        elif step.title == "Chunk":
            current.body += step.parts[1].text.encode("latin-1")
        current.complete = step.after[1] == "DONE"
    return found, interims


def _add_times(found: list[Exchange], snapshot: Snapshot) -> None:
    begun = finished = 0
    read: Moment | None = None
    for call, moment in zip(snapshot.calls, snapshot.moments, strict=False):
        if call.method == "receive" and call.args[0]:
            read = moment
        if call.method in ANSWERS and begun < len(found):
            found[begun].began, found[begun].answered = read, moment
            begun += 1
        if call.method in FINISHES and finished < begun:
            found[finished].finished = moment
            finished += 1
    if begun < len(found):
        found[begun].began = read


def all_of(seen: Iterable[Seen]) -> list[Exchange]:
    """The exchanges of all connections as they arrived, without those of a browser itself."""
    found = [each for one in seen for each in one.exchanges if not each.is_extra]
    found.sort(key=lambda each: each.began.at if each.began else float("inf"))
    return found
