"""The error log: the logger "carboy.error", and where its records go while a server runs.

    any thread ── render ──▶ channel of standard error (server/logs/channel.py)
               └─ record ──▶ thread for log handlers, if the application has attached any

A record is rendered before it waits: one that waits would keep alive what its traceback holds.
"""

from __future__ import annotations

import logging
import os
import time
from typing import ClassVar

from carboy.server.logs.channel import Channel
from carboy.server.logs.handler_queue import cost
from carboy.server.logs.output import colours_wanted
from carboy.server.logs.standard_streams import StandardStreams
from carboy.server.logs.writer import Writer

ERROR_LOGGER = "carboy.error"
OWN_LEVEL = logging.INFO - 1  # tells a level that we set from the user's own
FEW = 256 * 1024  # bytes that may wait in a supervisor, which has little to say

# C0 and C1 controls and DEL as \xNN: a client must not be able to start a new log line or to
# talk to the terminal that shows the log. Tab and newline stay, tracebacks need them.
CONTROLS = {c: f"\\x{c:02x}" for c in (*range(0x20), *range(0x7F, 0xA0)) if c not in (9, 10)}


class ErrorFormatter(logging.Formatter):
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


class ErrorHandler(logging.Handler):
    """Takes the records of the error log to its channel, or to the application's handlers.

    Only if there are no handlers of the application's on the logger or above it, records are
    written to standard error.
    """

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self.channel = channel
        self.lines = ErrorFormatter(colours_wanted(channel.output))

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `ErrorLog` for records of the error logger, by logging for those below it."""
        handlers = foreign_handlers(record.name)
        for handler in handlers:
            if record.levelno >= handler.level:
                self.pass_on(handler, record)
        if not handlers:
            self.channel.put(self.rendered(record))

    def rendered(self, record: logging.LogRecord) -> bytes:
        """The lines of a record."""
        try:
            return self.lines.format(record).encode("utf-8", "backslashreplace")
        except Exception as problem:  # arguments that do not fit the text, a bad __str__
            return could_not_be_written(problem)

    def pass_on(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        """Have a handler of the application's called."""
        raise NotImplementedError

    def finish(self) -> None:
        """The log is closed."""


class QueuedErrorHandler(ErrorHandler):
    """For a process that serves: handlers of the application's are called in another thread."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer.errors)
        self.writer = writer

    def pass_on(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        # Now, not in the other thread: by then the arguments may have changed.
        try:
            record.msg, record.args = record.getMessage(), None
        except Exception:
            pass  # the handler will say so
        self.writer.handlers.call(handler.handle, record, cost(record))


class DirectErrorHandler(ErrorHandler):
    """For a supervisor: it forks, and a process that forks should have no other threads.

    What standard error does not take at once waits for the next record.
    """

    def __init__(self) -> None:
        self.writer = Writer(limit=FEW, threaded=False)
        super().__init__(self.writer.errors)
        self.streams = StandardStreams(self.writer.channel)

    def finish(self) -> None:
        self.streams.flush()
        self.writer.close(0)
        self.streams.close()

    def pass_on(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        handler.handle(record)


def could_not_be_written(problem: Exception) -> bytes:
    """The line in place of one that could not be rendered."""
    return f"carboy: a log line could not be written: {problem!r}\n".encode()


def foreign_handlers(name: str) -> list[logging.Handler]:
    """The handlers that get a record of the error log besides ours, in another way than logging's.

    Those of a logger below "carboy.error", and then those of "carboy.error", have been called by
    logging already.
    """
    found: list[logging.Handler] = []
    logger: logging.Logger | None = logging.getLogger(ERROR_LOGGER)
    if name != ERROR_LOGGER and logger is not None:
        logger = logger.parent
    while logger is not None:
        found += (handler for handler in logger.handlers if not isinstance(handler, ErrorHandler))
        logger = logger.parent
    return found


class ErrorLog:
    """Attaches one of the handlers above to "carboy.error" as long as it is open.

    logging would call the application's handlers on that logger in the thread that logs, which
    can be the leader. So the logger's records go to our handler only, which passes them on; also
    when a configuration of logging that comes later takes our handler off the logger.
    """

    _open: ClassVar[list[ErrorHandler]] = []  # several servers may run in one process

    def __init__(self, handler: ErrorHandler) -> None:
        self.logger = logging.getLogger(ERROR_LOGGER)
        self.handler = handler
        self._open.append(handler)
        self.logger.addHandler(handler)
        self.logger.propagate = False
        # logging.config switches off every logger that is there already, unless it is told not to.
        self.logger.disabled = False
        self.logger.callHandlers = self._to_the_newest  # type: ignore[method-assign]
        if self.logger.level == logging.NOTSET:
            self.logger.setLevel(OWN_LEVEL)

    def close(self) -> None:
        """Detach; with no other server open the logger is an ordinary one again."""
        self.logger.removeHandler(self.handler)
        self._open.remove(self.handler)
        self.handler.finish()
        if self._open:
            return
        self.logger.propagate = True
        vars(self.logger).pop("callHandlers", None)
        if self.logger.level == OWN_LEVEL:
            self.logger.setLevel(logging.NOTSET)

    @classmethod
    def _to_the_newest(cls, record: logging.LogRecord) -> None:
        """Have one of ours called, so that a record is written once."""
        for handler in cls._open[-1:]:
            if record.levelno >= handler.level:
                handler.handle(record)
