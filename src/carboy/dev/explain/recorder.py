"""Records every call of one request, on all its threads.

`sys.setprofile` is used and not `sys.monitoring`, because Python 3.11 has it too. For 20,000 calls
with arguments and calls into C it took 32 ms against 24 ms on 3.12, and 18 ms against 18 ms on
3.13. It is installed before the threads of the engine start, since a running thread cannot be
profiled before 3.12, and records nothing until `start`.

All threads share one clock, which stops while the recorder works. So the times are those of the
request.
"""

from __future__ import annotations

import opcode
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Any

from carboy.dev.explain import generated
from carboy.dev.explain.c_functions import module_of, name_of
from carboy.dev.explain.call_sites import Sites, sites_of
from carboy.dev.explain.compiled_calls import IS_POSSIBLE, CompiledCalls
from carboy.dev.explain.places import APPLICATION, SYSTEM_CALLS, is_notable, of_code
from carboy.dev.explain.raised import CLOSED, Monitor, Raised
from carboy.dev.explain.recursion_limit import RecursionLimit
from carboy.dev.explain.values import arguments, brief, exception
from carboy.speedups import RECORDED, speedups

clock = time.perf_counter_ns
MOST = 100_000  # calls of a thread; a browser cannot show a page with more
SHALLOW = 40  # callers of a call that is kept after too many calls, so that the later steps are
FEW = 200  # calls of one function that are kept after too many calls
_name = name_of
BREATH = 0.0002  # seconds between looks at whether a thread still records an event
RUNNING = "has not ended"  # the result of a call that was running when the recording ended
LONGEST = 200_000  # nanoseconds counted for recording one event
# A function leaves with these instructions unless it ends with an exception. In Python 3.13, the
# one that resumes a generator is reported for the `yield` before it.
LEAVES = {
    number
    for name, number in opcode.opmap.items()
    if name.startswith(("RETURN_", "YIELD_", "INSTRUMENTED_RETURN", "INSTRUMENTED_YIELD"))
    or name == "RESUME"
}
YIELD = opcode.opmap["YIELD_VALUE"]
VARARGS, VARKEYWORDS = 0x04, 0x08
SUSPENDED = 0x20 | 0x80 | 0x200  # flags of generators and coroutines
SERVER = ("carboy.serving", "carboy.server", "carboy.protocol", "carboy.gateway", "carboy.net")


class Call:
    """One call with its arguments, times and result."""

    __slots__ = (
        "args",
        "began",
        "children",
        "code",
        "ended",
        "error",
        "kept",
        "line",
        "module",
        "raised",
        "result",
        "thrown",
    )

    def __init__(self, code: CodeType | str, module: str, began: int) -> None:
        self.code = code  # a name for a function in C
        self.module = module
        self.began = began  # nanoseconds of the clock of its thread
        self.ended = 0  # 0: has not ended
        self.children: list[Call] = []
        self.args: tuple[tuple[str, str], ...] = ()
        self.result = ""  # or the exception, if it raised
        self.raised = False
        self.thrown = -1  # the instruction of a generator at which an exception was thrown into it
        self.line = 0  # that ran last
        self.error: BaseException | None = None  # an exception that was an argument
        self.kept = True  # False after too many calls


class Thread:
    """The recorded calls of one thread; `roots` are those without a recorded caller.

    After `most` calls, calls of the server are kept, which show how the response is sent, and the
    first `FEW` of a function that has few callers. So memory stays bounded. Without
    `all_of_c`, of calls into C only those are kept that have a place of their own.
    """

    def __init__(self, name: str, most: int, all_of_c: bool = True) -> None:
        self.name = name
        self.most = most
        self.all_of_c = all_of_c
        self.count = 0
        self.kept = 0
        self.busy = False  # an event is being recorded
        self.roots: list[Call] = []
        self.stack: list[Call] = []
        self.secrets: set[str] = set()  # found in arguments
        self.known: set[int] = set()  # code objects, which calls keep alive
        self.raised = Raised()
        self.compiled = CompiledCalls(self.raised, self._enter_compiled, self._leave_compiled)
        self._sites: dict[int, Sites] = {}  # of functions that call compiled code
        self._in_compiled: list[Call] = []  # that are running
        self.lost = 0  # nanoseconds that recording took
        self.is_shared = False  # whether other threads share its clock
        self.last = 0

    @property
    def overflowed(self) -> bool:
        """Whether calls were left out."""
        return self.count > self.most

    def note(self, frame: FrameType, event: str, arg: Any, when: int) -> None:
        """Record an event of `sys.setprofile`; `when` is in nanoseconds of the thread's clock."""
        when = self.last = max(when, self.last)
        if event == "call":
            self.raised.settle()
            code = frame.f_code
            if id(code) not in self.known:
                self.known.add(id(code))
                self._look_at(frame, code)
            self._enter(_python(frame, when, self.secrets))
            if sites := self._sites.get(id(code)):
                self.compiled.watch(frame, sites)
        elif event == "return":
            self._leave(frame.f_code, frame, arg, when)
        elif event == "c_call":
            self.raised.settle()
            name, module = name_of(arg), module_of(arg)
            if self.all_of_c or is_notable(name, module):
                self._enter(Call(name, module, when))
        else:
            self._leave_c(name_of(arg), frame, event == "c_exception", when)

    def _look_at(self, frame: FrameType, code: CodeType) -> None:
        """Look at a function that is called for the first time."""
        generated.note(frame)
        is_own = self.compiled.clock is not None and of_code(code).package == APPLICATION
        if is_own and IS_POSSIBLE and (sites := sites_of(code, frame.f_globals)):
            self._sites[id(code)] = sites

    def _enter_compiled(self, name: str, module: str, when: int) -> None:
        self.last = max(when, self.last)
        call = Call(name, module, self.last)
        self._enter(call)
        self._in_compiled.append(call)

    def _leave_compiled(self, error: BaseException | None, when: int) -> None:
        self.last = max(when, self.last)
        call = self._in_compiled.pop()
        while self.stack and self.stack.pop() is not call:
            pass
        call.ended = self.last
        call.raised = error is not None
        call.result = exception(error) if error is not None else ""

    def end(self, when: int = 0) -> None:
        """End the calls that are still running, not before the last event."""
        self.raised.settle()
        for call in self.stack:
            call.ended = call.ended or max(when, self.last)
            call.result = RUNNING
        self.stack = []

    def _enter(self, call: Call) -> None:
        self.count += 1
        above = next((each for each in reversed(self.stack) if each.kept), None)
        into = above.children if above else self.roots
        call.kept = not self.overflowed or _serves(call) or self._is_shallow(into)
        if call.kept:
            self.kept += 1
            into.append(call)
        self.stack.append(call)

    def _is_shallow(self, siblings: list[Call]) -> bool:
        is_one_of_few = len(self.stack) < SHALLOW and len(siblings) < FEW
        return is_one_of_few and self.kept < 2 * self.most

    def _leave(self, code: CodeType, frame: FrameType, value: Any, when: int) -> None:
        stack = self.stack
        if not any(call.code is code for call in reversed(stack)):
            self.raised.settle()
            return  # called before the recording began
        while True:
            call = stack.pop()
            call.ended = when
            if call.code is code:
                break
        call.line = frame.f_lineno or 0
        call.raised = value is None and (
            frame.f_lasti == call.thrown or code.co_code[frame.f_lasti] not in LEAVES
        )
        if call.raised:
            is_closed = frame.f_lasti == call.thrown
            self.raised.ended(call, CLOSED if is_closed else code.co_name, frame)
        else:
            self.raised.returned(call, frame)
            call.result = brief(value)

    def _leave_c(self, name: str, frame: FrameType, raised: bool, when: int) -> None:
        if not raised:
            self.raised.settle(name)
        if self.stack and self.stack[-1].code == name:
            call = self.stack.pop()
            call.ended = when
            call.raised = raised
            if raised:
                self.raised.ended(call, name, frame, is_c=True)


def _python(frame: FrameType, when: int, secrets: set[str]) -> Call:
    code = frame.f_code
    call = Call(code, frame.f_globals.get("__name__") or "", when)
    if code.co_flags & SUSPENDED and code.co_code[frame.f_lasti] == YIELD:
        call.thrown = frame.f_lasti
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & VARARGS) + bool(code.co_flags & VARKEYWORDS)
    if count:
        values = frame.f_locals
        given = {name: values.get(name) for name in code.co_varnames[:count]}
        for value in given.values():
            if issubclass(type(value), BaseException):  # isinstance would call a proxy's __class__
                call.error = value
        call.args = arguments(given, secrets)
    return call


def _serves(call: Call) -> bool:
    if isinstance(call.code, str):
        return call.code.startswith(SYSTEM_CALLS)
    return call.module.startswith(SERVER)


class Recorder:
    """Records between `start` and `stop`, on threads that start after `install`."""

    def __init__(self) -> None:
        self.threads: dict[int, Thread] = {}
        self.overhead = 0  # nanoseconds that an event costs outside of the hook
        self._local = threading.local()  # the identifier of a thread is used again after its end
        self._monitor = Monitor(self._raised)
        self._limit = RecursionLimit()
        self._on = False
        self._began = 0
        self._lost = 0  # nanoseconds that recording took
        self._counted = 0  # the time until which recording is counted in `_lost`

    @property
    def overflowed(self) -> bool:
        """Whether calls of a thread were left out."""
        return any(thread.overflowed for thread in list(self.threads.values()))

    @property
    def left_out(self) -> int:
        """The number of calls that were left out."""
        return sum(thread.count - thread.kept for thread in list(self.threads.values()))

    @property
    def secrets(self) -> set[str]:
        """Arguments whose names are those of passwords or other secrets."""
        return set().union(*(thread.secrets for thread in list(self.threads.values())))

    def install(self) -> None:
        """Profile threads that start from now on, not the calling thread."""
        self.overhead = overhead_of_an_event()
        threading.setprofile(self._event)
        self._monitor.start()
        self._limit.lift()
        speedups.hold(RECORDED)

    def uninstall(self) -> None:
        """Stop recording, and do not profile new threads."""
        self._on = False
        threading.setprofile(None)
        self._monitor.stop()
        self._limit.restore()
        speedups.release(RECORDED)

    def start(self) -> None:
        """Discard earlier calls and start recording."""
        self.threads = {}
        self._local = threading.local()
        self._lost = 0
        self._began = clock()
        self._on = True

    def stop(self) -> None:
        """Stop recording. Running calls end now."""
        self._on = False
        now = clock() - self._began - self._lost
        for thread in list(self.threads.values()):
            while thread.busy:
                time.sleep(BREATH)
            thread.end(now)

    def _event(self, frame: FrameType, event: str, arg: Any) -> None:
        thread: Thread | None = getattr(self._local, "thread", None)
        if thread is not None:
            thread.busy = True  # so that `stop` waits
        if self._on:
            if thread is None:
                thread = self._local.thread = self._new_thread()
            self._note(thread, frame, event, arg)
        else:
            self._count(frame, event)
        if thread is not None:
            thread.busy = False

    def _note(self, thread: Thread, frame: FrameType, event: str, arg: Any) -> None:
        self._lost += thread.raised.take()
        now, lost = self._time()
        thread.note(frame, event, arg, now - self._began - lost)
        if event == "call":
            self._limit.check(frame, len(thread.stack))
        ended = clock()
        spent = max(0, ended - max(now, self._counted))
        # If another thread ran in between, not all of this time was spent here.
        self._lost += (spent if lost == self._lost else min(spent, LONGEST)) + self.overhead
        self._counted = ended

    def _time(self) -> tuple[int, int]:
        """The time, and the time that recording took until then."""
        while True:
            lost, now = self._lost, clock()
            if lost == self._lost:  # no other thread has recorded in between
                return now, lost

    def _count(self, frame: FrameType, event: str) -> None:
        """Before the recording, only the depth of the calls matters."""
        if event in ("call", "return"):
            depth = getattr(self._local, "depth", 0) + (1 if event == "call" else -1)
            self._local.depth = depth
            self._limit.check(frame, depth)

    def _raised(self) -> Raised | None:
        thread: Thread | None = getattr(self._local, "thread", None) if self._on else None
        return None if thread is None else thread.raised

    def _new_thread(self) -> Thread:
        thread = Thread(threading.current_thread().name, MOST)
        thread.compiled.clock = lambda: clock() - self._began - self._lost
        self.threads[id(thread)] = thread
        return thread


def overhead_of_an_event(tries: int = 20, rounds: int = 100) -> int:
    """Nanoseconds that calling a hook costs outside of its own lines.

    The minimum of several measurements, because interruptions only add time.
    """

    def hook(frame: FrameType, event: str, arg: Any) -> None:
        pass

    def called() -> None:
        pass

    def spent(profile: Any) -> int:
        sys.setprofile(profile)
        began = clock()
        for _ in range(rounds):
            called()
        return clock() - began

    before = sys.getprofile()
    try:
        without = min(spent(None) for _ in range(tries))
        within = min(spent(hook) for _ in range(tries))
    finally:
        sys.setprofile(before)
    return max(0, (within - without) // (2 * rounds))
