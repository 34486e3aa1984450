"""The two ends of what a supervisor shares with one worker.

    WorkerLink (supervisor) ◀── pipe: bytes and text ────────────── SupervisorLink (worker)
                            ─── life pipe: its end means the supervisor has gone ──▶
                            ◀── shared memory: figures, requests in flight ──

On the pipe, bytes that are not text say what the worker does. Text says why the worker cannot
start, or is the stacks that faulthandler writes when the worker is asked for them or crashes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from carboy.server.in_flight import InFlight
from carboy.server.scoreboard import Row, private_row

READY = b"\x06"
LEAVES = b"\x04"
FAILED = b"\x15"  # the rest until EOF is the text for the user

LONGEST = 256 * 1024  # bytes of text that are kept; the stacks of some hundred threads


class SupervisorLink:
    """A worker's end: how it reports to its supervisor, and learns that the supervisor has gone."""

    def __init__(
        self,
        life: int,
        pipe: int,
        row: Row | None = None,
        in_flight: InFlight | None = None,
        beat: float = 0.0,
    ) -> None:
        self.life = life
        self.pipe = pipe
        # What the supervisor reads: the worker's own figures and the requests it runs.
        self.row = row or private_row()
        self.in_flight = in_flight or InFlight()
        self.beat = beat  # seconds between two signs of life; 0: none are wanted

    def ready(self) -> None:
        """From now on this worker takes connections."""
        self._send(READY)

    def leaves(self) -> None:
        """From now on this worker takes no connections: it has been told to stop."""
        self._send(LEAVES)

    def failed(self, text: str) -> None:
        """This worker will never take connections; `text` is for the user."""
        self._send(FAILED + text.encode("utf-8", "replace"))

    def _send(self, message: bytes) -> None:
        try:
            while message:
                message = message[os.write(self.pipe, message) :]
        except OSError:
            pass  # the supervisor has gone; `when_orphaned` sees to that

    def when_orphaned(self, stop: Callable[[], object], timeout: float) -> None:
        """Call `stop` when the supervisor is gone, and end the process `timeout` s later."""

        def wait() -> None:
            while os.read(self.life, 1):
                pass  # the supervisor writes nothing; only the end can come
            stop()
            time.sleep(timeout)
            os._exit(1)

        threading.Thread(target=wait, name="carboy-life", daemon=True).start()


class WorkerLink:
    """A supervisor's end: the worker's pipe, its row of the scoreboard, its requests in flight.

    Made before the fork. Then the worker takes `worker_end`, and the supervisor calls `forked`.
    """

    def __init__(self, row: Row, beat: float) -> None:
        self.row = row
        self.in_flight = InFlight()
        self.reader, self.writer = os.pipe()
        self._beat = beat
        self._received = bytearray()

    def worker_end(self, life: int) -> SupervisorLink:
        """The worker's end, in the worker."""
        os.close(self.reader)
        return SupervisorLink(life, self.writer, self.row, self.in_flight, self._beat)

    def forked(self) -> None:
        """The worker has its end now."""
        os.close(self.writer)

    def read(self) -> bytes:
        """What the worker has sent, b"" when it never will again; BlockingIOError."""
        received = os.read(self.reader, 65536)
        room = LONGEST - len(self._received)
        self._received += received[: max(0, room)]
        return received

    def read_rest(self) -> None:
        """Read what is left after the worker's death."""
        os.set_blocking(self.reader, False)
        try:
            while self.read():
                pass
        except BlockingIOError:
            pass  # a child of the worker still holds the other end

    def failure(self) -> str | None:
        """Why the worker could not start, if it has said so."""
        if not self._received.startswith(FAILED):
            return None
        return self._received[len(FAILED) :].decode("utf-8", "replace")

    def take_stacks(self) -> str:
        """What faulthandler has written since the last time, "" if nothing."""
        text = self._received.replace(READY, b"").replace(LEAVES, b"")
        self._received.clear()
        return text.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Let go of the pipe and the memory; what was read stays."""
        os.close(self.reader)
        self.in_flight.close()
