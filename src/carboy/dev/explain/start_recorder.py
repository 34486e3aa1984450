"""Records every call of a process, from before a server starts until the process ends.

A `Recorder` records one request; a `StartRecorder` records all that a server does. Start-up makes
hundreds of thousands of calls, nearly all in imports. So a call in `OPAQUE` is recorded, but not
the calls inside of it, except those of modules of the application. Of C functions, only system
calls are recorded, and those of compiled modules that the application calls. After `MOST` calls,
only those are kept that may be steps.

In a child process that is made by fork(), recording continues: the calls that are running on the
stack are copied, so that each call has all its callers. A process writes its recording when it
ends, even if it ends by `os._exit`.

| phase | threads | data they change |
|---|---|---|
| `arm` | main | everything; no other thread records yet |
| recording | each | its own `_Thread`; `_functions` and `_lost` under the lock of the interpreter |
| after fork | the one that forked | everything; no other thread exists in the child |
| `save` | the one that ends the process | nothing; recording is off before it reads |
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from _socket import socket as CSocket  # its methods run no code of subclasses
from collections.abc import Callable, Collection
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from carboy.dev.explain import places, recording
from carboy.dev.explain.places import PYTHON, SITES, Place
from carboy.dev.explain.recorder import (
    LEAVES,
    VARARGS,
    VARKEYWORDS,
    _name,
    clock,
    overhead_of_an_event,
)  # fmt: skip
from carboy.dev.explain.recording import MODULE, Function, Process, RecordedCall
from carboy.dev.explain.value_recorder import ValueRecorder
from carboy.dev.explain.values import arguments, brief

MOST = 60_000  # calls of a process, of which Flask on its own server needs about 2,000
IMPORT = ("<frozen importlib._bootstrap>", "_find_and_load")
# (module, qualified name) of functions whose inside is not recorded: why
OPAQUE = {
    ("importlib._bootstrap", "_find_and_load"): "in imports",
    ("re", "_compile"): "while regular expressions were compiled",
    ("jinja2.environment", "Environment.compile"): "while templates were compiled",
    ("werkzeug.routing.rules", "Rule._compile_builder"): "while URL rules were compiled",
    ("importlib.metadata", "version"): "while the metadata of packages was read",
}
TOO_MANY = f"after the first {MOST:,} calls"
# Names of C functions that are recorded: methods of sockets, and the functions in FUNCTIONS.
C_NAMES = frozenset((
    "_accept", "bind", "close", "connect", "detach", "fork", "listen", "recv", "recv_into",
    "recvfrom", "recvmsg", "send", "sendall", "sendfile", "sendmsg", "setsockopt", "shutdown",
))  # fmt: skip
FUNCTIONS = {"fork", "sendfile"}
END = "_exit"  # os._exit, which runs no exit functions
OURS = globals()  # frames of this module are not recorded


class _Called:
    """A function, and what the recorder does with its calls."""

    __slots__ = ("code", "essential", "module", "name", "number", "opaque")

    def __init__(self, number: int, name: str, module: str, code: CodeType | None) -> None:
        self.number = number
        self.name = name
        self.module = module
        self.code = code  # None for a C function and for an import
        self.opaque = ""  # the reason why its inside is not recorded
        self.essential = code is None  # kept after MOST calls


class _Open:
    """A call that is running."""

    __slots__ = ("call", "called", "frame", "nearest", "resumes")

    def __init__(
        self, frame: FrameType | None, called: _Called, call: RecordedCall | None, nearest: int
    ) -> None:
        self.frame = frame  # None for a C function
        self.called = called
        self.call = call  # None if it is left out
        self.nearest = nearest  # the number of this call, or of the nearest one that is kept
        self.resumes: _Open | None = None  # the opaque call that continues when it ends


class _Thread:
    """The state of one thread."""

    __slots__ = ("number", "opaque", "stack")

    def __init__(self, number: int) -> None:
        self.number = number
        self.stack: list[_Open] = []
        self.opaque: _Open | None = None  # the call whose inside is not recorded


class StartRecorder:
    """Records this process, and those it forks, from `arm` until they end.

    Each writes a file into `folder`. `essential` are qualified names of functions whose calls are
    kept after `MOST` calls. `roles` gives the roles of the application's functions, at the end.
    """

    def __init__(
        self,
        folder: Path,
        essential: Collection[str] = (),
        roles: Callable[[], dict[tuple[CodeType, str], str]] = dict,
        most: int = MOST,
        watcher: ValueRecorder | None = None,
    ) -> None:
        self._folder = folder
        self._essential = frozenset(essential)
        self._roles = roles
        self._most = most
        self._watcher = watcher  # is asked about system calls, too
        if watcher is not None:
            watcher.on_spent = self._lose
        self._own: dict[str, bool] = {}  # file: whether it is the application's
        self._listeners: set[int] = set()  # descriptors of sockets that accept connections
        self._hook = self._event  # one object, so that it can be compared
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._on = False
        self._overhead = 0
        self._lost = 0  # nanoseconds that recording took
        self._local = threading.local()
        self._functions: list[_Called] = []
        self._by_code: dict[object, _Called] = {}
        self._threads: list[str] = []
        self._calls: list[RecordedCall] = []
        self._left_out: dict[str, int] = {}
        self._secrets: set[str] = set()

    # --- start and end

    def arm(self) -> None:
        """Record from now on: this thread, threads that start later, and child processes."""
        self._overhead = overhead_of_an_event()
        self._on = True
        os.register_at_fork(after_in_child=self._forked)
        atexit.register(self.save)
        threading.setprofile(self._hook)
        sys.setprofile(self._hook)

    def _lose(self, spent: int) -> None:
        self._lost += spent

    def save(self) -> None:
        """Stop recording and write the file of this process. A second call does nothing."""
        sys.setprofile(None)
        threading.setprofile(None)
        if not self._on:
            return
        self._on = False
        if self._watcher is not None:
            self._watcher.save()
        file = self._folder / f"{self._pid}.json"
        unfinished = file.with_suffix(".tmp")
        unfinished.write_text(recording.write(self.recorded()), "utf-8", "surrogatepass")
        unfinished.rename(file)

    def recorded(self) -> Process:
        """The recording of this process so far."""
        roles = self._roles()
        now = clock() - self._lost
        calls = list(self._calls)
        for call in calls:
            call.ended = call.ended or now
        return Process(
            self._pid,
            places.version_of(PYTHON),
            [self._function(each, roles) for each in self._functions],
            self._threads,
            calls,
            self._left_out,
            sorted(self._secrets),
        )

    def _function(self, called: _Called, roles: dict[tuple[CodeType, str], str]) -> Function:
        code = called.code
        if code is None:
            return Function(called.name, called.module, _place_without_code(called))
        role = roles.get((code, code.co_filename), "")
        return Function(called.name, called.module, places.of_code(code), role)

    def _forked(self) -> None:
        """In a new process: forget the calls of the parent, except those that are running."""
        sys.setprofile(None)
        on, overhead, calls, lost = self._on, self._overhead, self._calls, self._lost
        functions, by_code = self._functions, self._by_code
        before: _Thread | None = getattr(self._local, "thread", None)
        self._reset()
        self._on, self._overhead, self._lost = on, overhead, lost
        self._functions, self._by_code = functions, by_code
        thread = self._new_thread()
        nearest = -1
        for each in before.stack if before else ():
            if each.call is not None:
                old = calls[each.nearest]
                each.call = RecordedCall(
                    old.function, old.caller, old.line, nearest, 0, old.at, old.began, 0, old.args,
                    copied=True,
                )  # fmt: skip
                nearest = len(self._calls)
                self._calls.append(each.call)
            each.nearest = nearest
            thread.stack.append(each)
        thread.opaque = before.opaque if before else None
        sys.setprofile(self._hook if on else None)

    # --- events

    def _event(self, frame: FrameType, event: str, arg: Any) -> None:
        if not self._on or frame.f_globals is OURS:
            return
        try:
            thread = self._local.thread
        except AttributeError:
            thread = self._new_thread()
        if thread.opaque is not None and self._passes_over(thread, frame, event):
            self._lost += self._overhead
            return
        now = clock()
        if self._watcher is not None and event.startswith("c_"):
            self._watcher.system_call(frame, event, arg)
        if event == "call":
            self._enter_python(thread, frame, now)
        elif event == "return":
            self._leave_python(thread, frame, arg, now)
        elif event == "c_call":
            self._enter_c(thread, frame, arg, now)
        elif thread.stack and thread.stack[-1].frame is None:
            self._leave_c(thread, event, arg, now)
        self._lost += clock() - now + self._overhead

    def _passes_over(self, thread: _Thread, frame: FrameType, event: str) -> bool:
        """Whether an event inside of an opaque call is ignored."""
        assert thread.opaque is not None
        if event == "return":
            return frame is not thread.opaque.frame
        if event != "call":
            return True
        code = frame.f_code
        if code.co_name == MODULE and self._is_own(code.co_filename):
            return False
        reason = thread.opaque.called.opaque
        self._left_out[reason] = self._left_out.get(reason, 0) + 1
        return True

    def _enter_python(self, thread: _Thread, frame: FrameType, now: int) -> None:
        code = frame.f_code
        called = self._by_code.get(id(code)) or self._new_function(frame, code)
        if called.opaque == "in imports":
            called = self._imported(str(frame.f_locals.get("name")), called.opaque)
        opened = self._enter(thread, frame, called, frame.f_back, now)
        if opened.call is not None and called.code is not None and code.co_name != MODULE:
            opened.call.args = _arguments(frame, self._secrets)
        opened.resumes = thread.opaque
        thread.opaque = opened if called.opaque else None

    def _leave_python(self, thread: _Thread, frame: FrameType, value: Any, now: int) -> None:
        stack = thread.stack
        if not any(each.frame is frame for each in reversed(stack)):
            return  # called before the recording began
        while True:
            opened = stack.pop()
            call = opened.call
            if call is not None:
                call.ended = max(call.began, now - self._lost)
            if opened.frame is frame:
                break
        thread.opaque = opened.resumes
        if call is None:
            return
        call.last = frame.f_lineno or 0
        code = frame.f_code
        if value is None and code.co_code[frame.f_lasti] not in LEAVES:
            call.raised = True
        elif code.co_name != MODULE:
            call.result = brief(value)

    def _enter_c(self, thread: _Thread, frame: FrameType, function: Any, now: int) -> None:
        name = function.__name__
        if name == END:
            self.save()
        elif name in C_NAMES and (full := _system_call(function)):
            called = self._by_code.get(full) or self._new_c_function(full)
            opened = self._enter(thread, None, called, frame, now)
            if opened.call is not None:
                opened.call.args = _ends(function.__self__, self._listeners)
            if name == "listen":
                self._listeners.add(CSocket.fileno(function.__self__))
            elif name == "close" and isinstance(function.__self__, CSocket):
                self._listeners.discard(CSocket.fileno(function.__self__))
        elif self._is_own(frame.f_code.co_filename) and (module := _compiled_module(function)):
            full = f"{module}.{_name(function)}"
            called = self._by_code.get(full) or self._new_c_function(full, module)
            self._enter(thread, None, called, frame, now)

    def _leave_c(self, thread: _Thread, event: str, function: Any, now: int) -> None:
        opened = thread.stack[-1]
        module = opened.called.module
        if opened.called.name != (
            f"{module}.{_name(function)}" if module else _system_call(function)
        ):
            return
        thread.stack.pop()
        call = opened.call
        if call is not None:
            call.ended = max(call.began, now - self._lost)
            call.raised = event == "c_exception"
            if function.__name__ == "bind" and not call.raised:
                call.result = dict(_ends(function.__self__, set())).get("own", "")

    def _enter(
        self,
        thread: _Thread,
        frame: FrameType | None,
        called: _Called,
        caller: FrameType | None,
        now: int,
    ) -> _Open:
        stack = thread.stack
        above = stack[-1].nearest if stack else -1
        call = None
        limit = 2 * self._most if called.essential else self._most
        if len(self._calls) < limit:
            by, line = -1, 0
            if caller is not None and caller.f_globals is not OURS:
                code = caller.f_code
                known = self._by_code.get(id(code)) or self._new_function(caller, code)
                by, line = known.number, caller.f_lineno or 0
            call = RecordedCall(
                called.number, by, line, above, thread.number, now, now - self._lost, 0
            )
            # Another thread may append in between; the list says where this call is.
            self._calls.append(call)
            above = len(self._calls) - 1
            if self._calls[above] is not call:
                above = self._calls.index(call)
        else:
            self._left_out[TOO_MANY] = self._left_out.get(TOO_MANY, 0) + 1
        opened = _Open(frame, called, call, above)
        stack.append(opened)
        return opened

    # --- tables

    def _new_thread(self) -> _Thread:
        thread = self._local.thread = _Thread(len(self._threads))
        # current_thread() would register a thread that the threading module does not know yet.
        known = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
        self._threads.append(known.name if known else "")
        return thread

    def _new_function(self, frame: FrameType, code: CodeType) -> _Called:
        module = frame.f_globals.get("__name__") or ""
        name = code.co_qualname
        called = self._add(id(code), name, module, code)
        called.essential = name in self._essential
        called.opaque = OPAQUE.get((module, name), "")
        if (code.co_filename, name) == IMPORT:
            called.opaque = "in imports"
        return called

    def _new_c_function(self, name: str, module: str = "") -> _Called:
        """A system call, or a function of a compiled module."""
        called = self._add(name, name, module, None)
        called.essential = not module
        return called

    def _imported(self, name: str, reason: str) -> _Called:
        key = f"import {name}"
        called = self._by_code.get(key) or self._add(key, key, "importlib", None)
        called.opaque = reason
        called.essential = False
        return called

    def _add(self, key: object, name: str, module: str, code: CodeType | None) -> _Called:
        called = _Called(len(self._functions), name, module, code)
        self._functions.append(called)
        if self._functions[called.number] is not called:  # another thread added one
            called.number = self._functions.index(called)
        self._by_code[key] = called
        return called

    def _is_own(self, file: str) -> bool:
        found = self._own.get(file)
        if found is None:
            found = self._own[file] = not file.startswith("<") and _is_the_applications(file)
        return found


def _is_the_applications(file: str) -> bool:
    path = Path(file)
    if SITES & set(path.parts):
        return False
    return not any(path.is_relative_to(each) for each in (*places.LIBRARY, places.CARBOY))


def _arguments(frame: FrameType, secrets: set[str]) -> tuple[tuple[str, str], ...]:
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & VARARGS) + bool(code.co_flags & VARKEYWORDS)
    if not count:
        return ()
    values = frame.f_locals
    return arguments({name: values.get(name) for name in code.co_varnames[:count]}, secrets)


def _system_call(function: Any) -> str:
    """The name of a C function that is recorded, or "".

    The qualified name would have the class of the object, which may be a subclass.
    """
    if isinstance(function.__self__, CSocket):
        return f"socket.{function.__name__}"
    return function.__name__ if function.__name__ in FUNCTIONS else ""


def _compiled_module(function: Any) -> str:
    """The compiled module of a C function, or "" if the module belongs to Python.

    A method has no module. It is that of the class that defines it, which may be a base class.
    """
    module, name = function.__module__, function.__name__
    if module is None:
        classes = type(function.__self__).__mro__
        module = next((each.__module__ for each in classes if name in each.__dict__), None)
    is_pythons = type(module) is not str or module.partition(".")[0] in sys.stdlib_module_names
    return "" if is_pythons else module


def _place_without_code(called: _Called) -> Place:
    if called.module == "importlib":
        return Place("", 0, 0, PYTHON, PYTHON, "")
    if called.module:
        package = places.distribution_of(called.module.partition(".")[0])
        return Place("", 0, 0, package, places.C_CODE, "")
    return places.of_c(called.name)


def _ends(sock: Any, listeners: set[int]) -> tuple[tuple[str, str], ...]:
    """The addresses of a socket, which show what a system call is for.

    `own` is that of its own end, `peer` that of the other end. A socket that accepts connections
    has `listens` instead.
    """
    if not isinstance(sock, CSocket):
        return ()
    try:
        found = [("own", _address(CSocket.getsockname(sock)))]
    except OSError:
        return ()
    if CSocket.fileno(sock) in listeners:
        return (*found, ("listens", "True"))
    try:
        found.append(("peer", _address(CSocket.getpeername(sock))))
    except OSError:
        pass  # it is not connected
    return tuple(found)


def _address(name: Any) -> str:
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else brief(name)
