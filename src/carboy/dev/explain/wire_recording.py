"""Records what a server asks of the HTTP machine of one connection, so that it can be replayed.

A profile function sees every call of a thread. It only looks at calls of the machine's methods
from outside of the machine.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from carboy.protocol import response
from carboy.protocol.machine import Machine
from carboy.protocol.states import Reading, Writing
from carboy.speedups import speedups

METHODS: dict[CodeType, str] = {
    method.__code__: method.__name__
    for method in (
        Machine.receive, Machine.set_body_limit, Machine.send_continue,
        Machine.close_after_response, Machine.hand_over, Machine.head_before,
        Machine.whole_response, Machine.start_response, Machine.send_data, Machine.account,
        Machine.end_response,
        Machine.informational, Machine.error_response, Machine.upgrade, Machine.chunk_around,
    )
}  # fmt: skip
SPEEDUPS = "compiled functions cannot be shown"  # why the Python twins run meanwhile
MACHINE_FILE = Machine.receive.__code__.co_filename
# With empty tables, `head_before` makes no head, and `whole_response` is called.
RESPONSES = (
    "head_before", "whole_response", "start_response", "informational", "error_response", "upgrade",
)  # fmt: skip
BODIES = (Reading.LENGTH, Reading.CHUNKS)  # of requests, of which bytes are missing
ANSWERED = (Writing.NOTHING, Writing.DONE)


@dataclass(frozen=True, slots=True)
class MachineCall:
    """One call of the machine; `receive` has the bytes that came from the socket."""

    method: str
    args: tuple[Any, ...]
    consumed: int = 0  # bytes that the machine had consumed before the call
    reading: Reading = Reading.IDLE  # before the call


def forget_responses() -> None:
    """Empty the tables of response lines that were made before.

    Recording and replay both make each response with empty tables, so that they take the same way
    through the code. The way also decides about the order of the lines.
    """
    for table in (response.lines, response.statuses, response._ordinary, response._heads):
        table.clear()


class MachineCalls:
    """The calls of one machine, in order."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.calls: list[MachineCall] = []
        self.received = 0  # bytes

    def add(self, frame: FrameType) -> None:
        """Add the call that begins with this frame."""
        code, given = frame.f_code, frame.f_locals
        if METHODS[code] in RESPONSES:
            forget_responses()
        names = code.co_varnames[1 : code.co_argcount]
        # A list of headers may be changed after the call.
        args = tuple(
            list(each) if isinstance(each, list) else each for each in map(given.get, names)
        )
        consumed = self.received - self.machine.buffered
        self.calls.append(MachineCall(METHODS[code], args, consumed, self.machine.reading))
        if code is Machine.receive.__code__:
            self.received += len(given["data"])


def is_call_from_outside(frame: FrameType) -> bool:
    """Whether the frame of a method of the machine was not called by the machine itself."""
    return frame.f_back is not None and frame.f_back.f_code.co_filename != MACHINE_FILE


class WireRecorder:
    """The calls of the machine of the first connection that is served after `install`."""

    def __init__(self) -> None:
        self._found: MachineCalls | None = None

    @property
    def calls(self) -> list[MachineCall]:
        """The calls so far."""
        return self._found.calls if self._found is not None else []

    def install(self) -> None:
        """Record the threads that start from now on."""
        threading.setprofile(self._see)
        speedups.hold(SPEEDUPS)

    def uninstall(self) -> None:
        """Do not record threads that start later."""
        threading.setprofile(None)
        speedups.release(SPEEDUPS)

    @property
    def answering(self) -> bool:
        """Whether a request has been received whose response is not complete."""
        if self._found is None or self._found.machine.writing in ANSWERED:
            return False
        machine = self._found.machine
        return machine.writing is not Writing.WAITING or machine.reading not in BODIES

    def _see(self, frame: FrameType, event: str, arg: object) -> None:
        if event != "call" or frame.f_code not in METHODS or not is_call_from_outside(frame):
            return
        machine: Machine = frame.f_locals["self"]
        if self._found is None:
            self._found = MachineCalls(machine)
        if machine is self._found.machine:
            self._found.add(frame)
