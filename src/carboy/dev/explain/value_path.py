"""The path of a value: the bytes it came in, and each call that had it, up to the view."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from carboy.dev.explain.secrets import Eraser
from carboy.dev.explain.value_events import Event, Reader, Received, Where, event_of, where_of
from carboy.dev.explain.value_reading import onward, reading_of
from carboy.dev.explain.wanted_value import Wanted

RETURNS = {"returned", "container"}
PASSED = {"inside", "container"}  # the value is deep inside an argument or a result


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
    read: Event | None  # with which the application gets it
    reader: Reader | None
    onward: list[Event]  # with which it gets on to a view
    cut: bool  # the search ended before the request did
    environ: dict[str, str] = field(default_factory=dict)  # header fields; {} if there was none
    erase: Callable[[str], str] = str  # removes the secrets of the request from a text

    @property
    def data(self) -> bytes:
        """All bytes that were received, up to the end of the request."""
        return b"".join(each.data for each in self.received)


def path_of(
    wanted: Wanted,
    number: int,
    files: Iterable[dict[str, Any]],
    sent: bytes,
    views: Collection[tuple[str, int]],
) -> ValuePath:
    """The path of the value with this number from the data that the processes wrote.

    `sent` are the bytes that the client sent, `views` are files and first lines of functions.
    """
    reads: list[dict[str, Any]] = []
    events: list[Event] = []
    outer: set[tuple[int, int]] = set()
    cut = False
    own_ended = 0
    environ: dict[str, str] = {}
    for pid, data in enumerate(files):
        cut = cut or data["cut"]
        own_ended = max(own_ended, data["own_ended"])
        reads += data["received"]
        environ |= data["environ"]
        outer |= {(pid, call) for call in data["outer"]}
        events += [event_of(pid, each, views) for each in data["events"][number]]
    received: list[Received] = []
    start = 0
    for each in sorted(reads, key=lambda read: read["at"]):
        part = sent[start : start + each["size"]]
        start += each["size"]
        if part:  # the end of the connection may be counted as a byte
            received.append(Received(each["at"], each["call"], part, where_of(each)))
    events.sort(key=lambda each: each.at)
    read, reader = reading_of(events, outer, wanted.name)
    passed = onward(events, read)
    if read is not None:
        events = events[: events.index(read) + 1] + passed
    elif own_ended:  # what follows writes the response
        events = [each for each in events if each.at < own_ended]
    places = wanted.places(b"".join(each.data for each in received))
    return ValuePath(wanted, received, places, _steps(events), read, reader, passed, cut, environ)


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
    found.erase = eraser.erase
    for step in found.steps:
        for each in step.events:
            each.text, each.path = eraser.erase(each.text), eraser.erase(each.path)
    found.environ = {key: eraser.erase(value) for key, value in found.environ.items()}
    covered = eraser.blank(found.data.decode("latin-1")).encode("latin-1")
    start = 0
    for number, part in enumerate(found.received):
        end = start + len(part.data)
        found.received[number] = Received(part.at, part.call, covered[start:end], part.where)
        start = end
