"""The two ends of what a supervisor shares with one worker.

    supervisor: WorkerLink                                          worker: SupervisorLink
        ── one JSON object a line; EOF: the supervisor has gone ──▶
       ◀── READY, LEAVES, LEFT, FAILED and why, messages, stacks ─
       ◀── shared memory: figures, requests in flight ────────────

What the worker writes is text with control bytes between: a control byte is a message, whatever it
interrupts, and may be written by a signal handler. The text is why the worker cannot start, or the
stacks of its threads, which faulthandler writes to the same pipe when the worker crashes. Messages
are reports, and answers to questions (messages.py).
"""

from __future__ import annotations

import json
import os
import re
import select
import threading
import time
from collections.abc import Callable
from typing import Any

from carboy.net.threads import start_thread
from carboy.server.in_flight import InFlight
from carboy.server.processes.messages import Message, MessageReader, send_message, take_text
from carboy.server.processes.stacks import own_stacks
from carboy.server.scoreboard import Row, private_row

READY = b"\x06"
LEAVES = b"\x04"
LEFT = b"\x05"
STATES = READY + LEAVES + LEFT
FAILED = b"\x15"  # the rest until EOF is the text for the user
REPORT_INTERVAL = 1.0  # seconds between two calls of `report`
LONGEST = (
    1 << 20
)  # maximum number of bytes kept: stacks of some hundred threads, names of all modules

_controls = re.compile(r"[\x00-\x08\x15]")

Ask = Callable[[Message, Callable[[Message], None]], object]


class SupervisorLink:
    """A worker's end: reports to its supervisor, and receives its messages.

    `listen` is called with messages that are not for the link itself, `ask` with questions and a
    function that sends the answer, from any thread. `report` is called now and then, and what it
    returns is sent (None: nothing new).
    """

    def __init__(
        self,
        told: int,
        tells: int,
        row: Row | None = None,
        in_flight: InFlight | None = None,
        beat: float = 0.0,
    ) -> None:
        self.told = told
        self.tells = tells
        # What the supervisor reads: the worker's own figures and the requests it runs.
        self.row = row or private_row()
        self.in_flight = in_flight or InFlight()
        self.beat = beat  # seconds between two signs of life; 0: no signs of life
        self.listen: Callable[[Message], object] = lambda message: None
        self.ask: Ask = lambda message, answer: None
        self.crashed: Callable[[Message], object] = lambda crash: None  # of another worker
        self.elected: Callable[[bool], object] = lambda elected: None  # for jobs at intervals
        self.report: Callable[[], Message | None] | None = None
        self._received = b""
        self._is_ready = threading.Event()

    def ready(self) -> None:
        """From now on this worker takes connections."""
        self._report()  # before requests are served that may change what is reported
        self._send(READY)
        self._is_ready.set()

    def leaves(self) -> None:
        """This worker has been told to stop. It still takes connections, until `left`."""
        self._send(LEAVES)

    def left(self) -> None:
        """From now on this worker takes no connections: other workers get all new ones."""
        self._send(LEFT)

    def failed(self, text: str) -> None:
        """This worker will never take connections; `text` is for the user."""
        self._send(FAILED + _as_text(text))

    def receive(self, timeout: float | None = None) -> Message | None:
        """The next message; {} when none has come in time, None when the supervisor has gone."""
        while b"\n" not in self._received:
            if timeout is not None and not select.select([self.told], [], [], timeout)[0]:
                return {}
            received = os.read(self.told, 65536)
            if not received:
                return None
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        try:
            found: Message = json.loads(line)
        except ValueError:
            return {}  # half of a message, because the pipe was full
        return found

    def attend(self, orphaned: Callable[[], object], timeout: float) -> None:
        """Receive messages and report, in a thread, once this worker is ready.

        When the supervisor has gone, calls `orphaned` and ends the process `timeout` s later.
        Raises NoThread.
        """

        def run() -> None:
            self._is_ready.wait()  # `ready` follows soon, or the process ends with this thread
            interval = REPORT_INTERVAL if self.report else None
            while (message := self.receive(interval)) is not None:
                if "stacks" in message:
                    self._send(_as_text("\n".join(own_stacks())))
                elif "ask" in message:
                    self.ask(message, self.send)
                elif "crash" in message:
                    self.crashed(message["crash"])
                elif "elected" in message:
                    self.elected(message["elected"])
                elif message:
                    self.listen(message)
                else:
                    self._report()
            orphaned()
            time.sleep(timeout)
            os._exit(1)

        start_thread(threading.Thread(target=run, name="carboy-link", daemon=True))

    def _report(self) -> None:
        if self.report is not None and (found := self.report()):
            self.send(found)

    def send(self, message: Message) -> None:
        """Send a message to the supervisor, from any thread. Raises TooLarge and TypeError."""
        try:
            send_message(self.tells, message)
        except OSError:
            pass  # the supervisor has gone; `attend` handles that

    def _send(self, message: bytes) -> None:
        try:
            while message:
                message = message[os.write(self.tells, message) :]
        except OSError:
            pass  # the supervisor has gone; `attend` handles that


class WorkerLink:
    """A supervisor's end: the worker's reports, its row of the scoreboard, its requests.

    It is made before the worker, which takes `told` and `tells`; then `handed_over` closes them.
    """

    def __init__(self, row: Row | None = None, beat: float = 0.0) -> None:
        self.row = row or private_row()
        self.in_flight = InFlight()
        self.reader, self.tells = os.pipe()
        self.told, self._writer = os.pipe()
        # A worker that does not listen must not stop the supervisor.
        os.set_blocking(self._writer, False)
        self._beat = beat
        self._received = bytearray()
        self._messages = MessageReader()
        self.stacks = ""  # the last ones that were taken

    def worker_end(self) -> SupervisorLink:
        """The worker's end, in a forked worker."""
        os.close(self.reader)
        os.close(self._writer)
        return SupervisorLink(self.told, self.tells, self.row, self.in_flight, self._beat)

    def share_requests(self) -> int:
        """A descriptor of memory for the requests, for a worker that is not forked from here."""
        memory = InFlight.shared_memory()
        self.in_flight.close()
        self.in_flight = InFlight(fd=memory)
        return memory

    def handed_over(self) -> None:
        """Close the worker's end, which the worker has now."""
        os.close(self.told)
        os.close(self.tells)

    def tell(self, **message: Any) -> None:
        """Send a message, unless the worker has gone or does not listen."""
        try:
            os.write(self._writer, json.dumps(message).encode() + b"\n")
        except OSError:
            pass

    def read(self) -> bytes:
        """Bytes that the worker has written, b"" at the end; raises BlockingIOError without any."""
        received = os.read(self.reader, 65536)
        room = LONGEST - len(self._received)
        self._received += received.translate(None, STATES)[: max(0, room)]
        return received

    def read_rest(self) -> None:
        """Read the rest, after the worker has ended."""
        os.set_blocking(self.reader, False)
        try:
            while self.read():
                pass
        except BlockingIOError:
            pass  # a child of the worker still holds the other end

    def failure(self) -> str | None:
        """The reason why the worker could not start, if it has reported one."""
        if not self._received.startswith(FAILED):
            return None
        return self._received[len(FAILED) :].decode("utf-8", "replace")

    def take_messages(self) -> list[Message]:
        """The messages of the worker since the last call."""
        return self._messages.take(self._received)

    def take_stacks(self) -> str:
        """The stacks that the worker has written since the last call, or ""."""
        text = take_text(self._received).decode("utf-8", "replace").strip()
        self.stacks = text or self.stacks
        return text

    def close(self) -> None:
        """Close the supervisor's descriptors and the memory. What was read stays available."""
        os.close(self.reader)
        os.close(self._writer)
        self.in_flight.close()


def _as_text(text: str) -> bytes:
    return _controls.sub("?", text).encode("utf-8", "replace")
