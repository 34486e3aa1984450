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

METHODS: dict[CodeType, str] = {
    method.__code__: method.__name__
    for method in (
        Machine.receive, Machine.set_body_limit, Machine.send_continue,
        Machine.close_after_response, Machine.hand_over, Machine.whole_response,
        Machine.start_response, Machine.send_data, Machine.account, Machine.end_response,
        Machine.informational, Machine.error_response,
    )
}  # fmt: skip
MACHINE_FILE = Machine.receive.__code__.co_filename
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

    Recording and replay both begin with empty tables, so that they take the same way through the
    code. The way also decides about the order of the lines.
    """
    for table in (response.lines, response.statuses, response._ordinary, response._heads):
        table.clear()


class WireRecorder:
    """The calls of the machine of the first connection that is served after `install`."""

    def __init__(self) -> None:
        self.calls: list[MachineCall] = []
        self._machine: Machine | None = None
        self._received = 0

    def install(self) -> None:
        """Record the threads that start from now on."""
        forget_responses()
        threading.setprofile(self._see)

    def uninstall(self) -> None:
        """Do not record threads that start later."""
        threading.setprofile(None)

    @property
    def answering(self) -> bool:
        """Whether a request has been received whose response is not complete."""
        return self._machine is not None and self._machine.writing not in ANSWERED

    def _see(self, frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if event != "call" or code not in METHODS:
            return
        if frame.f_back is None or frame.f_back.f_code.co_filename == MACHINE_FILE:
            return
        given = frame.f_locals
        machine: Machine = given["self"]
        if self._machine is None:
            self._machine = machine
        if machine is not self._machine:
            return
        names = code.co_varnames[1 : code.co_argcount]
        # A list of headers may be changed after the call.
        args = tuple(
            list(each) if isinstance(each, list) else each for each in map(given.get, names)
        )
        consumed = self._received - machine.buffered
        self.calls.append(MachineCall(METHODS[code], args, consumed, machine.reading))
        if code is Machine.receive.__code__:
            self._received += len(given["data"])
