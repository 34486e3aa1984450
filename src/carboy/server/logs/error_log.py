"""The error log: the logger "carboy.error", and where its records go while a server runs.

    any thread ── line ───▶ channel of standard error (server/logs/channel.py)
               └─ record ─▶ the application's log handlers, if any (server/logs/handler_queue.py)

A record becomes a line before it waits: a waiting record would keep the objects of its traceback
alive.
"""

from __future__ import annotations

import logging
import os
import time
from typing import ClassVar

from carboy.log_fields import OUTSIDE
from carboy.server.logs.channel import Channel, could_not_be_written
from carboy.server.logs.handler_queue import cost
from carboy.server.logs.output import colours_wanted
from carboy.server.logs.standard_streams import StandardStreams
from carboy.server.logs.writer import Writer

ERROR_LOGGER = "carboy.error"
OWN_LEVEL = logging.INFO - 1  # differs from any level that a user sets
SUPERVISOR_WAITING = 256 * 1024  # bytes that may wait in a supervisor, which logs little

# C0 and C1 controls and DEL as \xNN: a client must not be able to start a new log line or to
# control the terminal that shows the log. Tab and newline are kept, tracebacks need them.
CONTROLS = {c: f"\\x{c:02x}" for c in (*range(0x20), *range(0x7F, 0xA0)) if c not in (9, 10)}


class ErrorFormatter(logging.Formatter):
    """A record as text: time, process, request, level, message, traceback.

    Control characters are escaped. The id of the request is left out outside of one.
    """

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
        name = getattr(record, "request_id", OUTSIDE)
        about = "" if name == OUTSIDE else f" [{name.translate(CONTROLS)}]"
        return f"[{moment}] [{os.getpid()}]{about} {level} {text}\n"


class ErrorHandler(logging.Handler):
    """Passes the records of the error log to the application's handlers, or to standard error.

    Records go to standard error only if the logger and its parents have no handlers of the
    application.
    """

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self.channel = channel
        self.lines = ErrorFormatter(colours_wanted(channel.output))

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `ErrorLog` for records of "carboy.error", by logging for its child loggers."""
        handlers = foreign_handlers(record.name)
        for handler in handlers:
            if record.levelno >= handler.level:
                self.pass_on(handler, record)
        if not handlers:
            self.channel.put(self.rendered(record))

    def rendered(self, record: logging.LogRecord) -> bytes:
        """The lines of a record, as bytes."""
        try:
            return self.lines.format(record).encode("utf-8", "backslashreplace")
        except Exception as problem:  # arguments that do not match the text, a __str__ that raises
            return could_not_be_written(problem)

    def pass_on(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        """Call a handler of the application, or have it called."""
        raise NotImplementedError

    def finish(self) -> None:
        """Called when the log is closed."""


class QueuedErrorHandler(ErrorHandler):
    """For a process that serves: the application's handlers are called in another thread."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer.errors)
        self.writer = writer

    def pass_on(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        # Not in the other thread: the arguments may have changed by then.
        try:
            record.msg, record.args = record.getMessage(), None
        except Exception:
            pass  # the handler reports the problem
        self.writer.handlers.call(handler.handle, record, cost(record))


class DirectErrorHandler(ErrorHandler):
    """For a supervisor, which forks and must not have other threads.

    What standard error does not take at once waits for the next record.
    """

    def __init__(self) -> None:
        self.writer = Writer(limit=SUPERVISOR_WAITING, threaded=False)
        super().__init__(self.writer.errors)
        self.streams = StandardStreams(self.writer.channel)

    def finish(self) -> None:
        self.streams.flush()
        self.writer.close(0)
        self.streams.close()

    def pass_on(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        handler.handle(record)


def foreign_handlers(name: str) -> list[logging.Handler]:
    """The application's handlers for a record of the logger `name`.

    For a child logger of "carboy.error", logging has called the handlers of the child and of
    "carboy.error" already; they are left out.
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
    """Attaches one of the handlers above to "carboy.error" until it is closed.

    logging would call the application's handlers in the thread that logs, which can be the leader.
    So the records go to our handler only, which passes them on. This still holds when a later
    configuration of logging removes our handler from the logger.
    """

    _open: ClassVar[list[ErrorHandler]] = []  # several servers may run in one process

    def __init__(self, handler: ErrorHandler) -> None:
        self.logger = logging.getLogger(ERROR_LOGGER)
        self.handler = handler
        self._open.append(handler)
        self.logger.addHandler(handler)
        self.logger.propagate = False
        # logging.config disables existing loggers by default.
        self.logger.disabled = False
        self.logger.callHandlers = self._to_the_newest  # type: ignore[method-assign]
        if self.logger.level == logging.NOTSET:
            self.logger.setLevel(OWN_LEVEL)

    def close(self) -> None:
        """Detach. Without another open server, the logger is an ordinary one again."""
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
        """Call the newest of our handlers only, so that a record is written once."""
        for handler in cls._open[-1:]:
            if record.levelno >= handler.level:
                handler.handle(record)
