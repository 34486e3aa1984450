"""The path of a value: the bytes it came in, and each call that had it, up to the view."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from carboy.dev.explain.places import APPLICATION, Place
from carboy.dev.explain.secrets import Eraser
from carboy.dev.explain.wanted_value import Wanted

RETURNS = {"returned", "container"}
PASSED = {"inside", "container"}  # the value is deep inside an argument or a result


@dataclass(frozen=True, slots=True)
class Where:
    """A line of a function."""

    function: str
    module: str
    place: Place
    line: int

    @property
    def text(self) -> str:
        """Short name of the file, and the line."""
        return f"{self.place.short}:{self.line}"

    @property
    def is_own(self) -> bool:
        """Whether the line is the application's."""
        return self.place.room == APPLICATION


@dataclass(frozen=True, slots=True)
class Received:
    """The bytes that one call of `recv` read."""

    at: int
    call: str  # "socket.recv_into"
    data: bytes
    where: Where


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


@dataclass(slots=True)
class Step:
    """Consecutive events of one call, or consecutive calls that only pass the value on."""

    events: list[Event]
    passed_by: list[Where] = field(default_factory=list)  # functions that only pass it on

    @property
    def where(self) -> Where:
        """The function."""
        return self.events[0].where


@dataclass(slots=True)
class ValuePath:
    """Everything about one value."""

    wanted: Wanted
    received: list[Received]
    places: list[tuple[int, int]]  # first byte and length of each piece that is there as a whole
    steps: list[Step]
    read: Event | None  # the view read it
    cut: bool  # the search ended before the request did

    @property
    def data(self) -> bytes:
        """All bytes that were received, up to the end of the request."""
        return b"".join(each.data for each in self.received)


def path_of(wanted: Wanted, files: Iterable[dict[str, Any]], sent: bytes) -> ValuePath:
    """The path from the data that the processes wrote, and the bytes that the client sent."""
    reads: list[dict[str, Any]] = []
    events: list[Event] = []
    cut = False
    own_ended = 0
    for pid, data in enumerate(files):
        cut = cut or data["cut"]
        own_ended = max(own_ended, data["own_ended"])
        reads += data["received"]
        events += [_event(pid, each) for each in data["events"]]
    received: list[Received] = []
    start = 0
    for each in sorted(reads, key=lambda read: read["at"]):
        part = sent[start : start + each["size"]]
        start += each["size"]
        if part:  # the end of the connection may be counted as a byte
            received.append(Received(each["at"], each["call"], part, _where(each)))
    events.sort(key=lambda each: each.at)
    read = _read(events)
    if read is not None:
        events = events[: events.index(read) + 1]
    elif own_ended:  # what follows writes the response
        events = [each for each in events if each.at < own_ended]
    places = wanted.places(b"".join(each.data for each in received))
    return ValuePath(wanted, received, places, _steps(events), read, cut)


def _read(events: list[Event]) -> Event | None:
    """The last event in which code of the application gets the value itself."""
    whole = [each for each in events if each.whole]
    found = [each for each in whole if _is_read(each)]
    found = found or [each for each in whole if each.kind == "variable" and each.where.is_own]
    return found[-1] if found else None


def _is_read(event: Event) -> bool:
    if event.kind == "returned":
        return event.caller is not None and event.caller.is_own and not event.where.is_own
    if event.kind == "argument":
        return event.where.is_own and (event.caller is None or not event.caller.is_own)
    return event.kind == "read"


def _steps(events: list[Event]) -> list[Step]:
    busy = {each.call for each in events if each.kind not in PASSED}
    steps: list[Step] = []
    known: set[tuple[Any, ...]] = set()
    for each in events:
        key = (each.where.function, each.where.line, each.kind, each.path, each.text)
        is_passed = each.call not in busy
        # A call that did something with the value has a step already.
        if key in known or (each.kind in PASSED and not is_passed):
            continue
        known.add(key)
        last = steps[-1] if steps else None
        if is_passed:
            if last is None or not last.passed_by:
                last = Step([each])
                steps.append(last)
            if each.where.function not in {where.function for where in last.passed_by}:
                last.passed_by.append(each.where)
        elif last and not last.passed_by and last.events[0].call == each.call:
            last.events.append(each)
        else:
            steps.append(Step([each]))
    return steps


def erase(found: ValuePath, eraser: Eraser) -> None:
    """Remove the secrets. The bytes keep their length, so that offsets stay true."""
    for step in found.steps:
        for each in step.events:
            each.text = eraser.erase(each.text)
    covered = eraser.blank(found.data.decode("latin-1")).encode("latin-1")
    start = 0
    for number, part in enumerate(found.received):
        end = start + len(part.data)
        found.received[number] = Received(part.at, part.call, covered[start:end], part.where)
        start = end


def _event(pid: int, data: dict[str, Any]) -> Event:
    caller = data["caller"]
    return Event(
        data["at"], data["kind"], (pid, data["call"]), data["path"], data["text"], data["whole"],
        data["expression"], _where(data), _where(caller) if caller else None,
    )  # fmt: skip


def _where(data: dict[str, Any]) -> Where:
    return Where(data["function"], data["module"], Place(*data["place"]), data["line"])
