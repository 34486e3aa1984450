"""The calls of one request after another, in a server that goes on.

The `Recorder` is for one request; this one tells the requests of a thread apart. What a server
does in one piece, a turn of its loop, is a unit: it is told which functions those are. At the end
of a unit each request that was answered in it is given to `keep`, with the branch it was in, from
reading its octets to sending the answer; and before it those of its connection that led to it, on
whatever thread: in which it was accepted, and octets were read.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, TypeVar

from carboy.dev.explain.places import SYSTEM_CALLS
from carboy.dev.explain.recorder import Call, Thread, clock, toll_of_an_event

MOST = 20_000  # calls of a unit: recording them takes a tenth of a second at most
CONNECTIONS = 200  # whose branches are remembered until their next request
BRANCHES = 20  # of each: a large body is read in many
ACCEPT = socket.socket.accept.__code__

Peer = tuple[str, int]
T = TypeVar("T")
OURS = globals()  # whose calls are no part of a request
log = logging.getLogger("carboy.dev")


@dataclass(slots=True)
class Mark:
    """A request, where it was found on the stack. Without a branch it has all of the unit."""

    number: int
    before: list[Call]  # branches of other turns in which it was accepted and read
    branch: Call | None
    lost: int  # nanoseconds that recording had taken before
    secrets: set[str]  # of the head


@dataclass(slots=True)
class Unit:
    """What a thread does in one piece; `depth` is where on the stack its branches begin."""

    thread: Thread
    depth: int
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Traced:
    """The calls of one request, in order."""

    number: int
    thread: str
    calls: list[Call]
    overflowed: bool
    secrets: set[str] = field(default_factory=set)  # whose text is to be left out


class Tracer:
    """Records while `on()`, on threads that `watch`, and those where a request is begun.

    `units` has the functions that are units, with 1 where their callees are the branches, and 0
    where they are one themselves; `reading` those of branches that read, with what tells whose
    octets, from the frame. `keep` is called when the unit has ended, so that the client has its
    answer. A thread that somebody else profiles is left alone.
    """

    def __init__(
        self,
        keep: Callable[[Traced], object],
        on: Callable[[], bool],
        units: Mapping[CodeType, int] | None = None,
        reading: Mapping[CodeType, Callable[[FrameType], Peer | None]] | None = None,
    ) -> None:
        self.on = on
        self._keep = keep
        self._units = dict(units or {})
        self._reading = dict(reading or {})
        self._open: dict[int, Unit] = {}
        self._before: dict[Peer, list[Call]] = {}
        self._toll = 0
        self._hook = self._event  # one object, to be known again

    def watch(self) -> None:
        """A unit is about to begin on this thread: from here on it is recorded, if it is on."""
        if sys.getprofile() not in (None, self._hook):
            return
        on = self.on()
        self._toll = self._toll or (toll_of_an_event() if on else 0)
        # One that was cut off for its length has not been seen to end.
        self._open.pop(threading.get_ident(), None)
        sys.setprofile(self._hook if on else None)

    # --- the ends of a request, told by whoever answers it

    def begin(self, number: int, peer: Peer, secrets: Callable[[], set[str]] = set) -> None:
        """A request is about to be answered, on this thread. `secrets` are those of its head."""
        profiled = sys.getprofile()
        if profiled not in (None, self._hook):
            return
        began = clock()
        sys.setprofile(None)  # what is done here is nobody's
        ident = threading.get_ident()
        if not self.on():
            self._open.pop(ident, None)
            return
        self._toll = self._toll or toll_of_an_event()
        unit = self._open.get(ident)
        if unit is None or profiled is None:  # it is not recorded from the beginning of a unit
            unit = self._open[ident] = Unit(self._new_thread(), 0)
        stack = unit.thread.stack
        inside = len(stack) > unit.depth and stack[0].code in self._units
        branch = stack[unit.depth] if inside else None
        # Now, not when the answer has been sent: by then the next request may have been read.
        before = self._before.pop(peer, [])
        unit.marks.append(Mark(number, before, branch, unit.thread.lost, secrets()))
        unit.thread.lost += clock() - began
        sys.setprofile(self._hook)

    def cost(self, number: int) -> float:
        """The seconds that recording has taken of a request until now."""
        unit, mark = self._find(number)
        return (unit.thread.lost - mark.lost) / 1e9 if unit and mark else 0.0

    def end(self, number: int) -> None:
        """The answer has been made. What a unit tells of it comes when that has ended."""
        self.aside(lambda: self._end(number))

    def _end(self, number: int) -> None:
        unit, mark = self._find(number)
        if unit and mark and (mark.branch is None or unit.thread.overflowed):
            self._close(threading.get_ident())

    def _find(self, number: int) -> tuple[Unit | None, Mark | None]:
        unit = self._open.get(threading.get_ident())
        marks = unit.marks if unit else []
        return unit, next((mark for mark in marks if mark.number == number), None)

    def aside(self, work: Callable[[], T]) -> T:
        """Do something that is not of the request: it is not recorded, and takes no time."""
        if sys.getprofile() is not self._hook:
            return work()
        began = clock()
        sys.setprofile(None)
        try:
            return work()
        finally:
            if unit := self._open.get(threading.get_ident()):
                unit.thread.lost += clock() - began
            sys.setprofile(self._hook)

    # --- events

    def _event(self, frame: FrameType, event: str, arg: Any) -> None:
        if frame.f_globals is OURS:
            return
        now = clock()
        ident = threading.get_ident()
        unit = self._open.get(ident)
        code = frame.f_code
        if unit is None:
            if event != "call" or code not in self._units:
                return
            unit = self._open[ident] = Unit(self._new_thread(), self._units[code])
        thread = unit.thread
        thread.note(frame, event, arg, now - thread.lost)
        if event == "call" and code in self._reading and len(thread.stack) == unit.depth + 1:
            self._remember(self._reading[code](frame), thread.stack[unit.depth])
        elif event == "return":
            if code is ACCEPT and arg is not None and len(thread.stack) > unit.depth:
                self._remember(arg[1], thread.stack[unit.depth])
            if not thread.stack and code in self._units:
                self._close(ident)  # the answer has been sent
        if thread.overflowed:
            sys.setprofile(None)  # the next request has it again
        thread.lost += clock() - now + self._toll

    def _remember(self, peer: Any, branch: Call) -> None:
        if isinstance(peer, tuple):
            branches = self._before.setdefault(peer[:2], [])
            branches.append(branch)
            del branches[:-BRANCHES]
            for old in list(self._before)[:-CONNECTIONS]:
                self._before.pop(old, None)

    def _close(self, ident: int) -> None:
        unit = self._open.pop(ident)
        unit.thread.end()
        for mark in unit.marks:
            calls = unit.thread.roots if mark.branch is None else [mark.branch]
            before = [b for b in mark.before if b is not mark.branch]
            for each in before:
                _end(each)
            calls = [*before, *calls]
            known = mark.secrets | unit.thread.secrets
            traced = Traced(mark.number, unit.thread.name, calls, unit.thread.overflowed, known)
            try:
                self._keep(traced)
            except Exception:  # out of the hook it would hit whatever runs
                log.exception("The calls of a request could not be kept.")

    def _new_thread(self) -> Thread:
        return Thread(threading.current_thread().name, MOST, SYSTEM_CALLS)


def _end(call: Call) -> int:
    """When a call ended: one that still runs, on another thread, ends with what it has done."""
    if not call.ended:
        call.ended = max([call.began, *(_end(each) for each in call.children[-1:])])
    return call.ended
