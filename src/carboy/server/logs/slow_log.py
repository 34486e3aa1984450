"""The slow-request log: a record on the logger "carboy.slow" for each request that took too long.

The handlers of the application get the records in the thread of the handler queue. If there are
none, a line goes to standard error, as of the error log.
"""

from __future__ import annotations

import logging

from carboy.server.logs.error_log import ErrorFormatter, ErrorHandler
from carboy.server.logs.facts import Facts, Record
from carboy.server.logs.handler_queue import LINE
from carboy.server.logs.output import colours_wanted
from carboy.server.logs.redaction import Private
from carboy.server.logs.writer import Writer

SLOW_LOGGER = "carboy.slow"
TEXT = "Slow request: %s took %.3f s (route %s, waited %.3f s for a thread, id %s)."
SWITCHED = 101  # a connection that lasts as long as both sides want
STREAM = "text/event-stream"  # a response that does


class SlowLog:
    """Logs requests that took at least `limit` seconds, the time in the queue included."""

    def __init__(self, writer: Writer, limit: float, private: Private) -> None:
        self._limit = limit
        self._private = private
        self._writer = writer
        self._lines = ErrorFormatter(colours_wanted(writer.errors.output))
        self._logger = logging.getLogger(SLOW_LOGGER)
        writer.handlers.start()

    def __call__(self, record: Record) -> None:
        if record[6] >= self._limit and record[7] is not None and record[4] != SWITCHED:
            facts = Facts(record, self._private)
            if not facts.sent_field("content-type").startswith(STREAM):
                self._log(facts)

    def _log(self, facts: Facts) -> None:
        logger = self._logger
        if not logger.isEnabledFor(logging.WARNING):
            return
        queue, route = facts.queue(), facts.route()
        line = facts.private(f"{facts.method()} {facts.head.target}") if facts.head else ""
        values = (line, facts.seconds, route or "-", queue, facts.id())
        made = logger.makeRecord(logger.name, logging.WARNING, "(server)", 0, TEXT, values, None)
        vars(made).update(
            method=facts.method(), path=facts.path(), route=route, seconds=facts.seconds,
            queue=queue, request_id=facts.id(), trace_id=facts.trace_id(), span_id=facts.span_id(),
        )  # fmt: skip
        if _has_handlers(logger):
            self._writer.handlers.call(logger.handle, made, LINE + len(line))
        else:
            text = self._lines.format(made)
            self._writer.errors.put(text.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Does nothing: no file is open."""


def _has_handlers(logger: logging.Logger | None) -> bool:
    """Whether the application has handlers for the records of a logger."""
    while logger is not None:
        if any(not isinstance(handler, ErrorHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
