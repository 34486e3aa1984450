"""The chain of steps in a recording of a server: start-up, the request, and the stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from carboy.dev.explain import chain_rules, places
from carboy.dev.explain.chain_rules import ACCEPT, CLOSE, LOOPS, RULES, SOCKET, SYSTEM_CALLS
from carboy.dev.explain.own_calls import PROGRAM, OwnCalls, module_name, short
from carboy.dev.explain.recording import MODULE, Function, Process, RecordedCall, Recording
from carboy.dev.explain.steps import BUSY_CALLERS

WSGIREF = "wsgiref.handlers"  # the one module of Python that calls applications
READS = {"socket.recv", "socket.recv_into", "socket.recvfrom", "socket.recvmsg"}
IMPORTS = "importlib"
ORDINARY = ("StopIteration", "StopAsyncIteration", "GeneratorExit")  # ends of generators
WAITS = "BlockingIOError"  # there is nothing to read or no room to write
MIDDLEWARE = {"environ", "start_response"}  # the arguments of a WSGI application
ONCE = {"socket.bind", "socket.listen", ACCEPT}
# Modules that start-up uses for other things, such as the metadata of packages.
OF_REQUESTS = ("email.", "http.client")
# Packages whose functions are not named when code of the application calls them.
NOT_NAMED = {places.APPLICATION, *BUSY_CALLERS, places.KERNEL}


class Phase(Enum):
    """The part of a server's life that a step belongs to."""

    START = "Start-up"
    REQUEST = "The request"
    STOP = "The stop"


@dataclass(slots=True)
class ChainStep:
    """One step: who called what, from which line, and what it is for."""

    number: int
    phase: Phase
    title: str
    function: Function
    caller: Function | None
    line: int  # of the caller
    process: Process
    call: RecordedCall
    times: int = 1  # calls in a row; or all calls of the same kind by a function of the user
    offset: int = -1  # of the first byte it moved, in all that was received or sent; -1: unknown
    size: int = -1  # bytes it moved; with `times`, those of all calls
    data: str = ""  # these bytes as Latin-1, as far as the client has kept them
    error: str = ""  # the exception that it raised
    was_running: bool = False  # the last step of its thread that ran when its process ended

    @property
    def moved(self) -> str:
        """A noun phrase for the bytes it moved: "127 bytes, from number 0"; or ""."""
        if self.size < 0:
            return ""
        if not self.size:
            return "nothing: the other side sends no more" if self.is_read else "no bytes"
        noun = "byte" if self.size == 1 else "bytes"
        return f"{self.size:,} {noun}, from number {self.offset:,}"

    @property
    def is_read(self) -> bool:
        """Whether it is a system call that reads."""
        return self.function.name in READS

    @property
    def first_line(self) -> str:
        """The first line of the bytes it moved, or ""."""
        return self.data.partition("\n")[0].rstrip("\r")

    @property
    def caller_lines(self) -> str:
        """File and line of the caller, or "" if there is none."""
        if self.caller is None:
            return ""
        place = self.caller.place
        return f"{place.short}:{self.line}" if place.short else ""


def chain_of(recording: Recording) -> list[ChainStep]:
    """The steps of a recording, in the order in which they happened."""
    finder = _Finder(recording)
    merged: dict[tuple[str, bool, int], ChainStep] = {}
    bytes_ = _Bytes(recording)
    steps: list[ChainStep] = []
    for process, call in recording.in_order():
        title = finder.title(process, call)
        if not title:
            continue
        last = steps[-1] if steps else None
        function = process.function_of(call)
        error = call.result if call.raised else ""
        is_same = last and last.title == title and last.function == function
        key = (title, finder.is_accepted, process.pid)
        if last and is_same and not (error or last.error):
            last.times += 1
        elif title in finder.repeated and key in merged and not error:
            merged[key].times += 1
            continue
        else:
            if last and _is_for(last, call, function):
                del merged[steps.pop().title, finder.is_accepted, process.pid]
            caller, line = _made_by(process, call)
            last = ChainStep(
                len(steps) + 1, Phase.START, title, function, caller, line, process, call,
                error=error,
            )  # fmt: skip
            steps.append(last)
            merged[key] = last
        if call.size >= 0:
            bytes_.add(last, call.size)
    _set_phases(steps)
    running = {(step.process.pid, step.call.thread): step for step in steps if _runs(step)}
    for step in running.values():
        step.was_running = True
    return steps


def _runs(step: ChainStep) -> bool:
    """Whether the call of a step did not end, and is not a loop that waits for connections."""
    return step.call.is_running and step.phase is Phase.REQUEST


def _is_for(step: ChainStep, call: RecordedCall, function: Function) -> bool:
    """Whether a step only reads the method that is called then, as in `g.pop("db")`."""
    of_step, name = step.call, function.name.rpartition(".")[2]
    is_there = (of_step.caller, of_step.line, step.times) == (call.caller, call.line, 1)
    return is_there and of_step.expression.endswith(f".{name}")


def _made_by(process: Process, call: RecordedCall) -> tuple[Function | None, int]:
    """The caller and its line. A module is run by the statement that imports it."""
    above = process.above(call)
    is_module = process.function_of(call).name == MODULE
    if is_module and above is not None and process.function_of(above).module == IMPORTS:
        call = above
    return process.caller_of(call), call.line


class _Bytes:
    """Counts the bytes of the connection, so that each step has its own."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._read = 0
        self._sent = 0

    def add(self, step: ChainStep, size: int) -> None:
        """A system call of the step has moved bytes."""
        if step.size < 0:
            step.offset, step.size = self._read if step.is_read else self._sent, 0
        step.size += size
        if step.is_read:
            self._read += size
        else:
            self._sent += size
        whole = self._recording.sent if step.is_read else self._recording.received
        step.data = whole[step.offset : step.offset + step.size]


def _set_phases(steps: list[ChainStep]) -> None:
    """The request begins after the step that is a loop, and ends when its connection is closed."""
    names = [step.function.name for step in steps]
    accept = names.index(ACCEPT) if ACCEPT in names else len(steps)
    loops = [n for n, name in enumerate(names[:accept]) if name in LOOPS]
    first = loops[-1] + 1 if loops else accept
    closes = [n for n, step in enumerate(steps) if step.title == SYSTEM_CALLS[CLOSE]]
    last = closes[-1] if closes else len(steps) - 1
    for number, step in enumerate(steps):
        if number >= first:
            step.phase = Phase.REQUEST if number <= last else Phase.STOP


class _Finder:
    """Gives calls their titles, one after the other in order."""

    def __init__(self, recording: Recording) -> None:
        self._port = _port_of(recording.address)
        self._rules: dict[str, list[tuple[str, str]]] = {}
        for module, name, title in RULES:
            self._rules.setdefault(name, []).append((module, title))
        self._seen: set[object] = set()
        self._made = set(self._listening(recording))
        self._own_calls = OwnCalls()
        self.repeated: set[str] = set()  # titles of calls that the application makes

    def _listening(self, recording: Recording) -> Iterator[int]:
        """The calls that made the sockets that were bound to the server's address."""
        for process in recording.processes:
            latest: dict[int, RecordedCall] = {}
            for call in process.calls:
                name = process.function_of(call).name
                if name == SOCKET:
                    latest[call.thread] = call
                elif name == "socket.bind" and call.thread in latest and self._is_served(call):
                    yield id(latest[call.thread])

    def _is_served(self, call: RecordedCall) -> bool:
        """Whether the socket of a system call has the port of the server, on any of its addresses.

        A server that listens on all addresses accepts connections on others.
        """
        return self._port in (_port_of(dict(call.args).get("own", "")), _port_of(call.result))

    @property
    def is_accepted(self) -> bool:
        """Whether the connection has been accepted."""
        return ACCEPT in self._seen

    def title(self, process: Process, call: RecordedCall) -> str:
        """The title of a call, or ""."""
        return self._title(process, call) or self._failure(process, call)

    def _failure(self, process: Process, call: RecordedCall) -> str:
        """A function of the application that fails when it runs again, such as a generator."""
        function, caller = process.function_of(call), process.caller_of(call)
        if not call.raised or not _is_own(function) or call.result.startswith(ORDINARY):
            return ""
        if caller is None or _is_own(caller):
            return ""  # the caller fails, too, or handles it
        return self._once((id(function), call.result), f"Your {short(function)} fails")

    def _title(self, process: Process, call: RecordedCall) -> str:
        function = process.function_of(call)
        if function.place.room == places.KERNEL or function.name in SYSTEM_CALLS:
            return self._system_call(function, call)
        if function.role:
            return self._once(("role", function.role), f"The {function.role} runs")
        if function.name == MODULE and _is_own(function):
            verb = "runs" if function.module == PROGRAM else "is imported"
            key = ("module", function.module, process.pid)
            return self._once(key, f"Your {module_name(function)} {verb}")
        if function.name == SOCKET and function.module == "socket":
            return chain_rules.SOCKET_MADE if id(call) in self._made else ""
        caller = process.caller_of(call)
        if caller is not None and _is_own(caller):
            return self._called_by_the_application(process, call, caller)
        return (
            self._rule(function)
            or self._middleware(call, function)
            or self._callback(caller, function)
        )

    def _system_call(self, function: Function, call: RecordedCall) -> str:
        title = SYSTEM_CALLS.get(function.name, "")
        if function.name == "fork":
            return self._once("fork", title)
        given = dict(call.args)
        if call.raised and (not call.result or call.result.startswith(WAITS)):
            return ""
        if not self._is_served(call):
            return ""  # a socket of the application, or one that the server uses inside
        if function.name in ONCE:
            return self._once(function.name, title)
        if "listens" in given:
            is_close = function.name == CLOSE
            return self._once("closed", chain_rules.LISTENER_CLOSED) if is_close else ""
        return title

    def _rule(self, function: Function) -> str:
        for module, title in self._rules.get(function.name, ()):
            if function.module.startswith(module):
                is_early = module.startswith(OF_REQUESTS) and ACCEPT not in self._seen
                return "" if is_early else self._once((module, function.name), title)
        return ""

    def _middleware(self, call: RecordedCall, function: Function) -> str:
        """An object of a library that takes WSGI calls."""
        owner, _, method = function.name.rpartition(".")
        given = {name for name, _ in call.args}
        if method != "__call__" or not given >= MIDDLEWARE or _is_own(function):
            return ""
        return self._once((function.module, owner), f"{owner} gets the WSGI call")

    def _callback(self, caller: Function | None, function: Function) -> str:
        """A function of the application that a library calls."""
        name = short(function)
        if not _is_own(function) or caller is None or name.startswith("<"):
            return ""
        is_known = caller.place.package not in BUSY_CALLERS or caller.module == WSGIREF
        return self._once(id(function), f"Your {name} runs") if is_known else ""

    def _called_by_the_application(
        self, process: Process, call: RecordedCall, caller: Function
    ) -> str:
        function = process.function_of(call)
        if function.place.package in NOT_NAMED:
            return ""
        title = self._own_calls.title(process, call, caller)
        self.repeated.add(title)
        return title

    def _once(self, what: object, title: str) -> str:
        if what in self._seen:
            return ""
        self._seen.add(what)
        return title


def _port_of(address: str) -> str:
    host, colon, port = address.rpartition(":")
    return port if host and colon else "unknown"


def _is_own(function: Function) -> bool:
    """Whether it is code in a file of the application, and not a template or generated code."""
    return function.place.room == places.APPLICATION and function.place.first > 0
