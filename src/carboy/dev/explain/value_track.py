"""One value that is followed: the texts and places that hold it, and the events.

A text that is equal to the value is not always the value. A text counts if it did not exist before
the request arrived, does not belong to another name, and, if it is short, is in a call that holds
the value already or was called by one that does.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from carboy.dev.explain.value_scan import Found, isinstance_of
from carboy.dev.explain.wanted_value import Matcher, Wanted

AROUND = 24  # characters shown on each side of the value
MOST_SHOWN = 80  # characters of the value


class State:
    """The relation of one call to one value."""

    __slots__ = ("context", "known", "returned", "touched", "whole")

    def __init__(self) -> None:
        self.context = False  # it holds the value with its name
        self.whole = False  # it holds the value alone, or has got it from a function
        self.returned = False  # it returns the value alone
        self.known: dict[str, object] = {}  # variables that hold the value: their text
        self.touched = False  # it holds the value, or called a function that does


class Holder:
    """A call that is traced."""

    __slots__ = ("above", "count", "filled", "is_outer", "is_own", "line", "number", "states")

    def __init__(
        self, number: int, above: Holder | None, is_own: bool, line: int, values: int
    ) -> None:
        self.number = number
        self.above = above
        self.is_own = is_own  # code of the application
        self.is_outer = False  # a library, which it called, has called the application again
        self.line = line  # the line that is running
        self.count = 0  # of lines
        self.filled = 0  # bytes that it has received into a buffer
        self.states = [State() for _ in range(values)]
        if is_own:
            self._mark_outer()

    def _mark_outer(self) -> None:
        each, passed = self.above, False
        while each is not None:
            passed = passed or not each.is_own
            each.is_outer = each.is_outer or (each.is_own and passed)
            each = each.above


class Track:
    """One value that is followed."""

    def __init__(self, number: int, wanted: Wanted) -> None:
        self.matcher = Matcher(wanted)
        self.events: list[dict[str, Any]] = []
        self._number = number
        self._known: dict[tuple[int, str], Any] = {}  # places that hold the value, kept alive
        self._items: set[tuple[int, int]] = set()  # a container and a text in it
        self._others: dict[int, object] = {}  # equal texts that are another value, kept alive
        self._texts: dict[int, object] = {}  # texts that are the value, kept alive

    def state(self, holder: Holder) -> State:
        """The relation of the call to this value."""
        return holder.states[self._number]

    def exclude(self, text: str | bytes) -> None:
        """This object is not the value, although it is equal."""
        if len(text) > 1:  # Python has each single character only once
            self._others[id(text)] = text

    def accepts(self, found: Found, holder: Holder, frame: FrameType) -> bool:
        """Whether the text is the value."""
        if found.is_value and self._is_another(found, frame):
            return False
        state = self.state(holder)
        is_same = id(found.text) in self._texts
        if found.is_bare and not is_same:
            return False
        is_sure = not found.is_value or self.matcher.is_long or found.place in self._known
        above = holder.above
        if found.is_value and len(found.text) == 1 and not found.is_named:
            # Python has each single character only once, so the text itself says nothing.
            is_sure = found.place in self._known or state.context or state.whole
            is_sure = is_sure or bool(above and self.state(above).whole)
            if not is_sure and not self.matcher.is_among(frame.f_locals.values()):
                return False
        elif not (is_sure or is_same or state.touched or (above and self.state(above).touched)):
            return False
        state.touched = True
        state.whole = state.whole or found.is_value
        state.context = state.context or not found.is_value
        if len(found.text) > 1:  # Python has each single character only once
            self._texts[id(found.text)] = found.text
        return True

    def _is_another(self, found: Found, frame: FrameType) -> bool:
        """Whether the text is an equal value of another name, or older than the request."""
        is_other = found.is_other or id(found.text) in self._others or is_constant(found.text)
        if not is_other and found.place == (0, ""):
            is_other = self.matcher.is_about_another(frame.f_locals.values())
            is_other = is_other or self.matcher.is_read_of_another(found.path)
        if is_other:
            self.exclude(found.text)
        return is_other

    def remember(self, holder: Holder, found: Found) -> bool:
        """Keep that the value is there; whether this is news."""
        if found.place == (0, ""):
            known = self.state(holder).known
            is_new = known.get(found.path) != found.text
            known[found.path] = found.text
            return is_new
        kept = self._known.get(found.place)
        self._known[found.place] = (found.container, found.text)
        # In a list from which items are taken, an item that moves is not stored again.
        item = (id(found.container), id(found.text))
        is_moved = item in self._items and isinstance_of(found.container, (list, deque))
        self._items.add(item)
        return (kept is None or kept[1] != found.text) and not is_moved

    def excerpt(self, found: Found) -> str:
        """The text around the value."""
        text = found.text
        at, size = (0, min(len(text), 60)) if found.is_value else self.matcher.place_in(text)
        around = 0 if found.is_buffer else AROUND
        first, last = max(0, at - AROUND), at + min(size, MOST_SHOWN) + around
        start = "…" if first else ""
        end = "…" if last < len(text) else ""
        return f"{start}{text[first:last]!r}{end}"


def is_constant(text: str | bytes) -> bool:
    """Whether the text is a name or a constant of a program, which Python has only once."""
    if type(text) is not str or len(text) < 2:
        return False
    copy = "".join(list(text))
    return sys.intern(copy) is text


def texts_before(tracks: Sequence[Track]) -> Iterator[tuple[Track, str | bytes]]:
    """Texts equal to a value that the objects of this process hold, before the value arrives."""
    for each in gc.get_referents(*gc.get_objects()):
        if type(each) is str or type(each) is bytes:
            for track in tracks:
                if each in track.matcher.forms:
                    yield track, each
