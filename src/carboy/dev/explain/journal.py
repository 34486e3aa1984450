"""The recording of a process while it is being made, in a file that survives the process.

Each record is a line of JSON in memory that the file shares, so it is there even if the process is
killed. Writing it does not release the lock of the interpreter, so threads are not interleaved.

    f  number, name, module, place   a function that was called
    r  number, role                  the role of a function in the application
    t  name                          a thread
    c  number, values                a call that began
    e  number, ended, result, raised, last, size   it ended
    l  counts                        the calls that were left out, when the process ends
    s  texts                         secrets that must not be shown
"""

from __future__ import annotations

import contextlib
import json
import mmap
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from carboy.dev.explain import places
from carboy.dev.explain.places import Place
from carboy.dev.explain.recording import Function, Process, RecordedCall

SUFFIX = ".journal"
SIZE = 1 << 26  # bytes; the file takes up only what is needed
PIECE = 1 << 18  # bytes that are reserved at a time
MARGIN = 1 << 16  # for records of other threads
CUT_OFF = "because the process did not end by itself"
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Journal:
    """The file of one process, which is open for writing."""

    def __init__(self, folder: Path, pid: int) -> None:
        self._path = folder / f"{pid}{SUFFIX}"
        self._file = self._path.open("w+b", buffering=0)
        self._file.truncate(SIZE)
        self._memory = mmap.mmap(self._file.fileno(), SIZE)
        self._reserving = threading.Lock()
        self._reserved = 0  # bytes for which the disk has room

    def write(self, *record: object) -> None:
        """Add a record. A file or a disk that is full takes no more."""
        data = f"{_encode(record)}\n".encode("ascii")
        if self._memory.tell() + len(data) + MARGIN > self._reserved and not self._reserve(data):
            return
        with contextlib.suppress(ValueError):
            self._memory.write(data)

    def _reserve(self, data: bytes) -> bool:
        """Make room on the disk. The system kills a process that writes to memory without room."""
        with self._reserving:
            wanted = self._memory.tell() + len(data) + MARGIN
            while self._reserved < min(wanted, SIZE):
                try:
                    self._file.seek(self._reserved)
                    if self._file.write(bytes(PIECE)) != PIECE:
                        return False
                except (OSError, ValueError):  # ValueError: it is closed
                    return False
                self._reserved += PIECE
        return True

    def call(self, number: int, call: RecordedCall) -> None:
        """A call has begun."""
        self.write(
            "c", number, call.function, call.caller, call.line, call.above, call.thread, call.at,
            call.began, call.args, call.copied, call.expression,
        )  # fmt: skip

    def end(self, number: int, call: RecordedCall) -> None:
        """A call has ended."""
        self.write("e", number, call.ended, call.result, call.raised, call.last, call.size)

    def close(self) -> None:
        """Close the file, which then takes no more than it has room for."""
        self._file.close()

    def remove(self) -> None:
        """Delete the file, because the whole recording has been written."""
        self.close()
        self._path.unlink(missing_ok=True)


def read(file: Path) -> Process:
    """The recording of a process that was killed."""
    functions: dict[int, Function] = {}
    calls: dict[int, RecordedCall] = {}
    process = Process(int(file.stem), places.version_of(places.PYTHON))
    roles: dict[int, str] = {}
    latest = 0
    for kind, *values in _records(file):
        if kind == "f":
            number, name, module, place = values
            functions[number] = Function(name, module, Place(*place))
        elif kind == "r":
            roles[values[0]] = values[1]
        elif kind == "t":
            process.threads.append(values[0])
        elif kind == "l":
            process.left_out = values[0]
        elif kind == "s":
            process.secrets = values[0]
        elif kind == "c":
            calls[values[0]] = _begun(values[1:])
            latest = max(latest, calls[values[0]].began)
        elif kind == "e" and values[0] in calls:
            _end(calls[values[0]], values[1:])
            latest = max(latest, values[1])
    for number, role in roles.items():
        old = functions[number]
        functions[number] = Function(old.name, old.module, old.place, role)
    process.functions = [functions[number] for number in _without_gap(functions)]
    process.calls = [calls[number] for number in _without_gap(calls)]
    for call in process.calls:
        call.is_running = not call.ended
        call.ended = call.ended or latest
    return process


def _records(file: Path) -> Iterator[list[Any]]:
    text = file.read_bytes()
    for line in text[: text.find(b"\0")].splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return  # the process was killed while it wrote this one


def _begun(values: list[Any]) -> RecordedCall:
    function, caller, line, above, thread, at, began, args, copied, expression = values
    pairs = tuple((name, value) for name, value in args)
    return RecordedCall(
        function, caller, line, above, thread, at, began, 0, pairs, copied=copied,
        expression=expression,
    )  # fmt: skip


def _end(call: RecordedCall, values: list[Any]) -> None:
    call.ended, call.result, call.raised, call.last, call.size = values


def _without_gap(numbers: Iterable[int]) -> Iterator[int]:
    """The numbers from 0 as far as none is missing. Calls refer to others by number."""
    known = set(numbers)
    number = 0
    while number in known:
        yield number
        number += 1
