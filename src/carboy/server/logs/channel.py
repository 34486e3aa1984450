"""Lines that wait for one output: bounded by bytes, and written by a thread of their own.

    any thread ── put ──▶ waiting lines ── writer thread ──▶ output
               └─ write ─▶ output, as far as it takes bytes at once; the rest waits

What threads share, and why that is safe:

- Any thread changes `_lines`, `_size`, `lost`, `lost_in_total` and `_state`, under `_lock`, which
  is held for a few lines of Python and never during a write.
- The output, `_hand` and `_in_hand` belong to the thread that holds `_turn`. The writer thread
  waits for `_turn`; other threads only try it, and leave their lines to its holder. (Others read
  `_in_hand`; an old value only moves the limit by a line.)
- `_awake` is cleared under `_lock` when no lines wait. A thread that adds a line reads it
  afterwards, so either the writer thread sees the line, or this thread wakes the writer thread.

A signal handler may log while its own thread is in `put` or `write`: `_lock` is reentrant, a line
is only added where that is harmless, and `_turn` is found taken. The wake-up is a SimpleQueue
because its `put` is reentrant too.

In a process that the application forks, a channel has no thread and writes like a plain file.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from queue import Empty, SimpleQueue

from carboy.server.logs.output import Output, Unwritten

log = logging.getLogger("carboy.error")

KIB = 1024
# Bytes that wait for a reader that has stopped reading. Further lines are counted and dropped,
# because they could only be kept in memory.
WAITING = 16 * 1024 * KIB
LINE_COST = 64  # bytes of memory that a line takes besides its text
# After a batch, the thread sleeps for this many seconds. Otherwise every line would wake it, and it
# would compete with the leader for the interpreter at every request.
GATHER = 0.05
AT_ONCE = 64 * KIB  # with more bytes waiting, only the writer thread writes
AFTERWARDS = 1.0  # seconds that lines logged after `close` may wait for their output, in total
UNREAD = "they were not read in time"


class State(Enum):
    OPEN = auto()
    CLOSED = auto()  # the writer thread has ended, or took too long to end
    COPY = auto()  # in a process that the application has forked


class Channel:
    """Lines for one output. `put` and `write` never raise and never wait for the output."""

    def __init__(
        self, output: Output, name: str, limit: int = WAITING, threaded: bool = True
    ) -> None:
        self.output = output
        self.threaded = threaded  # false in a process that forks, which must not have other threads
        self.name = name  # in the note about lost lines: "standard output", a path
        self.limit = limit
        self.lost = 0  # since the last note about them
        self.lost_in_total = 0
        self.lost_because = ""
        self.lost_first: Callable[[], object] = _nothing  # called for the first lost line
        # Of the channel for errors: writes notes, and returns the seconds until the next one.
        self.notes: Callable[[], float | None] = _none
        self._lines: deque[bytes] = deque()
        self._size = 0  # of `_lines`
        self._hand: deque[bytes] = deque()  # the lines that are written next
        self._piece = b""  # what the writer thread is writing
        self._in_hand = 0  # its size
        self._afterwards = AFTERWARDS
        self._state = State.OPEN
        self._lock = threading.RLock()
        self._turn = threading.Lock()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._awake = False
        self._cannot_open = False
        self._gave_up = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        _channels.add(self)

    # --- any thread

    def put(self, line: bytes) -> None:
        """Have complete lines written soon."""
        self._add(line)
        if not self._awake:
            self.wake()

    def write(self, data: bytes) -> None:
        """Write at once what the output takes without waiting, and the rest as soon as possible."""
        if self._lines or self._state is not State.OPEN or not self._turn.acquire(blocking=False):
            self._add(data)
            self.push()
        else:
            try:
                if rest := data[self._write_now(data) :]:
                    self._hand.append(rest)
                    self._give_back()
            finally:
                self._turn.release()
        if self._lines and not self._awake:
            self.wake()

    def push(self) -> None:
        """Write waiting lines if no other thread does, as far as the output takes them at once."""
        if not self._lines or self._size > AT_ONCE or not self._turn.acquire(blocking=False):
            return
        try:
            self._take()
            while self._hand:
                piece = self._next_piece()
                if rest := piece[self._write_now(piece) :]:
                    self._hand.appendleft(rest)
                    self._give_back()
        finally:
            self._turn.release()

    def start(self) -> bool:
        """Start the writer thread, unless it runs; returns whether it runs."""
        if not self.threaded:
            return False
        with self._lock:
            if self._thread is None and self._state is State.OPEN:
                thread = threading.Thread(target=self._run, name="carboy-log", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads can be made; the next line tries again
                    return False
                self._thread = thread
        return True

    def wake(self) -> None:
        """Have the writer thread check for lines, notes and a log file that was moved away."""
        self._awake = True
        if self._thread is not None or self.start():
            self._wake.put(None)
        else:
            self._awake = False
            self.push()
            if not self.threaded:
                self.notes()

    def reopen(self) -> None:
        """Have the writer thread open a log file again that was moved away."""
        self.output.reopen()
        self.wake()

    def begin_to_close(self) -> None:
        """Have the writer thread write the waiting lines at once and end."""
        self._closing.set()
        self._wake.put(None)

    def close(self, end: float) -> None:
        """Write the waiting lines, until `end` (monotonic seconds). The rest is lost."""
        self.begin_to_close()
        thread = self._thread
        if thread is not None:
            thread.join(max(0.0, end - time.monotonic()))
        while self._lines and (thread is None or not thread.is_alive()):
            size = self._size
            self.push()
            if self._size >= size or time.monotonic() > end:
                break
        with self._lock:
            self._gave_up = thread is not None and thread.is_alive()
            if self._state is State.OPEN:
                self._state = State.CLOSED
            rest = [part for part in (self._piece, *self._hand, *self._lines) if part]
            self._lines = deque()
            self._size = 0
            if rest:
                self._gave_up = True
                self.lose(sum(part.count(b"\n") for part in rest) or 1, UNREAD)
        if thread is None:
            self.notes()

    @property
    def stalled(self) -> bool:
        """Whether the channel was closed before everything was written."""
        return self._gave_up

    def note(self, data: bytes) -> bool:
        """Write a line about the log itself, in `notes`; returns whether the output took it."""
        if self._thread is None:
            return self.output.write_within(data, 0) == len(data)
        with self._turn:
            try:
                self.output.write(data)
            except Unwritten:
                return False
        return True

    def lose(self, count: int, because: str) -> None:
        """Count lost lines. The first one causes a note."""
        with self._lock:
            first = not self.lost
            self.lost += count
            self.lost_in_total += count
            self.lost_because = because
        if first:
            self.lost_first()

    def forget(self, count: int) -> None:
        """Subtract lost lines that have been reported."""
        with self._lock:
            self.lost -= count

    def _add(self, data: bytes) -> None:
        if self._state is not State.OPEN:
            self._write_without_thread(data)
            return
        with self._lock:
            size = self._size + len(data) + LINE_COST
            if size + self._in_hand > self.limit:
                self._lose(data, UNREAD)
            else:
                self._lines.append(data)
                self._size = size

    def _lose(self, data: bytes, because: str) -> None:
        self.lose(data.count(b"\n") or 1, because)

    def _write_without_thread(self, data: bytes) -> None:
        if self._state is State.COPY:
            try:
                self.output.write(data)
            except Unwritten:
                pass
            return
        began = time.monotonic()
        self.output.write_within(data, max(0.0, self._afterwards))
        self._afterwards -= time.monotonic() - began

    # --- the thread that holds `_turn`

    def _take(self) -> None:
        """Take the waiting lines."""
        with self._lock:
            self._hand, self._lines = self._lines, deque()
            self._in_hand, self._size = self._size, 0

    def _next_piece(self) -> bytes:
        """The bytes to write next. They end with a line that is not longer than a piece."""
        hand, limit = self._hand, self.output.piece
        piece = [hand.popleft()]
        size = len(piece[0])
        while hand and size + len(hand[0]) <= limit:
            piece.append(hand.popleft())
            size += len(piece[-1])
        self._in_hand -= size + LINE_COST * len(piece)
        return b"".join(piece)

    def _give_back(self) -> None:
        with self._lock:
            data = b"".join(self._hand)
            self._hand = deque()
            self._in_hand = 0
            self._lines.appendleft(data)
            self._size += len(data) + LINE_COST

    def _write_now(self, piece: bytes) -> int:
        done = 0
        try:
            while done < len(piece):
                taken = self.output.write_now(piece[done : done + self.output.piece])
                if not taken:
                    break
                done += taken
        except Unwritten as problem:
            self._lose(piece[done + problem.written :], problem.reason)
            return len(piece)
        return done

    # --- the writer thread

    def _run(self) -> None:
        while self._await_lines():
            with self._turn:
                self._refresh()
                self._take()
                while self._hand:
                    piece = self._piece = self._next_piece()
                    try:
                        self.output.write(piece)
                    except Unwritten as problem:
                        # Disk full, reader gone, descriptor closed: the log has a gap, but the
                        # server continues.
                        self._lose(piece[problem.written :], problem.reason)
                    self._piece = b""
            self._closing.wait(GATHER)

    def _await_lines(self) -> bool:
        """Wait until there are lines to write; False when the channel is closing."""
        while True:
            due = self.notes()
            with self._lock:
                if self._lines:
                    return True
                self._awake = False
            if self._closing.is_set():
                return False
            try:
                self._wake.get(timeout=due)
            except Empty:
                continue
            with self._turn:
                self._refresh()

    def _refresh(self) -> None:
        """Open a log file that was moved away. Until that works, the open file takes the lines."""
        try:
            self.output.refresh()
            self._cannot_open = False
        except OSError as problem:
            if not self._cannot_open:
                self._cannot_open = True
                log.error(
                    "%s cannot be opened again: %s. Lines are still written to the old file.",
                    self.name,
                    problem.strerror,
                )


_channels: weakref.WeakSet[Channel] = weakref.WeakSet()


def lost_lines() -> int:
    """How many lines the channels of this process have lost."""
    return sum(channel.lost_in_total for channel in list(_channels))


def could_not_be_written(problem: Exception) -> bytes:
    """The line that replaces one that could not be formatted or handled."""
    text = f"carboy: a log line could not be written: {problem!r}.\n"
    return text.encode("utf-8", "backslashreplace")


def _after_fork() -> None:
    """The child has no writer threads. The parent writes the lines that were waiting."""
    for channel in list(_channels):
        channel._lock = threading.RLock()
        channel._turn = threading.Lock()
        channel._lines, channel._hand = deque(), deque()
        channel._size = channel._in_hand = channel.lost = channel.lost_in_total = 0
        channel._thread = None
        channel._state = State.COPY


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _nothing() -> None:
    pass


def _none() -> None:
    return None
