"""A recording of a server's calls, from its start to its stop, as data that a file can hold.

The server runs in a process of its own, and may start more. Each process records itself and writes
one file when it ends; the files together are a `Recording`. Nothing here refers to live objects, so
that a recording can be read where the recorded packages are not installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from carboy.dev.explain.places import Place

MODULE = "<module>"  # the name of the code that runs when a module is imported
FORMAT = 2
READABLE = {1, FORMAT}


INCOMPLETE = "The file is not a complete recording."


class UnreadableRecording(Exception):
    """The text is not a recording of this version of the format."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that was called. A C function has a place without lines."""

    name: str  # qualified
    module: str
    place: Place
    role: str = ""  # in the application: "view 'index'"


@dataclass(eq=False, slots=True)
class RecordedCall:
    """One call. Numbers refer to lists of its process; -1 means that there is none."""

    function: int
    caller: int  # the function whose line made the call
    line: int  # that made the call
    above: int  # the nearest recorded call that was running
    thread: int
    at: int  # nanoseconds on the clock that all processes share
    began: int  # nanoseconds on the clock of its process, which stops for the recorder
    ended: int
    args: tuple[tuple[str, str], ...] = ()
    result: str = ""  # if it raised, the exception
    raised: bool = False
    last: int = 0  # the line that ran last
    copied: bool = False  # made by the parent process, in which it is recorded as well
    size: int = -1  # bytes that a system call moved, if the system counts them
    expression: str = ""  # of the source, with which the application makes it
    is_running: bool = False  # it had not ended when the process ended


@dataclass(slots=True)
class Process:
    """The calls of one process, in the order in which they began on each thread."""

    pid: int
    python: str  # its version
    functions: list[Function] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    calls: list[RecordedCall] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)  # reason: number of calls
    secrets: list[str] = field(default_factory=list)  # texts that must not be shown

    def function_of(self, call: RecordedCall) -> Function:
        """The function that was called."""
        return self.functions[call.function]

    def caller_of(self, call: RecordedCall) -> Function | None:
        """The function that made the call, or None at the start of a thread."""
        return self.functions[call.caller] if call.caller >= 0 else None

    def above(self, call: RecordedCall) -> RecordedCall | None:
        """The nearest recorded call in which it was made."""
        return self.calls[call.above] if call.above >= 0 else None

    def clean(self, erase: Any) -> None:
        """Replace the texts of arguments and results by `erase(text)`."""
        for call in self.calls:
            call.args = tuple((name, erase(value)) for name, value in call.args)
            call.result = erase(call.result)
            call.expression = erase(call.expression)


@dataclass(slots=True)
class Recording:
    """One start of a server, one request, and the stop."""

    app: str
    server: str  # name and version
    address: str  # of the listening socket: "127.0.0.1:5000"
    request: str  # "GET /path"
    status: str
    size: int  # bytes of the response body
    processes: list[Process]
    sent: str = ""  # the first bytes that the client sent, as Latin-1
    received: str = ""  # the first bytes that the client received
    sent_size: int = 0  # all bytes that the client sent
    received_size: int = 0
    problem: str = ""  # why the server did not end as usual: sentences
    rule: list[str] = field(default_factory=list)  # lines about the rule that matches

    def in_order(self) -> Iterator[tuple[Process, RecordedCall]]:
        """The calls of all threads of all processes, in the order in which they began."""
        pairs = [(each, call) for each in self.processes for call in each.calls if not call.copied]
        return iter(sorted(pairs, key=lambda pair: pair[1].at))

    def left_out(self) -> dict[str, int]:
        """The number of calls that were not recorded, for each reason."""
        found: dict[str, int] = {}
        for process in self.processes:
            for reason, count in process.left_out.items():
                found[reason] = found.get(reason, 0) + count
        return found


# --- as text


def write(process: Process) -> str:
    """The text of a file for the recording of one process."""
    return _text({"format": FORMAT, **_data_of(process)})


def write_whole(recording: Recording) -> str:
    """The text of a file for a whole recording."""
    names = [each.name for each in fields(recording) if each.name != "processes"]
    data = {name: getattr(recording, name) for name in names}
    data["processes"] = [_data_of(each) for each in recording.processes]
    return _text({"format": FORMAT, "recording": data})


def _text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _data_of(process: Process) -> dict[str, Any]:
    data = {each.name: getattr(process, each.name) for each in fields(process)}
    data["functions"] = [_values(each) for each in process.functions]
    data["calls"] = [_values(each) for each in process.calls]
    return data


def read(text: str) -> Process:
    """The recording of one process from the text of its file."""
    try:
        return _process(_loaded(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UnreadableRecording(INCOMPLETE) from None


def read_whole(text: str) -> Recording:
    """A whole recording from the text of its file."""
    try:
        data = _loaded(text)["recording"]
        data["processes"] = [_process(each) for each in data["processes"]]
        found = Recording(**data)
        _check(found)
        return found
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise UnreadableRecording(INCOMPLETE) from None


def _loaded(text: str) -> Any:
    data = json.loads(text)
    if data.pop("format") not in READABLE:
        raise UnreadableRecording("The recording was made by another version of Carboy.")
    return data


def _process(data: Any) -> Process:
    data["functions"] = [_function(*each) for each in data["functions"]]
    data["calls"] = [_call(each) for each in data["calls"]]
    return Process(**data)


def _check(recording: Recording) -> None:
    """Raise an error if a number in the recording refers to nothing."""
    for process in recording.processes:
        for call in process.calls:
            process.function_of(call), process.caller_of(call), process.above(call)
            process.threads[call.thread]


def _values(each: Any) -> list[Any]:
    return [_plain(getattr(each, name)) for name in each.__slots__]


def _plain(value: Any) -> Any:
    return _values(value) if isinstance(value, Place) else value


def _function(name: str, module: str, place: Iterable[Any], role: str) -> Function:
    return Function(name, module, Place(*place), role)


def _call(values: list[Any]) -> RecordedCall:
    call = RecordedCall(*values)
    call.args = tuple((name, value) for name, value in call.args)
    return call
