"""The access log: one line for each request that was answered or refused.

The line is formatted in the thread that answered (server/logs/formats.py), because bytes that wait
keep no request alive. Another thread writes it (server/logs/channel.py).
"""

from __future__ import annotations

import sys
from typing import Protocol

from carboy.late import random
from carboy.server.logs.channel import could_not_be_written
from carboy.server.logs.facts import Record
from carboy.server.logs.formats import formatter
from carboy.server.logs.output import STANDARD, LogFile, Output, standard
from carboy.server.logs.redaction import redaction
from carboy.server.logs.writer import Writer
from carboy.server.observing import Observing

ERRORS = 400  # from this status on, a request is logged although others are left out


class RequestLog(Protocol):
    """Called by the engine with a record for every request. Must not block or raise."""

    def __call__(self, record: Record, /) -> None: ...

    def close(self) -> None: ...


class Selection:
    """The requests that are logged: `rate` of them, and all errors and slow ones.

    Those whose path begins with one of `skip` are never logged. `slow` is in seconds, 0 for none.
    """

    def __init__(self, skip: tuple[str, ...], rate: float, slow: float) -> None:
        self._skip = skip
        self._rate = rate
        self._slow = slow or float("inf")
        self.chooses = bool(skip) or rate < 1

    def __call__(self, record: Record) -> bool:
        head, status, seconds = record[2], record[4], record[6]
        if head is not None and self._skip and head.path.startswith(self._skip):
            return False
        return (
            self._rate >= 1
            or status >= ERRORS
            or seconds >= self._slow
            or random.random() < self._rate
        )


class AccessLog:
    """Writes records to standard output ("stdout"), standard error ("stderr") or a file.

    Lines are appended to a file, which is opened again within a second when log rotation has moved
    it away. Requests for paths that begin with `skip`, or with a setting, are left out.
    """

    def __init__(
        self,
        writer: Writer,
        format: str = "auto",
        to: str = "stdout",
        skip: str | None = None,
        observing: Observing | None = None,
    ) -> None:
        observing = observing or Observing()
        skipped = observing.access_log_skip + (() if skip is None else (skip,))
        self._wanted = Selection(skipped, observing.access_log_sample, observing.slow)
        name = STANDARD.get(to, to)
        self.output: Output
        if to == "stdout":
            self.output = standard(sys.stdout, 1)
        elif to == "stderr":
            self.output = writer.errors.output
        else:
            self.output = LogFile(to)
        self.render = formatter(format, self.output, redaction(observing.access_log_redact))
        self.channel = writer.channel(self.output, name)
        self.channel.start()

    def __call__(self, record: Record) -> None:
        try:
            if self._wanted.chooses and not self._wanted(record):
                return
            line = self.render(record).encode("utf-8", "backslashreplace")
        except Exception as problem:
            line = could_not_be_written(problem)
        self.channel.put(line)

    def close(self) -> None:
        """Close the log file, if any; call this when the writer is closed."""
        if isinstance(self.output, LogFile) and not self.channel.stalled:
            self.output.close()
