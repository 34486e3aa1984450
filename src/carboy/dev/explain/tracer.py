"""Records the calls of each request in a running server.

A `Recorder` records one request; a `Tracer` separates the requests of a thread. A unit is what a
server does in one piece, such as a turn of its loop; the server names the functions that are units.
At the end of a unit, `keep` is called for each request that was answered in it, with the branch of
calls from reading the request to sending the response. Earlier branches of the same connection, in
which it was accepted and bytes were read, come first; they may have run on other threads.

Code of the application may run on threads that are not the server's, such as that of an event loop.
What runs there in the context of a request belongs to this request, until its unit ends.
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

from carboy.dev.explain.raised import Monitor, Raised
from carboy.dev.explain.recorder import LONGEST, Call, Thread, clock, overhead_of_an_event
from carboy.dev.explain.recursion_limit import RecursionLimit

MOST = 20_000  # calls of a unit; recording them takes at most a tenth of a second
CONNECTIONS = 200  # with branches that wait for the next request
BRANCHES = 20  # of a connection; a large body is read in many
ACCEPT = socket.socket.accept.__code__

Peer = tuple[str, int]
T = TypeVar("T")
OURS = globals()  # frames of this module are not recorded
log = logging.getLogger("carboy.dev")


@dataclass(slots=True)
class Mark:
    """A request and its branch on the stack. Without a branch, it has all calls of the unit."""

    number: int
    before: list[Call]  # earlier branches, in which it was accepted and read
    branch: Call | None
    lost: int  # nanoseconds that recording had taken at its start
    secrets: set[str]  # in its head


@dataclass(slots=True)
class Unit:
    """One unit of work of a thread. Its branches begin at this depth of the stack."""

    thread: Thread
    depth: int
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Traced:
    """The recorded calls of one request, in order."""

    number: int
    thread: str
    calls: list[Call]
    overflowed: bool
    secrets: set[str] = field(default_factory=set)  # texts to remove from the output
    others: list[tuple[str, list[Call]]] = field(default_factory=list)  # calls on other threads


class Tracer:
    """Records while `on()` is true, on threads that call `watch` or `begin`.

    `units` maps the functions that are units to 1 if the functions they call are the branches, or 0
    if the unit itself is the branch. `reading` maps functions that read from a connection to a
    function that finds the peer in the frame. `keep` is called at the end of the unit, when the
    client has its response. A thread with another profiler is not recorded. `owner` returns the
    number of the request in whose context it is called; without it, only the threads of the server
    are recorded. `reach` calls a function on the threads of event loops, which run before the
    recording begins, so that they are recorded too; it calls the function before what the request
    has them run.
    """

    def __init__(
        self,
        keep: Callable[[Traced], object],
        on: Callable[[], bool],
        units: Mapping[CodeType, int] | None = None,
        reading: Mapping[CodeType, Callable[[FrameType], Peer | None]] | None = None,
        owner: Callable[[], int | None] | None = None,
        reach: Callable[[Callable[[], None]], None] = lambda function: None,
    ) -> None:
        self.on = on
        self._reach = reach
        self._reached = False  # threads of event loops are profiled
        self._keep = keep
        self._units = dict(units or {})
        self._reading = dict(reading or {})
        self._owner = owner
        self._open: dict[int, Unit] = {}
        # Of a request: the thread of the server, and others by their number.
        self._others: dict[int, tuple[Thread, dict[int, Thread]]] = {}
        self._before: dict[Peer, list[Call]] = {}
        self._overhead = 0
        self._monitor = Monitor(self._raised)
        self._limit = RecursionLimit()
        self._hook = self._event  # one object, so that it can be compared

    def watch(self) -> None:
        """Called before a unit begins on this thread; switches recording on or off."""
        if sys.getprofile() not in (None, self._hook):
            return
        on = self.on()
        if on:
            self._prepare()
        else:
            self._rest()
        # The end of a unit with too many calls was not recorded.
        if unit := self._open.pop(threading.get_ident(), None):
            unit.thread.raised.settle()
        sys.setprofile(self._hook if on else None)

    # --- start and end of a request, called by the middleware that records it

    def begin(self, number: int, peer: Peer, secrets: Callable[[], set[str]] = set) -> None:
        """A request starts on this thread. `secrets` finds the secrets in its head."""
        profiled = sys.getprofile()
        if profiled not in (None, self._hook):
            return
        began = clock()
        sys.setprofile(None)  # this method is not part of the request
        ident = threading.get_ident()
        if not self.on():
            self._open.pop(ident, None)
            self._rest()
            return
        self._prepare()
        if self._owner is not None:
            self._reached = True
            self._reach(self._join)
        unit = self._open.get(ident)
        if unit is None or profiled is None:  # the unit is not recorded from its beginning
            unit = self._open[ident] = Unit(self._new_thread(), 0)
        stack = unit.thread.stack
        inside = len(stack) > unit.depth and stack[0].code in self._units
        branch = stack[unit.depth] if inside else None
        # Now, because the next request may be read before this response is sent.
        before = self._before.pop(peer, [])
        unit.marks.append(Mark(number, before, branch, unit.thread.lost, secrets()))
        self._others[number] = (unit.thread, {})
        unit.thread.lost += clock() - began
        sys.setprofile(self._hook)

    def _prepare(self) -> None:
        self._overhead = self._overhead or overhead_of_an_event()
        self._monitor.start()
        self._limit.lift()
        if self._owner is not None:
            threading.setprofile(self._hook)

    def _rest(self) -> None:
        """Undo `_prepare`."""
        self._monitor.stop()
        self._limit.restore()
        if threading.getprofile() is self._hook:
            threading.setprofile(None)
        if self._reached:
            self._reached = False
            self._reach(self._leave)

    def _join(self) -> None:
        """On the thread of an event loop: record it, unless it has another profiler."""
        if sys.getprofile() is None and self.on():
            sys.setprofile(self._hook)

    def _leave(self) -> None:
        """On the thread of an event loop: end its recording."""
        if sys.getprofile() is self._hook:
            sys.setprofile(None)

    def cost(self, number: int) -> float:
        """The seconds that recording has added to a request so far."""
        unit, mark = self._find(number)
        return (unit.thread.lost - mark.lost) / 1e9 if unit and mark else 0.0

    def end(self, number: int) -> None:
        """The response is complete. `keep` is called at the end of the unit."""
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
        """Call `work` outside of the recording: neither its calls nor its time are counted."""
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
                self._elsewhere(frame, event, arg, now)
                return
            unit = self._open[ident] = Unit(self._new_thread(), self._units[code])
        thread = unit.thread
        thread.lost += thread.raised.take()
        thread.note(frame, event, arg, now - thread.lost)
        if event == "call":
            self._limit.check(frame, len(thread.stack))
        if event == "call" and code in self._reading and len(thread.stack) == unit.depth + 1:
            self._remember(self._reading[code](frame), thread.stack[unit.depth])
        elif event == "return":
            if code is ACCEPT and arg is not None and len(thread.stack) > unit.depth:
                self._remember(arg[1], thread.stack[unit.depth])
            if not thread.stack and code in self._units:
                self._close(ident)  # the response has been sent
        if thread.overflowed:
            thread.raised.settle()
            sys.setprofile(None)  # switched on again for the next request
        self._count(thread, now)

    def _count(self, first: Thread, began: int) -> None:
        """Recording took the time since `began`."""
        spent = clock() - began
        if first.is_shared:
            spent = min(spent, LONGEST)  # another thread may have run in between
        first.lost += spent + self._overhead

    def _elsewhere(self, frame: FrameType, event: str, arg: Any, now: int) -> None:
        """An event of a thread that is not the server's, or between two units."""
        number = self._owner() if self._owner is not None else None
        found = self._others.get(number) if number is not None else None
        if found is None:
            return
        first, threads = found
        ident = threading.get_ident()
        thread = threads.get(ident)
        if thread is None:
            thread = threads[ident] = self._new_thread()
            first.is_shared = True
        if thread.overflowed:
            return
        # All threads of a request share one clock, which stops while one of them is recorded.
        first.lost += thread.raised.take()
        thread.note(frame, event, arg, now - first.lost)
        self._count(first, now)

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
            _, by_ident = self._others.pop(mark.number, (unit.thread, {}))
            others = list(by_ident.values())
            for thread in others:
                thread.end(thread.last)
            threads = [unit.thread, *others]
            traced = Traced(
                mark.number, unit.thread.name, calls,
                any(thread.overflowed for thread in threads),
                mark.secrets.union(*(thread.secrets for thread in threads)),
                [(thread.name, thread.roots) for thread in others],
            )  # fmt: skip
            try:
                self._keep(traced)
            except Exception:  # an exception in the hook would be raised in the traced code
                log.exception("The calls of a request could not be stored.")

    def _raised(self) -> Raised | None:
        ident = threading.get_ident()
        if unit := self._open.get(ident):
            return unit.thread.raised
        number = self._owner() if self._owner is not None else None
        found = self._others.get(number) if number is not None else None
        thread = found[1].get(ident) if found else None
        return None if thread is None else thread.raised

    def _new_thread(self) -> Thread:
        thread = Thread(threading.current_thread().name, MOST, all_of_c=False)
        thread.compiled.clock = lambda: clock() - thread.lost
        return thread


def _end(call: Call) -> int:
    """Set the end of a call that still runs on another thread to that of its last callee."""
    if not call.ended:
        call.ended = max([call.began, *(_end(each) for each in call.children[-1:])])
    return call.ended
