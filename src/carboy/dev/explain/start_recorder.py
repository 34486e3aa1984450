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
| recording | each | its own state; `_functions` and `_lost` under the interpreter's lock |
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

from carboy.dev.explain import generated, places, recording
from carboy.dev.explain.expressions import known_expression_at
from carboy.dev.explain.journal import Journal
from carboy.dev.explain.open_calls import Called, OpenCall, ThreadState, arguments_of
from carboy.dev.explain.places import PYTHON
from carboy.dev.explain.recorder import (
    LEAVES,
    _name,
    clock,
    overhead_of_an_event,
)  # fmt: skip
from carboy.dev.explain.recording import MODULE, Function, Process, RecordedCall
from carboy.dev.explain.recursion_limit import SAID, TIMES
from carboy.dev.explain.system_calls import (
    C_NAMES,
    COUNTS,
    UNKNOWN,
    compiled_module,
    ends,
    moved,
    note_address,
    place_without_code,
    system_call,
)  # fmt: skip
from carboy.dev.explain.value_recorder import ValueRecorder
from carboy.dev.explain.values import brief, exception
from carboy.speedups import RECORDED, speedups

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
LISTENING = "listening"  # the file with the address of the first socket that listens
TOO_MANY = f"after the first {MOST:,} calls"
END = "_exit"  # os._exit, which runs no exit functions
ENDS_OR_BEGINS = frozenset({"call", "return"})  # of a Python function
OURS = globals()  # frames of this module are not recorded


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
        self._watcher = watcher  # is asked about system calls and frames, too
        if watcher is not None:
            watcher.on_spent = self._lose
            watcher.note_exception = self.note_exception
        self._recursion_limit = sys.maxsize  # of the application
        self._own: dict[str, bool] = {}  # file: whether it is the application's
        self._listeners: set[int] = set()  # descriptors of sockets that accept connections
        self._hook = self._event  # one object, so that it can be compared
        self._known_roles: dict[tuple[CodeType, str], str] | None = None
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._on = False
        self._overhead = 0
        self._lost = 0  # nanoseconds that recording took
        self._local = threading.local()
        self._functions: list[Called] = []
        self._by_code: dict[object, Called] = {}
        self._threads: list[str] = []
        self._calls: list[RecordedCall] = []
        self._left_out: dict[str, int] = {}
        self._secrets: set[str] = set()
        self._secret_count = 0  # of those that are in the journal

    # --- start and end

    def arm(self) -> None:
        """Record from now on: this thread, threads that start later, and child processes."""
        self._overhead = overhead_of_an_event()
        places.distribution_of("")  # which looks at all packages
        self._journal = Journal(self._folder, self._pid)
        speedups.interpret(RECORDED)
        # At its limit, Python could not call the hooks either, and would drop them.
        self._recursion_limit = sys.getrecursionlimit()
        sys.setrecursionlimit(TIMES * self._recursion_limit)
        self._on = True
        os.register_at_fork(after_in_child=self._forked)
        atexit.register(self.save)
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        threading.setprofile(self._hook)
        sys.setprofile(self._hook)

    def _lose(self, spent: int) -> None:
        self._lost += spent

    def save(self) -> None:
        """Stop recording and write the file of this process. A second call does nothing."""
        sys.setprofile(None)
        threading.setprofile(None)
        sys.settrace(None)
        threading.settrace(None)
        if not self._on:
            return
        self._on = False
        self._journal.write("l", self._left_out)  # a parent may kill this process now
        if self._watcher is not None:
            self._watcher.save()
        file = self._folder / f"{self._pid}.json"
        unfinished = file.with_suffix(".tmp")
        unfinished.write_text(recording.write(self.recorded()), "utf-8", "surrogatepass")
        unfinished.rename(file)
        self._journal.remove()

    def recorded(self) -> Process:
        """The recording of this process so far."""
        roles = self._roles()
        now = clock() - self._lost
        calls = list(self._calls)
        for call in calls:
            call.is_running = not call.ended
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

    def _function(self, called: Called, roles: dict[tuple[CodeType, str], str]) -> Function:
        code = called.code
        if code is None:
            place = place_without_code(called.module, called.name)
            return Function(called.name, called.module, place)
        role = roles.get((code, code.co_filename), "")
        name = generated.name_of(code, called.name)
        return Function(name, called.module, places.of_code(code), role)

    def _forked(self) -> None:
        """In a new process: forget the calls of the parent, except those that are running."""
        sys.setprofile(None)
        on, overhead, calls, lost = self._on, self._overhead, self._calls, self._lost
        functions, by_code, folder = self._functions, self._by_code, self._folder
        before: ThreadState | None = getattr(self._local, "thread", None)
        self._reset()
        self._on, self._overhead, self._lost = on, overhead, lost
        self._functions, self._by_code = functions, by_code
        self._journal.close()  # that of the parent
        self._journal = Journal(folder, self._pid)
        for called in functions:
            self._note_function(called)
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
                self._journal.call(nearest, each.call)
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
        opaque = thread.opaque
        if opaque is not None and (
            event not in ENDS_OR_BEGINS or self._passes_over(opaque, frame, event)
        ):
            self._lost += self._overhead
            return
        now, lost = clock(), self._lost
        if sys.gettrace() is None:  # it was dropped, for example after a RecursionError
            sys.settrace(self._trace)
        if self._watcher is not None and event.startswith("c_"):
            self._watcher.system_call(frame, event, arg)
        if event == "call":
            self._enter_python(thread, frame, now)
        elif event == "return":
            self._leave_python(thread, frame, arg, now)
        elif event == "c_call":
            self._enter_c(thread, frame, arg, now)
        elif thread.stack and thread.stack[-1].frame is None:
            self._leave_c(thread, frame, event, arg, now)
        self._count_lost(lost, now)

    def _count_lost(self, before: int, began: int) -> None:
        """Recording took the time since `began`. Other threads may have recorded in between."""
        self._lost = max(self._lost, before + clock() - began) + self._overhead

    def _passes_over(self, opaque: OpenCall, frame: FrameType, event: str) -> bool:
        """Whether the begin or the end of a call inside of an opaque call is ignored."""
        if event == "return":
            return frame is not opaque.frame
        code = frame.f_code
        if code.co_name == MODULE and self._is_own(code.co_filename):
            return False
        reason = opaque.called.opaque
        self._left_out[reason] = self._left_out.get(reason, 0) + 1
        return True

    def _enter_python(self, thread: ThreadState, frame: FrameType, now: int) -> None:
        code = frame.f_code
        called = self._by_code.get(id(code)) or self._new_function(frame, code)
        caller = frame.f_back
        if called.opaque == "in imports":
            called = self._imported(str(frame.f_locals.get("name")), called.opaque)
            while caller is not None and caller.f_code.co_filename == IMPORT[0]:
                caller = caller.f_back  # to the statement
        opened = self._enter(thread, frame, called, caller, now)
        if opened.call is not None:
            if called.code is not None and code.co_name != MODULE:
                opened.call.args = arguments_of(frame, self._secrets)
            self._note_call(opened)
        opened.resumes = thread.opaque
        thread.opaque = opened if called.opaque else None

    def _leave_python(self, thread: ThreadState, frame: FrameType, value: Any, now: int) -> None:
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
            if call is not None:
                self._journal.end(opened.nearest, call)
        thread.opaque = opened.resumes
        if call is None:
            return
        call.last = generated.line_of(frame)
        code = frame.f_code
        if value is None and code.co_code[frame.f_lasti] not in LEAVES:
            call.raised = True
            call.result = thread.error if thread.raised_in == id(frame) else ""
        elif code.co_name != MODULE:
            call.result = brief(value)
        self._journal.end(opened.nearest, call)

    def _enter_c(self, thread: ThreadState, frame: FrameType, function: Any, now: int) -> None:
        name = function.__name__
        if name == END:
            self.save()
        elif name in C_NAMES and (full := system_call(function)):
            called = self._by_code.get(full) or self._new_c_function(full)
            if name in COUNTS and self._known_roles is None:
                self._find_roles()
            opened = self._enter(thread, None, called, frame, now)
            opened.moved = moved(function)
            if opened.call is not None:
                opened.call.args = ends(function.__self__, self._listeners)
                self._note_call(opened)
            if name == "listen":
                self._listeners.add(CSocket.fileno(function.__self__))
            elif name == "close" and isinstance(function.__self__, CSocket):
                self._listeners.discard(CSocket.fileno(function.__self__))
        elif self._is_own(frame.f_code.co_filename) and (module := compiled_module(function)):
            full = f"{module}.{_name(function)}"
            called = self._by_code.get(full) or self._new_c_function(full, module)
            self._note_call(self._enter(thread, None, called, frame, now))

    def _leave_c(
        self, thread: ThreadState, frame: FrameType, event: str, function: Any, now: int
    ) -> None:
        opened = thread.stack[-1]
        module = opened.called.module
        if opened.called.name != (
            f"{module}.{_name(function)}" if module else system_call(function)
        ):
            return
        thread.stack.pop()
        call = opened.call
        if call is not None:
            call.ended = max(call.began, now - self._lost)
            call.raised = event == "c_exception"
            if opened.moved != UNKNOWN and (after := moved(function)) != UNKNOWN:
                call.size = after - opened.moved
            thread.failed = (call, opened.nearest, id(frame)) if call.raised else None
            if function.__name__ == "bind" and not call.raised:
                call.result = dict(ends(function.__self__, set())).get("own", "")
            self._journal.end(opened.nearest, call)
            if function.__name__ == "listen" and not call.raised:
                note_address(function.__self__, self._folder / LISTENING)

    def _enter(
        self,
        thread: ThreadState,
        frame: FrameType | None,
        called: Called,
        caller: FrameType | None,
        now: int,
    ) -> OpenCall:
        stack = thread.stack
        above = stack[-1].nearest if stack else -1
        call = None
        limit = 2 * self._most if called.essential else self._most
        if len(self._calls) < limit:
            by, line = -1, 0
            if caller is not None and caller.f_globals is not OURS:
                code = caller.f_code
                known = self._by_code.get(id(code)) or self._new_function(caller, code)
                by, line = known.number, generated.line_of(caller)
            call = RecordedCall(
                called.number, by, line, above, thread.number, now, now - self._lost, 0
            )
            if caller is not None and self._is_own(caller.f_code.co_filename):
                call.expression = known_expression_at(caller)
            # Another thread may append in between; the list says where this call is.
            self._calls.append(call)
            above = len(self._calls) - 1
            if self._calls[above] is not call:
                above = self._calls.index(call)
        else:
            self._left_out[TOO_MANY] = self._left_out.get(TOO_MANY, 0) + 1
        opened = OpenCall(frame, called, call, above)
        stack.append(opened)
        return opened

    # --- exceptions

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        """A function of `sys.settrace`: ask for the exceptions of a frame."""
        if not self._on or frame.f_globals is OURS:
            return None
        thread = getattr(self._local, "thread", None)
        if thread is not None and thread.opaque is not None and frame.f_code.co_name != MODULE:
            return None
        followed = self._watcher.trace(frame, event, arg) if self._watcher is not None else None
        if followed is not None:
            return followed
        if thread is not None and len(thread.stack) >= self._recursion_limit:
            raise RecursionError(SAID)  # in the function that is called
        self._lost += 2 * self._overhead  # for the call and the return
        frame.f_trace_lines = False
        return self._exceptions

    def _exceptions(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "exception":
            self.note_exception(frame, arg[1])
        return self._exceptions

    def note_exception(self, frame: FrameType, error: BaseException) -> None:
        """An exception was raised in a frame, or arrived there."""
        now, lost = clock(), self._lost
        thread = getattr(self._local, "thread", None)
        if thread is None or thread.opaque is not None:
            return
        thread.raised_in = id(frame)
        thread.error = exception(error)
        if thread.failed is not None and thread.failed[2] == id(frame):
            call, number, _ = thread.failed
            call.result = thread.error
            self._journal.end(number, call)
            thread.failed = None
        self._count_lost(lost, now)

    # --- the journal

    def _note_call(self, opened: OpenCall) -> None:
        if opened.call is not None:
            self._journal.call(opened.nearest, opened.call)
        if len(self._secrets) != self._secret_count:
            self._secret_count = len(self._secrets)
            self._journal.write("s", sorted(self._secrets))

    def _note_function(self, called: Called) -> None:
        found = self._function(called, {})
        place = [getattr(found.place, name) for name in found.place.__slots__]
        self._journal.write("f", called.number, found.name, found.module, place)
        self._note_role(called)

    def _note_role(self, called: Called) -> None:
        if called.code is None or not self._known_roles:
            return
        if role := self._known_roles.get((called.code, called.code.co_filename)):
            self._journal.write("r", called.number, role)

    def _find_roles(self) -> None:
        """The application is loaded when a connection has bytes."""
        self._known_roles = self._roles()
        for called in self._functions:
            self._note_role(called)

    # --- tables

    def _new_thread(self) -> ThreadState:
        thread = self._local.thread = ThreadState(len(self._threads))
        # current_thread() would register a thread that the threading module does not know yet.
        known = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
        self._threads.append(known.name if known else "")
        self._journal.write("t", self._threads[thread.number])
        return thread

    def _new_function(self, frame: FrameType, code: CodeType) -> Called:
        module = frame.f_globals.get("__name__") or ""
        name = code.co_qualname
        generated.note(frame)
        called = self._add(id(code), name, module, code)
        called.essential = name in self._essential
        called.opaque = OPAQUE.get((module, name), "")
        if (code.co_filename, name) == IMPORT:
            called.opaque = "in imports"
        return called

    def _new_c_function(self, name: str, module: str = "") -> Called:
        """A system call, or a function of a compiled module."""
        called = self._add(name, name, module, None)
        called.essential = not module
        return called

    def _imported(self, name: str, reason: str) -> Called:
        key = f"import {name}"
        called = self._by_code.get(key) or self._add(key, key, "importlib", None)
        called.opaque = reason
        called.essential = False
        return called

    def _add(self, key: object, name: str, module: str, code: CodeType | None) -> Called:
        called = Called(len(self._functions), name, module, code)
        self._functions.append(called)
        if self._functions[called.number] is not called:  # another thread added one
            called.number = self._functions.index(called)
        self._by_code[key] = called
        self._note_function(called)
        return called

    def _is_own(self, file: str) -> bool:
        found = self._own.get(file)
        if found is None:
            found = self._own[file] = places.is_the_applications(file)
        return found
