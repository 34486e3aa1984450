"""Records every connection of the exercise server, as its threads run.

A profile function sees the calls of the engine's threads. It looks at the calls of the HTTP
machines, and at the making and closing of connections.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from carboy.dev.explain.wire_recording import METHODS, is_call_from_outside
from carboy.dev.learn.recording import EVENTS, WHOLE_BODY, Moment, Recording, Snapshot
from carboy.protocol.machine import Machine
from carboy.server.closing import Closing
from carboy.server.connection import CLOSED, Connection

OPENED = Connection.__init__.__code__
CLOSE = Closing.close.__code__
MOST = 500  # connections that are kept


class Recorder:
    """The connections of one engine; `changed` is called when one of them has changed."""

    def __init__(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._by_machine: dict[Machine, Recording] = {}
        self._number = 0
        self._lock = threading.Lock()

    def trace(self) -> None:
        """Record this thread; the engine calls it on each of its threads."""
        sys.setprofile(self._see)

    def connections(self, after: int = 0) -> list[Snapshot]:
        """The connections with a number above `after`, from which bytes have come."""
        with self._lock:
            found = list(self._by_machine.values())
        return [each.snapshot() for each in found if each.number > after and each.received]

    def of_port(self, peer_port: int) -> Recording | None:
        """The newest connection from this port of a client."""
        with self._lock:
            found = [each for each in self._by_machine.values() if each.peer_port == peer_port]
        return found[-1] if found else None

    def is_busy(self) -> bool:
        """Whether a request is not completely answered."""
        with self._lock:
            return any(each.is_unanswered for each in self._by_machine.values())

    @property
    def last_number(self) -> int:
        """The number of the newest connection."""
        return self._number

    def _see(self, frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if event == "call":
            if code in METHODS:
                recording = self._by_machine.get(frame.f_locals["self"])
                if recording is not None and is_call_from_outside(frame):
                    thread = threading.current_thread().name
                    recording.add(frame, Moment(time.monotonic(), thread))
                    self._changed()  # so that a reader never sees a new state before this
        elif event == "return":
            if code is OPENED:
                self._open(frame.f_locals["machine"], frame.f_locals["peer"])
            elif code is CLOSE:
                self._close(frame.f_locals["connection"])
            elif code in METHODS or code in EVENTS or code is WHOLE_BODY:
                recording = self._by_machine.get(frame.f_locals["self"])
                if recording is not None and (
                    code in EVENTS or (code is WHOLE_BODY and arg is not None)
                ):
                    recording.add_event(arg)
                self._changed()

    def _open(self, machine: Machine, peer: tuple[str, int] | None) -> None:
        with self._lock:
            self._number += 1
            recording = Recording(self._number, machine, peer[1] if peer else 0, time.monotonic())
            self._by_machine[machine] = recording
            if len(self._by_machine) > MOST:
                oldest = min(self._by_machine.items(), key=lambda item: item[1].number)[0]
                del self._by_machine[oldest]

    def _close(self, connection: Connection) -> None:
        machine = connection.machine
        recording = self._by_machine.get(machine) if isinstance(machine, Machine) else None
        if recording is not None and connection.phase is CLOSED and recording.closed is None:
            recording.closed = time.monotonic()
            self._changed()
