"""Finds the expression with which the application reads a value, among all events."""

from __future__ import annotations

import linecache
import re
from collections.abc import Collection, Iterator, Sequence

from carboy.dev.explain.value_events import Event, Reader

# How the application gets a value, from the most exact to the least.
RETURNED = 0  # as a result, as an argument, or from a dictionary
KEPT = 1  # in a variable
INSIDE = 2  # a function that the application called has it
CONTAINED = 3  # in an object that the application gets
OF_ENVIRON = re.compile(r"\w+\['[A-Z_]+'\]|\w+\.environ\b")  # which has everything
EVERYTHING = re.compile(r"\b(environ|headers|META)$")  # an expression for all of a request
IN_LIST = re.compile(r"result\[\d+\]")
MOST_DEEP = 2  # brackets and dots between a result and the value in it
Candidate = tuple[int, Event, Reader]  # the smaller the number, the more exact


def reading_of(
    events: Sequence[Event], outer: Collection[tuple[int, int]], name: str
) -> tuple[Event | None, Reader | None]:
    """The event with which the application gets the value, and where it does so.

    A read in a view, or in a function that a view calls, goes first; then the most exact one; then
    the one in the function that was called last. `outer` are calls of functions of the application
    that wrap others, such as middleware, for which a library works all the time. A library takes
    all parameters apart to give one of them to the application, so the `name` of the value must be
    in the code that reads it, if it is not read directly.
    """
    found = [
        each
        for each in _candidates(events, outer)
        if each[0] in (RETURNED, KEPT) or not name or _mentions(each[2], name)
    ]
    if not found:
        return None, None
    in_view = [each for each in found if each[1].is_for_view]
    found = in_view or found
    best = min(rank for rank, _, _ in found)
    exact = [each for each in found if each[0] == best]
    last = max(reader.call for _, _, reader in exact)
    exact = [each for each in exact if each[2].call == last]
    _, event, reader = _deepest(exact) if best == INSIDE else exact[0]
    return event, reader


def _deepest(found: Sequence[Candidate]) -> Candidate:
    """The last event of the first call that the application makes; `request.args` is not a call."""
    calls = [each for each in found if "(" in each[2].expression] or found
    first = calls[0][2]
    return [each for each in calls if each[2] == first][-1]


def _candidates(events: Sequence[Event], outer: Collection[tuple[int, int]]) -> Iterator[Candidate]:
    for each in events:
        by = each.reader
        if each.kind == "container":
            if each.whole and _is_returned_to_own(each) and IN_LIST.fullmatch(each.path):
                yield RETURNED, each, _caller_of(each)
            elif each.whole and _is_returned_to_own(each) and _is_near(each.path):
                yield CONTAINED, each, _caller_of(each)
        elif not each.whole:
            continue
        elif each.kind == "returned" and _is_returned_to_own(each):
            if not each.again:
                yield RETURNED, each, _caller_of(each)
        elif each.kind == "read":
            yield RETURNED, each, Reader(each.where, each.expression, each.call)
        elif each.where.is_own and each.kind in ("argument", "variable"):
            is_passed = each.caller is not None and each.caller.is_own
            if each.kind == "variable":
                yield KEPT, each, Reader(each.where, "", each.call)
            elif not is_passed:
                yield RETURNED, each, Reader(each.where, "", each.call)
        elif by is not None and _is_inside(each, by, outer):
            yield INSIDE, each, by


def _mentions(reader: Reader, name: str) -> bool:
    """Whether the code has the name, as text, as an attribute, as a key, or in a variable."""
    line = linecache.getline(reader.where.place.file, reader.where.line)
    code = f"{reader.expression} {line}".lower().replace("_", "-")
    plain = re.escape(name.lower().replace("_", "-"))
    return reader.has_name or bool(re.search(rf"(?<![\w-])(http-)?{plain}s?(?![\w-])", code))


def _is_inside(event: Event, by: Reader, outer: Collection[tuple[int, int]]) -> bool:
    is_got = event.kind in ("returned", "variable")
    return is_got and by.call not in outer and not EVERYTHING.search(by.expression)


def _is_returned_to_own(event: Event) -> bool:
    return event.caller is not None and event.caller.is_own and not event.where.is_own


def _caller_of(event: Event) -> Reader:
    assert event.caller is not None
    has_name = event.reader is not None and event.reader.has_name
    call = (event.call[0], event.caller_call)
    return Reader(event.caller, event.expression, call, has_name)


def _is_near(path: str) -> bool:
    """Whether a result is more about the value than about the whole request."""
    return not OF_ENVIRON.match(path) and len(re.findall(r"\[|\.\w", path)) <= MOST_DEEP


def onward(events: Sequence[Event], read: Event | None) -> list[Event]:
    """The events after `read` with which functions of the application return the value."""
    if read is None:
        return []
    found: list[Event] = []
    for each in events[events.index(read) + 1 :]:
        is_between_own = each.where.is_own and each.caller is not None and each.caller.is_own
        if is_between_own and each.kind == "returned" and each.whole:
            found.append(each)
    return found
