"""Records which calls hold a value of the request, and on which lines they get it.

How many bytes a call of `recv` took is seen at the queue of the socket, before and after the call.
From then on, `sys.settrace` reports each line. After a line, the variables are searched for the
value: a variable or a part of an object that did not hold it before got it on that line. Text that
is equal to a short value counts only in a call that holds the value already, or called one that
does.

Tracing each line is slow. Lines are reported until `BUDGET` seconds were spent on searches, and for
the first `LINES` lines of a call.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import threading
from _socket import socket as CSocket  # its methods run no code of subclasses
from array import array
from collections import deque
from pathlib import Path
from types import FrameType
from typing import Any

from carboy.dev.explain import places
from carboy.dev.explain.expressions import expression_at, reads_of
from carboy.dev.explain.places import APPLICATION
from carboy.dev.explain.recorder import VARARGS, VARKEYWORDS, clock
from carboy.dev.explain.value_scan import Found, isinstance_of, search
from carboy.dev.explain.wanted_value import Matcher, Wanted

fcntl: Any = None
termios: Any = None
with contextlib.suppress(ImportError):  # not available on Windows
    import fcntl
    import termios

READS = {"recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"}
ARRIVED_AT = 128  # the place of tcpi_bytes_received in the struct tcp_info of Linux
PATIENCE = 2000  # milliseconds to wait for bytes before a call of recv that waits itself
BUDGET = 30.0  # seconds for searches
LINES = 2000  # of one call that are examined
MOST_EVENTS = 20_000
AROUND = 24  # characters shown on each side of the value
OURS = globals()  # frames of this module are not recorded
SKIPPED = (str(Path(__file__).parent), "<frozen ")

Trace = Any  # the type of trace functions, which return themselves


class _Holder:
    """A call that is traced."""

    __slots__ = ("above", "count", "is_own", "known", "line", "number", "touched")

    def __init__(self, number: int, above: _Holder | None, is_own: bool, line: int) -> None:
        self.number = number
        self.above = above
        self.is_own = is_own  # code of the application
        self.line = line  # the line that is running
        self.known: dict[str, object] = {}  # variables that hold the value: their text
        self.touched = False  # it holds the value, or called a function that does
        self.count = 0  # of lines


def is_available() -> bool:
    """Whether this system tells how many bytes wait in the queue of a socket."""
    return fcntl is not None and hasattr(select, "poll")


class ValueRecorder:
    """Records this process. It is asked about system calls by the recorder of calls."""

    def __init__(self, wanted: Wanted, port: int, folder: Path) -> None:
        self._matcher = Matcher(wanted)
        self._port = port
        self._folder = folder
        self._spent = 0
        self._active = False  # bytes have arrived
        self._received: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._known: dict[tuple[int, str], Any] = {}  # places that hold the value, kept alive
        self._items: set[tuple[int, int]] = set()  # a container and a text in it
        self._others: dict[int, object] = {}  # equal texts that are another value, kept alive
        self._queues: dict[int, int] = {}  # thread: bytes taken from the queue before recv
        self._open: dict[int, _Holder] = {}
        self._own_ended = 0  # when a function of the application returned last
        self._count = 0
        self._reads: set[tuple[int, int, str]] = set()

    # --- start and end

    def arm(self) -> None:
        """Trace this thread and threads that start later."""
        os.register_at_fork(after_in_child=self._forget)
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def save(self) -> None:
        """Stop, and write the file of this process if bytes have arrived."""
        sys.settrace(None)
        threading.settrace(None)
        if self._active:
            self._active = False
            data = {
                "received": self._received,
                "events": self._events,
                "own_ended": self._own_ended,
                "cut": self._is_over(),
            }
            text = json.dumps(data)
            (self._folder / f"{os.getpid()}.value").write_text(text, "utf-8")

    def _forget(self) -> None:
        """In a new process: forget what the parent has recorded."""
        self._received, self._events = [], []

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
        self._received.append(
            {
                "at": clock(),
                "call": f"socket.{name}",
                "size": size,
                **_where(frame, frame.f_lineno),
            }
        )
        self._active = True
        each: FrameType | None = frame
        frames = []
        while each is not None:
            if each.f_trace is None and _is_traced(each):
                frames.append(each)
            each = each.f_back
        for each in reversed(frames):
            holder = self._new_holder(each)
            each.f_trace = self._local
            for found in self._search(holder, dict(each.f_locals), each):
                if each is frame and found.place == (0, ""):  # the buffer of recv_into
                    self._note("variable", each, holder, each.f_lineno, found)
                self._remember(holder, found)

    # --- calls and lines

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Trace:
        if not self._active or not _is_traced(frame) or self._is_over():
            return None
        began = clock()
        holder = self._new_holder(frame)
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & VARARGS) + bool(code.co_flags & VARKEYWORDS)
        values = frame.f_locals
        given = {name: values[name] for name in code.co_varnames[:count] if name in values}
        for found in self._search(holder, given, frame):
            kind = "argument" if found.place == (0, "") else "inside"
            self._note(kind, frame, holder, frame.f_lineno, found)
            self._remember(holder, found)
        self._spent += clock() - began
        return self._local

    def _local(self, frame: FrameType, event: str, arg: Any) -> Trace:
        holder = self._open.get(id(frame))
        if holder is None or not self._active:
            return None
        began = clock()
        holder.count += 1
        if holder.count <= LINES and not self._is_over():
            self._after_line(frame, holder)
        if event == "line":
            holder.line = frame.f_lineno
            if holder.is_own:
                self._reading(frame, holder)
        elif event == "return":
            self._returns(frame, holder, arg)
        self._spent += clock() - began
        return self._local

    def _after_line(self, frame: FrameType, holder: _Holder) -> None:
        """Note the variables and parts of objects that the last line gave the value."""
        for found in self._search(holder, dict(frame.f_locals), frame):
            if self._remember(holder, found):
                kind = "variable" if found.place == (0, "") else "stored"
                self._note(kind, frame, holder, holder.line, found)

    def _reading(self, frame: FrameType, holder: _Holder) -> None:
        """Note what the next line of the application reads from a dictionary."""
        for expression, value in reads_of(frame):
            for found in self._search(holder, {expression: value}, frame):
                key = (holder.number, frame.f_lineno, expression)
                if found.place == (0, "") and key not in self._reads:
                    self._reads.add(key)
                    self._note("read", frame, holder, frame.f_lineno, found, expression)

    def _returns(self, frame: FrameType, holder: _Holder, value: Any) -> None:
        above = holder.above
        for found in self._search(holder, {"result": value}, frame) if value is not None else ():
            is_whole = found.place == (0, "")
            self._note("returned" if is_whole else "container", frame, holder, holder.line, found)
            self._remember(holder, found)
        if above is not None and holder.touched:
            above.touched = True
        if holder.is_own:
            self._own_ended = clock()
        self._open.pop(id(frame), None)

    # --- what is known

    def _search(self, holder: _Holder, names: dict[str, Any], frame: FrameType) -> list[Found]:
        accepted = []
        for found in search(names, self._matcher):
            if found.is_value and self._belongs_to_another(found, frame):
                continue
            is_sure = not found.is_value or self._matcher.is_long or found.place in self._known
            if is_sure or holder.touched or (holder.above and holder.above.touched):
                accepted.append(found)
                holder.touched = True
        return accepted

    def _belongs_to_another(self, found: Found, frame: FrameType) -> bool:
        """Whether the text is an equal value of another header, parameter or cookie."""
        is_other = found.is_other or id(found.text) in self._others
        if not is_other and found.place == (0, ""):
            is_other = self._matcher.is_about_another(frame.f_locals.values())
        if is_other and len(found.text) > 1:  # Python has each single character only once
            self._others[id(found.text)] = found.text
        return is_other

    def _remember(self, holder: _Holder, found: Found) -> bool:
        """Keep that the value is there; whether this is news."""
        if found.place == (0, ""):
            is_new = holder.known.get(found.path) != found.text
            holder.known[found.path] = found.text
            return is_new
        kept = self._known.get(found.place)
        self._known[found.place] = (found.container, found.text)
        # In a list from which items are taken, an item that moves is not stored again.
        item = (id(found.container), id(found.text))
        is_moved = item in self._items and isinstance_of(found.container, (list, deque))
        self._items.add(item)
        return (kept is None or kept[1] != found.text) and not is_moved

    def _note(
        self, kind: str, frame: FrameType, holder: _Holder, line: int, found: Found,
        expression: str = "",
    ) -> None:  # fmt: skip
        if len(self._events) >= MOST_EVENTS:
            return
        caller = frame.f_back
        event = {
            "at": clock(),
            "kind": kind,
            "call": holder.number,
            "path": found.path,
            "text": self._excerpt(found),
            "whole": found.is_value,
            "expression": expression,
            "caller": None,
            **_where(frame, line),
        }
        if caller is not None and _is_traced(caller):
            event["caller"] = _where(caller, caller.f_lineno)
            if kind in ("returned", "container"):
                event["expression"] = expression_at(caller)
        self._events.append(event)

    def _excerpt(self, found: Found) -> str:
        """The text around the value."""
        text = found.text
        at, size = 0, min(len(text), 60)
        for form in self._matcher.forms:
            if type(form) is type(text) and (place := text.find(form)) >= 0:  # type: ignore[arg-type]
                at, size = place, len(form)
        first, last = max(0, at - AROUND), at + min(size, 80) + AROUND
        start = "…" if first else ""
        end = "…" if last < len(text) else ""
        return f"{start}{text[first:last]!r}{end}"

    def _new_holder(self, frame: FrameType) -> _Holder:
        self._count += 1
        above = self._open.get(id(frame.f_back)) if frame.f_back else None
        is_own = places.of_code(frame.f_code).room == APPLICATION
        holder = _Holder(self._count, above, is_own, frame.f_lineno)
        self._open[id(frame)] = holder
        return holder

    def _is_over(self) -> bool:
        return self._spent > BUDGET * 1e9


def _is_traced(frame: FrameType) -> bool:
    return not frame.f_code.co_filename.startswith(SKIPPED)


def _where(frame: FrameType, line: int) -> dict[str, Any]:
    code = frame.f_code
    place = places.of_code(code)
    module = frame.f_globals.get("__name__") or ""
    return {
        "function": code.co_qualname,
        "module": module,
        "place": [getattr(place, name) for name in place.__slots__],
        "line": line,
    }


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
