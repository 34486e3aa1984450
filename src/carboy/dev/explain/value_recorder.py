"""Records which calls hold values of the request, and on which lines they get them.

How many bytes a call of `recv` took is seen at the queue of the socket, before and after the call.
From then on, `sys.settrace` reports each line. After a line, the variables are searched for the
values: a variable or a part of an object that did not hold one before got it on that line.

Tracing each line is slow. Lines are reported until searches took `BUDGET` seconds, and for
the first `LINES` lines of a call.
"""

from __future__ import annotations

import contextlib
import json
import linecache
import os
import select
import socket
import struct
import threading
from _socket import socket as CSocket  # its methods run no code of subclasses
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import thread_time_ns
from types import FrameType
from typing import Any

from carboy.dev.explain import value_frames
from carboy.dev.explain.expressions import reads_of
from carboy.dev.explain.recorder import VARARGS, VARKEYWORDS, clock
from carboy.dev.explain.value_scan import Found, search
from carboy.dev.explain.value_track import Holder, Track, texts_before
from carboy.dev.explain.wanted_value import Wanted

fcntl: Any = None
termios: Any = None
with contextlib.suppress(ImportError):  # not available on Windows
    import fcntl
    import termios

READS = {"recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"}
ARRIVED_AT = 128  # the place of tcpi_bytes_received in the struct tcp_info of Linux
PATIENCE = 2000  # milliseconds to wait for bytes before a call of recv that waits itself
BUDGET = 30.0  # seconds of processor time for searches
SAMPLE = 16  # searches of which one is measured
LINES = 2000  # of one call that are examined
FILLS = {"readinto", "readinto1", "recv_into"}  # functions that fill a buffer
MOST_EVENTS = 20_000
IN_ENVIRON = ("HTTP_", "CONTENT_")  # the start of the names of header fields
OURS = globals()  # frames of this module are not recorded

Trace = Any  # the type of trace functions, which return themselves


def is_available() -> bool:
    """Whether this system tells how many bytes wait in the queue of a socket."""
    return fcntl is not None and hasattr(select, "poll")


class ValueRecorder:
    """Records this process. It is asked about system calls by the recorder of calls."""

    def __init__(self, wanted: Sequence[Wanted], port: int, folder: Path) -> None:
        self.on_spent: Callable[[int], None] = _ignore  # is called with nanoseconds
        self._tracks = [Track(number, each) for number, each in enumerate(wanted)]
        self._matchers = [track.matcher for track in self._tracks]
        self._clean: dict[int, str | bytes] = {}  # texts that hold none of the values
        self._port = port
        self._folder = folder
        self._spent = 0  # nanoseconds of processor time, estimated
        self._searches = 0
        self._active = False  # bytes have arrived
        self._failed = False  # an exception of the recorder's own ended the recording
        self._received: list[dict[str, Any]] = []
        self._queues: dict[int, int] = {}  # thread: bytes taken from the queue before recv
        self._open: dict[int, Holder] = {}
        self._own: list[Holder] = []  # calls of the application's functions
        self._environ: dict[str, str] = {}  # header fields in the first WSGI environ
        self._own_ended = 0  # when a function of the application returned last
        self._count = 0
        self._reads: set[tuple[int, int, int, str]] = set()
        self.note_exception: Callable[[FrameType, BaseException], None] = lambda *_: None

    # --- start and end

    def arm(self) -> None:
        """Record from now on. The recorder of calls gives the trace functions of its frames."""
        os.register_at_fork(after_in_child=self._forget)

    def save(self) -> None:
        """Stop, and write the file of this process if bytes have arrived."""
        if self._active:
            self._active = False
            data = {
                "received": self._received,
                "events": [track.events for track in self._tracks],
                "outer": [holder.number for holder in self._own if holder.is_outer],
                "own_ended": self._own_ended,
                "cut": self._is_over(),
                "environ": self._environ,
            }
            text = json.dumps(data)
            (self._folder / f"{os.getpid()}.value").write_text(text, "utf-8")

    def _forget(self) -> None:
        """In a new process: forget what the parent has recorded."""
        self._received = []
        for track in self._tracks:
            track.events = []

    # --- the bytes

    def system_call(self, frame: FrameType, event: str, function: Any) -> None:
        """An event of `sys.setprofile` for a C function."""
        if function.__name__ not in READS or not isinstance(function.__self__, CSocket):
            return
        ident = threading.get_ident()
        sock = function.__self__
        try:
            if event == "c_call":
                if self._is_served(sock):
                    _wait(sock)
                    self._queues[ident] = _taken(sock)
                return
            before = self._queues.pop(ident, None)
            size = _taken(sock) - before if before is not None else 0
            if size > 0:
                self._receive(frame, function.__name__, size)
        except (OSError, ValueError):
            pass  # the socket was closed

    def _is_served(self, sock: Any) -> bool:
        try:
            own = CSocket.getsockname(sock)
        except OSError:
            return False
        return isinstance(own, tuple) and own[1] == self._port

    def _receive(self, frame: FrameType, name: str, size: int) -> None:
        began, used = self._begin_search()
        where = value_frames.where(frame, frame.f_lineno)
        self._received.append({"at": began, "call": f"socket.{name}", "size": size, **where})
        if not self._active:
            for track, text in texts_before(self._tracks):
                track.exclude(text)
        self._active = True
        each: FrameType | None = frame
        frames = []
        while each is not None:
            if id(each) not in self._open and value_frames.is_traced(each):
                frames.append(each)
            each = each.f_back
        if innermost := self._open.get(id(frame)):
            innermost.filled = size
        for each in reversed(frames):
            holder = self._new_holder(each)
            holder.filled = size if each is frame else 0
            each.f_trace, each.f_trace_lines = self._local, True
            for track, found in self._search(holder, _variables(each, holder), each):
                if each is frame and found.place == (0, ""):  # the buffer of recv_into
                    self._note(track, "variable", each, holder, each.f_lineno, found)
                track.remember(holder, found)
        self._spend(began, used)

    # --- calls and lines

    def trace(self, frame: FrameType, event: str, arg: Any) -> Trace:
        """A function of `sys.settrace`; None for a frame that is not examined."""
        return self._guarded(self._enter, frame, event, arg)

    def _local(self, frame: FrameType, event: str, arg: Any) -> Trace:
        return self._guarded(self._go_on, frame, event, arg)

    def _guarded(self, step: Trace, frame: FrameType, event: str, arg: Any) -> Trace:
        """The result of `step`. An exception of its own would be raised in the application."""
        try:
            return step(frame, event, arg)
        except RecursionError:  # the application is near the limit
            return None
        except Exception:
            self._failed = True
            return None

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Trace:
        if not self._active or not value_frames.is_traced(frame) or self._is_over():
            return None
        began, used = self._begin_search()
        holder = self._new_holder(frame)
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & VARARGS) + bool(code.co_flags & VARKEYWORDS)
        values = _variables(frame, holder)
        if code.co_name in FILLS:  # what is in the buffer before is memory that was used before
            values = {name: each for name, each in values.items() if type(each) is not bytearray}
        given = {name: values[name] for name in code.co_varnames[:count] if name in values}
        if not self._environ and not holder.is_own:
            self._environ = _environ_among(given.values())
        if holder.is_own:
            given |= _converted(given)
        for track, found in self._search(holder, given, frame):
            kind = "argument" if found.place == (0, "") else "inside"
            self._note(track, kind, frame, holder, value_frames.line_of_def(frame), found)
            track.remember(holder, found)
        self._spend(began, used)
        return self._local

    def _go_on(self, frame: FrameType, event: str, arg: Any) -> Trace:
        if event == "exception":
            self.note_exception(frame, arg[1])
        holder = self._open.get(id(frame))
        if holder is None or not self._active:
            return None
        began, used = self._begin_search()
        holder.count += 1
        if holder.count <= LINES and not self._is_over():
            self._after_line(frame, holder)
        if event == "line":
            holder.line = frame.f_lineno
            if holder.is_own:
                self._reading(frame, holder, frame.f_lineno)
        elif event == "return":
            self._returns(frame, holder, arg)
        self._spend(began, used)
        return self._local

    def _after_line(self, frame: FrameType, holder: Holder) -> None:
        """Note the variables and parts of objects that the last line gave the value."""
        if holder.is_own:
            self._reading(frame, holder, holder.line)
        code = linecache.getline(frame.f_code.co_filename, holder.line) if holder.is_own else ""
        for track, found in self._search(holder, _variables(frame, holder), frame):
            is_new = track.remember(holder, found)
            if is_new and not (found.is_value and track.matcher.is_read_of_another(code)):
                kind = "variable" if found.place == (0, "") else "stored"
                self._note(track, kind, frame, holder, holder.line, found)

    def _reading(self, frame: FrameType, holder: Holder, line: int) -> None:
        """Note what a line of the application reads from a dictionary."""
        for text, value in reads_of(frame, line):
            for track, found in self._search(holder, {text: value}, frame):
                key = (id(track), holder.number, line, text)
                if found.place == (0, "") and key not in self._reads:
                    self._reads.add(key)
                    self._note(track, "read", frame, holder, line, found, text)

    def _returns(self, frame: FrameType, holder: Holder, value: Any) -> None:
        names = {"result": value} if value is not None else {}
        for track, found in self._search(holder, names, frame):
            kind = "returned" if found.place == (0, "") else "container"
            track.state(holder).returned = found.is_value
            self._note(track, kind, frame, holder, holder.line, found)
            track.remember(holder, found)
        above = holder.above
        if above is not None:
            for state, outer in zip(holder.states, above.states, strict=True):
                outer.touched = outer.touched or state.touched
                outer.whole = outer.whole or state.returned
        if holder.is_own:
            self._own_ended = clock()
        self._open.pop(id(frame), None)

    # --- what is known

    def _search(
        self, holder: Holder, names: dict[str, Any], frame: FrameType
    ) -> list[tuple[Track, Found]]:
        accepted = []
        for number, found in search(names, self._matchers, clean=self._clean):
            track = self._tracks[number]
            if track.accepts(found, holder, frame):
                accepted.append((track, found))
        return accepted

    def _note(
        self, track: Track, kind: str, frame: FrameType, holder: Holder, line: int, found: Found,
        expression: str = "",
    ) -> None:  # fmt: skip
        if len(track.events) >= MOST_EVENTS:
            return
        caller = frame.f_back
        above = holder.above
        event = {
            "at": clock(),
            "kind": kind,
            "call": holder.number,
            "path": found.path,
            "text": track.excerpt(found),
            "whole": found.is_value,
            "expression": expression,
            "caller": None,
            # The caller had the value before.
            "again": above is not None and bool(track.state(above).known),
            **value_frames.where(frame, line),
        }
        if caller is not None and value_frames.is_traced(caller):
            event["caller"] = value_frames.where(caller, caller.f_lineno)
            event["caller_call"] = above.number if above else 0
            if kind in ("returned", "container"):
                event["expression"] = value_frames.expression(caller)
        self._note_readers(track, event, frame)
        track.events.append(event)

    def _note_readers(self, track: Track, event: dict[str, Any], frame: FrameType) -> None:
        """Note the code of the application for which this happens."""
        running = list(value_frames.own_frames(frame))
        event["owns"] = [[each.f_code.co_filename, each.f_code.co_firstlineno] for each in running]
        if running and running[0] is not frame:
            nearest = running[0]
            holder = self._open.get(id(nearest))
            event["reader"] = {
                "call": holder.number if holder else 0,
                "expression": value_frames.expression(nearest),
                "has_name": track.matcher.is_among(nearest.f_locals.values()),
                **value_frames.where(nearest, nearest.f_lineno),
            }

    def _new_holder(self, frame: FrameType) -> Holder:
        self._count += 1
        above = self._open.get(id(frame.f_back)) if frame.f_back else None
        own = value_frames.is_own(frame)
        holder = Holder(self._count, above, own, frame.f_lineno, len(self._tracks))
        self._open[id(frame)] = holder
        if own:
            self._own.append(holder)
        return holder

    def _begin_search(self) -> tuple[int, int]:
        """The time, and the processor time of this thread if the search is one of the measured."""
        self._searches += 1
        return clock(), 0 if self._searches % SAMPLE else thread_time_ns()

    def _spend(self, began: int, used: int) -> None:
        """Count the time of a search.

        The budget is in processor time, so that a busy machine does not end the search earlier.
        To read it is a system call, which takes longer than most searches, so one in SAMPLE is
        measured.
        """
        if used:
            self._spent += SAMPLE * (thread_time_ns() - used)
        self.on_spent(clock() - began)

    def _is_over(self) -> bool:
        return self._failed or self._spent > BUDGET * 1e9


def _ignore(spent: int) -> None:
    pass


def _variables(frame: FrameType, holder: Holder) -> dict[str, Any]:
    """The variables of a frame. A buffer for the socket has no more than was received into it."""
    found = dict(frame.f_locals)
    for name, each in frame.f_locals.items():
        if type(each) is memoryview:
            with contextlib.suppress(ValueError):  # a buffer that was released
                if not each.readonly:
                    found[name] = bytes(each[: holder.filled])
    return found


def _converted(given: dict[str, Any]) -> dict[str, str]:
    """Numbers, which a converter of a rule may have made of a part of the path, as text."""
    return {name: str(each) for name, each in given.items() if type(each) in (int, float)}


def _environ_among(values: Iterable[Any]) -> dict[str, str]:
    """The header fields in the WSGI environ of a call, if it gets one."""
    for each in values:
        if type(each) is dict and "wsgi.input" in each and "wsgi.errors" in each:
            return {
                key: value
                for key, value in list(each.items())
                if type(key) is str and type(value) is str and key.startswith(IN_ENVIRON)
            }
    return {}


def _wait(sock: Any) -> None:
    """Wait for bytes where the next call of recv would wait, so that it finds the same bytes."""
    timeout = CSocket.gettimeout(sock)
    if timeout != 0:
        poll = select.poll()
        poll.register(CSocket.fileno(sock), select.POLLIN)
        poll.poll(PATIENCE if timeout is None else min(PATIENCE, timeout * 1000))


def _taken(sock: Any) -> int:
    """How many bytes were taken from the queue of a socket so far.

    Where the system does not count the bytes that arrived, the number is relative: only the
    difference of two results has a meaning, and bytes that arrive in between are not counted.
    """
    while True:
        arrived = _arrived(sock)
        unread = array("i", [0])
        fcntl.ioctl(CSocket.fileno(sock), termios.FIONREAD, unread)
        if _arrived(sock) == arrived:
            return arrived - unread[0]


def _arrived(sock: Any) -> int:
    try:
        info = CSocket.getsockopt(sock, socket.IPPROTO_TCP, socket.TCP_INFO, ARRIVED_AT + 8)
    except (OSError, AttributeError):
        return 0
    return struct.unpack_from("Q", info, ARRIVED_AT)[0] if len(info) >= ARRIVED_AT + 8 else 0
