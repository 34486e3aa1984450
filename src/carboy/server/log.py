"""What is logged leaves through one thread, so that a stalled terminal stalls nothing else.

    any thread ──put──▶ SimpleQueue ──▶ writer thread: render, then os.write

Rendering happens in the writer thread too: it may read source files for a traceback. The
descriptors are written directly, past the buffers of sys.stdout: a lock of theirs held by a
thread that never returns would make the interpreter's own exit fail.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any, Protocol

ERROR_LOGGER = "carboy.error"
OWN_LEVEL = logging.INFO - 1  # tells a level that we set from the user's own

# Lines waiting for a reader that has stopped reading; more are counted and dropped, because
# memory is the only other place for them.
WAITING = 100_000
# After a batch the thread sleeps a moment. Otherwise every line would wake it, and the leader
# would have to fight it for the interpreter once a request.
GATHER = 0.05
BATCH_LINES = 1024
COMPLAIN = 60.0  # seconds between two notes about lines that are being lost
CLOSING = 2.0  # seconds that a process about to end waits for its last lines

# C0 and C1 controls and DEL as \xNN: a client must not be able to start a new log line or to
# talk to the terminal that shows the log. Tab and newline stay, tracebacks need them.
CONTROLS = {c: f"\\x{c:02x}" for c in (*range(0x20), *range(0x7F, 0xA0)) if c not in (9, 10)}


class Output:
    """A descriptor to write whole lines to; it may be full, stalled or closed."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        # Several workers share it. A pipe takes up to PIPE_BUF octets in one piece.
        self.piece = 64 * 1024 if _is_file(fd) else select.PIPE_BUF

    def write(self, octets: bytes) -> None:
        """Write everything, however long that takes; OSError when it cannot be done at all."""
        rest = memoryview(octets)
        while rest:
            try:
                rest = rest[os.write(self.fd, rest) :]
            except BlockingIOError:  # somebody else made our terminal non-blocking
                select.select([], [self.fd], [])

    def write_if_ready(self, octets: bytes) -> bool:
        """Write if that will not block, for a process that has no writer thread."""
        try:
            if not select.select([], [self.fd], [], 0)[1]:
                return False
            self.write(octets)
        except (OSError, ValueError):
            return False
        return True

    def is_terminal(self) -> bool:
        """Whether somebody looks at it."""
        try:
            return os.isatty(self.fd)
        except OSError:
            return False


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


def standard(stream: Any, fd: int) -> Output:
    """The descriptor under sys.stdout or sys.stderr, or `fd` while they are replaced.

    A process may be started with one of them closed. Its number then belongs to whatever was
    opened next, and that can be a client: what would have been written there goes nowhere.
    """
    try:
        return Output(stream.fileno())
    except (AttributeError, OSError, ValueError):
        original = sys.__stdout__ if fd == 1 else sys.__stderr__
        return Output(os.open(os.devnull, os.O_WRONLY) if original is None else fd)


def colours_wanted(output: Output) -> bool:
    """Colour for people: on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return output.is_terminal() and not os.environ.get("NO_COLOR")


class Sink(Protocol):
    """Where an item goes and how it reads; both are used in the writer thread only."""

    output: Output

    def render(self, item: Any) -> str:
        """Complete lines, each with its newline; "" for nothing."""
        ...


class Writer:
    """The writer thread of a process. Start it after a fork, not before."""

    def __init__(self, errors: Output | None = None) -> None:
        self.errors = errors or standard(sys.stderr, 2)
        self.lost = 0
        self._complain_at = 0.0
        self._lost_because = "nobody read them"
        self._queue: SimpleQueue[tuple[Sink, Any] | None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="carboy-log", daemon=True)
        self._thread.start()

    def put(self, sink: Sink, item: Any) -> None:
        """Hand over one item; never blocks, never raises."""
        if self._queue.qsize() < WAITING:
            self._queue.put((sink, item))
        else:
            self.lost += 1

    def close(self, timeout: float = CLOSING) -> None:
        """Write what was handed over so far, unless that takes longer than `timeout` seconds."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            ended = self._write(self._gather(first))
            if ended:
                break
            self._closing.wait(GATHER)
        if self.lost:
            self._report_lost()

    def _gather(self, first: tuple[Sink, Any]) -> list[tuple[Sink, Any] | None]:
        batch: list[tuple[Sink, Any] | None] = [first]
        try:
            while len(batch) < BATCH_LINES and batch[-1] is not None:
                batch.append(self._queue.get_nowait())
        except Empty:
            pass
        return batch

    def _write(self, batch: list[tuple[Sink, Any] | None]) -> bool:
        """Write one batch in order; True when its last item was the end."""
        waiting: list[bytes] = []
        output: Output | None = None
        size = 0
        for job in batch:
            if job is None:
                break
            line = _render(*job)
            if output is not job[0].output or size + len(line) > output.piece:
                self._flush(output, waiting)
                output, waiting, size = job[0].output, [], 0
            waiting.append(line)
            size += len(line)
        self._flush(output, waiting)
        return batch[-1] is None

    def _flush(self, output: Output | None, lines: list[bytes]) -> None:
        if output is None or not lines:
            return
        try:
            output.write(b"".join(lines))
        except (OSError, ValueError) as problem:
            # Disk full, reader gone, descriptor closed: the log has a gap, the service has not.
            self.lost += len(lines)
            self._lost_because = _reason(problem)
            if time.monotonic() < self._complain_at:
                return
        if self.lost:
            self._report_lost()

    def _report_lost(self) -> None:
        self._complain_at = time.monotonic() + COMPLAIN
        lost, self.lost = self.lost, 0
        lines = "log line was" if lost == 1 else "log lines were"
        note = f"carboy: {lost} {lines} lost: {self._lost_because}.\n"
        try:
            self.errors.write(note.encode())
        except (OSError, ValueError):
            self.lost = lost


def _reason(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem)


def _render(sink: Sink, item: Any) -> bytes:
    try:
        return sink.render(item).encode("utf-8", "backslashreplace")
    except Exception as problem:  # a line that cannot be rendered must not end the log
        return f"carboy: a log line could not be written: {problem!r}\n".encode()


class Lines(logging.Formatter):
    """How an error record reads: time, process, level, text, traceback; controls escaped."""

    COLOURS = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}

    def __init__(self, colour: bool = False) -> None:
        super().__init__()
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        level = record.levelname
        if self.colour and record.levelno in self.COLOURS:
            level = f"\x1b[{self.COLOURS[record.levelno]}m{level}\x1b[0m"
        parts = [record.getMessage()]
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(record.stack_info)
        text = "\n".join(parts).rstrip("\n").translate(CONTROLS)
        return f"[{moment}] [{os.getpid()}] {level} {text}\n"


class QueuedErrors(logging.Handler):
    """Takes records of the error logger to the writer thread.

    Handlers that the application has attached to the logger or above it get them there;
    only if there are none they are written to standard error.
    """

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer
        self.output = writer.errors
        self.lines = Lines(colours_wanted(self.output))

    def emit(self, record: logging.LogRecord) -> None:
        # Now, not in the other thread: by then the arguments may have changed.
        record.msg, record.args = record.getMessage(), None
        self.writer.put(self, record)

    def render(self, record: logging.LogRecord) -> str:
        """The record's lines, or "" when the application's own handlers took it."""
        handlers = foreign_handlers(logging.getLogger(record.name))
        for handler in handlers:
            if record.levelno >= handler.level:
                handler.handle(record)
        return "" if handlers else self.lines.format(record)


class DirectErrors(logging.Handler):
    """Writes records at once if standard error takes them: for the supervisor.

    It forks, and a process that forks should have no other threads.
    """

    def __init__(self) -> None:
        super().__init__()
        self.output = standard(sys.stderr, 2)
        self.lines = Lines(colours_wanted(self.output))

    def emit(self, record: logging.LogRecord) -> None:
        handlers = foreign_handlers(logging.getLogger(record.name))
        for handler in handlers:
            if record.levelno >= handler.level:
                handler.handle(record)
        if not handlers:
            self.output.write_if_ready(self.lines.format(record).encode())


def foreign_handlers(logger: logging.Logger) -> list[logging.Handler]:
    """The handlers of a logger and of all above it that are not Carboy's own."""
    found: list[logging.Handler] = []
    at: logging.Logger | None = logger
    while at is not None:
        found += (h for h in at.handlers if not isinstance(h, QueuedErrors | DirectErrors))
        at = at.parent
    return found


class ErrorLog:
    """Attaches one of the handlers above to "carboy.error" as long as it is open."""

    def __init__(self, handler: QueuedErrors | DirectErrors) -> None:
        self.logger = logging.getLogger(ERROR_LOGGER)
        self.handler = handler
        self.logger.addHandler(handler)
        # Its ancestors' handlers are called by ours: otherwise they would block the leader.
        self.logger.propagate = False
        if self.logger.level == logging.NOTSET:
            self.logger.setLevel(OWN_LEVEL)

    def close(self) -> None:
        """Detach; with no other server open the logger is an ordinary one again."""
        self.logger.removeHandler(self.handler)
        ours = (QueuedErrors, DirectErrors)
        if any(isinstance(h, ours) for h in self.logger.handlers):
            return
        self.logger.propagate = True
        if self.logger.level == OWN_LEVEL:
            self.logger.setLevel(logging.NOTSET)
