"""One connection as the exercise server recorded it: calls of its HTTP machine, with times."""

from __future__ import annotations

from dataclasses import dataclass
from types import FrameType

from carboy.dev.explain.wire_recording import MachineCall, MachineCalls
from carboy.protocol.events import Data, RequestHead
from carboy.protocol.machine import Machine
from carboy.protocol.states import Reading, Writing

RECEIVE = Machine.receive.__code__
EVENTS = (RECEIVE, Machine.next_event.__code__)  # the methods that return an event
WHOLE_BODY = Machine.whole_body.__code__  # returns the content if it has come, instead of events
MOST_CALLS = 5000  # of one connection; the rest is not recorded


@dataclass(frozen=True, slots=True)
class Moment:
    """When a call was made (monotonic seconds), and on which thread."""

    at: float
    thread: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A connection as far as it has been recorded."""

    number: int
    calls: list[MachineCall]
    moments: list[Moment]
    opened: float
    closed: float | None  # None: it is open


class Recording:
    """One connection. The server's threads add to it, others read it."""

    def __init__(self, number: int, machine: Machine, peer_port: int, at: float) -> None:
        self.number = number
        self.peer_port = peer_port
        self.opened = at
        self.closed: float | None = None
        self.is_reading = False  # the server will ask the machine for another event
        self._calls = MachineCalls(machine)
        self._moments: list[Moment] = []

    def add(self, frame: FrameType, moment: Moment) -> None:
        """Add a call of the machine; its frame begins at this moment."""
        if frame.f_code is RECEIVE:
            self.is_reading = True
        if len(self._moments) < MOST_CALLS:
            self._moments.append(moment)
            self._calls.add(frame)
        elif frame.f_code is RECEIVE:
            self._calls.received += len(frame.f_locals["data"])

    def add_event(self, event: object) -> None:
        """The machine has returned an event (None: it has raised an error)."""
        self.is_reading = isinstance(event, Data) or (
            isinstance(event, RequestHead) and event.has_body
        )

    def snapshot(self) -> Snapshot:
        """Everything so far."""
        closed = self.closed
        calls = list(self._calls.calls)
        return Snapshot(self.number, calls, self._moments[: len(calls)], self.opened, closed)

    @property
    def received(self) -> int:
        """Number of bytes that came from the client."""
        return self._calls.received

    @property
    def is_between_requests(self) -> bool:
        """Whether the next byte would begin a request, and everything before is answered."""
        machine = self._calls.machine
        if machine.reading is Reading.IDLE:
            return True
        nothing = not machine.buffered and not machine.request_line
        return machine.reading is Reading.HEAD and nothing

    @property
    def reads_body(self) -> bool:
        """Whether bytes of a body are missing."""
        return self._calls.machine.reading in (Reading.LENGTH, Reading.CHUNKS)

    @property
    def reads_request(self) -> bool:
        """Whether bytes of a request are missing."""
        return self.reads_body or self._calls.machine.reading is Reading.HEAD

    @property
    def waits_for_view(self) -> bool:
        """Whether a request is complete and its response has not begun."""
        machine = self._calls.machine
        return machine.reading is Reading.DONE and machine.writing is Writing.WAITING

    @property
    def is_streaming(self) -> bool:
        """Whether a response has begun and is not complete."""
        writing = self._calls.machine.writing
        return writing not in (Writing.NOTHING, Writing.WAITING, Writing.DONE)

    @property
    def is_unanswered(self) -> bool:
        """Whether the connection is open and a request on it has no complete response."""
        waits = self._calls.machine.writing is Writing.WAITING
        return self.closed is None and not self.is_refused and (waits or self.is_streaming)

    @property
    def is_refused(self) -> bool:
        """Whether the client has broken a rule."""
        return self._calls.machine.reading is Reading.ERROR
